"""Build what a component needs from its environment: the only way a task learns of ledger, store and victims."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aisc.adapters.store import open_store
from aisc.adapters.triton_endpoint import endpoint_from
from aisc.errors import PlatformError
from aisc.ledger import open_ledger
from aisc.victims.opening import LocalVictims, Victims
from aisc.workbench import Workbench

LEDGER = "AISC_LEDGER"
STORE = "AISC_STORE"
CACHE = "AISC_CACHE"
ATTEMPT = "AISC_ATTEMPT"


@contextmanager
def open_workbench() -> Iterator[Workbench]:
    """Open the ledger, the store and the victims that the environment names.

    Raises:
        PlatformError: ``ENVIRONMENT_MISSING`` when a variable is not set.
        UsageError: ``VICTIMS_ADDRESS``.
    """
    missing = [name for name in (LEDGER, STORE, CACHE) if not os.environ.get(name)]
    if missing:
        raise PlatformError(
            "ENVIRONMENT_MISSING",
            f"A task was started without {', '.join(missing)}.",
            "The engine sets them; on a cluster they come from the release's secret.",
        )
    ledger = open_ledger(os.environ[LEDGER])
    try:
        attempt = os.environ.get(ATTEMPT)
        store = open_store(os.environ[STORE])
        with open_victims() as victims:
            yield Workbench(ledger, store, Path(os.environ[CACHE]), int(attempt) if attempt else None, victims)
    finally:
        ledger.close()


@contextmanager
def open_victims() -> Iterator[Victims]:
    """Give the victims of the server that ``AISC_VICTIMS_ADDRESS`` names, or those of this process.

    Raises:
        UsageError: ``VICTIMS_ADDRESS``.
    """
    endpoint = endpoint_from(os.environ)
    if endpoint is None:
        yield LocalVictims()
        return
    from aisc.adapters.triton import TritonVictims  # the client takes a second to load, and most tasks need none

    victims = TritonVictims(endpoint)
    try:
        yield victims
    finally:
        victims.close()
