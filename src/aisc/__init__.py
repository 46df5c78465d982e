"""Run AI-security competitions as containerized Kubeflow pipelines."""

from importlib.metadata import version

__version__ = version("aisc")
