"""Hidden datasets as folders of files: one module a format; made on the spot or imported through the same checks."""
