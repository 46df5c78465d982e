"""What a component calls, one module a component: a workbench and paths in, files out."""
