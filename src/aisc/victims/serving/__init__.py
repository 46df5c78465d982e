"""Victims for Triton: the model repository that it serves, what runs inside it, how it is started and probed."""
