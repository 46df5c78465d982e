"""A season on this machine: its file, ledger, store, cache, logs and signing key."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aisc.adapters.store import open_store
from aisc.adapters.triton_endpoint import endpoint_from
from aisc.adapters.workbench import CACHE, LEDGER, STORE
from aisc.engine.local import LOGS, SIGNING_KEY, LocalEngine
from aisc.leaderboard.signing import make_key
from aisc.ledger import open_ledger
from aisc.season import Season, load_season
from aisc.stages.publish_leaderboard import PUBLIC_KEY
from aisc.workbench import Workbench

PRIVATE_KEY = "board-key.pem"


@dataclass(frozen=True, slots=True)
class Workspace:
    """An opened season.

    Attributes:
        season: The season.
        bench: Its ledger, store and cache.
        logs: Folder of the engine's logs.
        key: Private key that signs boards; the public one lies beside it.
    """

    season: Season
    bench: Workbench
    logs: Path
    key: Path

    def engine(self) -> LocalEngine:
        """Give the engine of this machine, with the environment that its tasks need.

        Raises:
            UsageError: ``VICTIMS_ADDRESS``.
        """
        served = endpoint_from(os.environ)
        environment = (served.environment if served else {}) | {
            LEDGER: self.season.ledger_url,
            STORE: self.season.store_url,
            CACHE: str(self.bench.cache),
            LOGS: str(self.logs),
            SIGNING_KEY: str(self.key),
        }
        return LocalEngine(self.bench.cache, self.logs, environment)


@contextmanager
def open_workspace(season_file: Path) -> Iterator[Workspace]:
    """Open a season; ledger tables and signing key are made the first time."""
    season = load_season(season_file)
    folder = season_file.resolve().parent
    ledger = open_ledger(season.ledger_url, create=True)
    try:
        key = folder / "keys" / PRIVATE_KEY
        # A lost private key is no reason for a second one: the boards that it signed name the public half.
        if not key.exists() and not key.with_name(PUBLIC_KEY).exists():
            key.parent.mkdir(mode=0o700, exist_ok=True)
            make_key(key, key.with_name(PUBLIC_KEY))
        bench = Workbench(ledger, open_store(season.store_url), folder / "cache")
        yield Workspace(season, bench, folder / "logs", key)
    finally:
        ledger.close()
