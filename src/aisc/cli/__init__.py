"""The command line: ``aisc …``."""

import sys

try:
    from aisc.cli.main import main
except KeyboardInterrupt:  # loading takes seconds on a busy machine: long enough for a second thought
    print("Interrupted.", file=sys.stderr)
    raise SystemExit(130) from None

__all__ = ["main"]
