"""Build what a component needs from its environment: the only way a task learns of the ledger and the store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aisc.adapters.store import open_store
from aisc.errors import PlatformError
from aisc.ledger import open_ledger
from aisc.workbench import Workbench

LEDGER = "AISC_LEDGER"
STORE = "AISC_STORE"
CACHE = "AISC_CACHE"
ATTEMPT = "AISC_ATTEMPT"


@contextmanager
def open_workbench() -> Iterator[Workbench]:
    """Open the ledger and the store that the environment names.

    Raises:
        PlatformError: ``ENVIRONMENT_MISSING`` when a variable is not set.
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
        yield Workbench(ledger, store, Path(os.environ[CACHE]), int(attempt) if attempt else None)
    finally:
        ledger.close()
