"""What is said when long work is stopped from outside."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from aisc.cli.console import err


@contextmanager
def stops_aloud(what: str) -> Iterator[None]:
    """Say of work that Ctrl-C or SIGTERM ends that nothing is lost; its processes end with this one.

    Exits with 128 + 15 after SIGTERM, as shells expect; leaves KeyboardInterrupt to the command line.
    """

    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        err.print(f"{what} was stopped; the same command goes on where it was.", markup=False)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
