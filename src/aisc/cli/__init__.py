"""The command line: ``aisc …``."""

from aisc.cli.main import main

__all__ = ["main"]
