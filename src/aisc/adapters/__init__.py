"""The border to the outside: the only importers of minio, tritonclient, kubernetes and kfp."""
