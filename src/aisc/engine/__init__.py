"""Where compiled packages run: on this machine, or on Kubeflow Pipelines."""
