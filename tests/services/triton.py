"""A real Triton server on loopback for tests, over the victims that ship and whatever else a test wants served."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aisc.adapters.triton_program import find_triton
from aisc.adapters.triton_server import Care, TritonServer, serving
from aisc.errors import UsageError
from aisc.victims.serving.repository import write_model_repository

FOLDER = Path(__file__).parents[2] / ".triton"
SLOW_S = 600.0
"""Seconds that a server may take to come up where other tests have the processors."""
MISSING = "Triton not installed: run 'sh tests/services/install_triton.sh' (or 'make services')"


class Served(NamedTuple):
    """A running server and what it serves."""

    server: TritonServer
    repository: Path
    packages: Mapping[str, Path]


def available() -> bool:
    """Tell whether the server is installed."""
    try:
        find_triton(os.environ, FOLDER)
    except UsageError:
        return False
    return True


@contextmanager
def running_triton(packages: Mapping[str, Path], folder: Path, care: Care | None = None) -> Iterator[Served]:
    """Serve packages for as long as the context lasts."""
    repository = folder / "repository"
    write_model_repository(packages, repository)
    with serving(repository, find_triton(os.environ, FOLDER), care=care or Care(SLOW_S, watch_s=1.0)) as server:
        yield Served(server, repository, packages)
