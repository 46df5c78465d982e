"""A season with a ledger and a store of its own, its clock in the test's hand, and words to bring runs to an end."""

import os
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.identity import Asset, digest
from aisc.leaderboard.signing import make_key
from aisc.ledger import open_ledger
from aisc.ledger.leases import this_process
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Receipt
from aisc.reception import receive
from aisc.season import Season
from aisc.stages.publish_leaderboard import PUBLIC_KEY
from aisc.stages.sweep_stage import sweep_stage
from aisc.workbench import Workbench

MEMORY = "/dev/shm"  # noqa: S108 - the folder is made by tempfile
PRELIMINARY, EVALUATION, FINAL = "face/preliminary", "face/evaluation", "face/final"
SEASON = {
    "season": "aisc-2022-dev",
    "timezone": "UTC",
    "store": "./artifacts",
    "ledger": "sqlite:///ledger.db",
    "tracks": {
        "face": {
            "rules": "face-verification-patch",
            "stages": {
                "preliminary": {
                    "opens": "2022-03-01T00:00:00",
                    "closes": "2022-05-01T00:00:00",
                    "data": "faces/pairs",
                    "victims": ["irse", "mobile"],
                    "quota": {"per_day": 5},
                    "limits": {"max_archive_mib": 1},
                    "attempts": 2,
                },
                "evaluation": {
                    "after": "preliminary",
                    "victims": ["res", "wide"],
                    "review": "required",
                    "advance": {"top": 2},
                },
                "final": {"after": "evaluation", "results": "entered"},
            },
        }
    },
}


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2022, 3, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class World:
    """Everything that a stage works with."""

    bench: Workbench
    season: Season
    clock: Clock
    folder: Path

    def with_stage(self, name: str, **changed: Any) -> Season:
        """Give the season with another setting in one of its stages."""
        season: Any = deepcopy(SEASON)
        season["tracks"]["face"]["stages"][name].update(changed)
        return Season.model_validate(season)

    def submit(self, team: str = "A", content: str = "file") -> Receipt:
        """Submit to the preliminary, a second later than whatever came before."""
        self.clock.advance(seconds=1)
        if team not in [known.name for known in self.bench.ledger.teams.all()]:
            self.bench.ledger.teams.add(team)
        file = self.folder / "sent.zip"
        file.write_text(content)
        return receive(self.bench, self.season, PRELIMINARY, team, file)

    def key(self, receipt: Receipt, stage: str = PRELIMINARY) -> str:
        """Give the key of a submission's run under the pinned version of a stage."""
        version = self.bench.ledger.stages.pinned(stage)
        assert version is not None
        (run,) = [
            run
            for run in self.bench.ledger.runs.all(stage=stage, submission=receipt.id)
            if run.version_sha256 == version.sha256
        ]
        return run.run_key

    def end(self, key: str, value: float | None = None, *, code: str = "ZIP_BROKEN", message: str = "No zip.") -> None:
        """Claim a run and end it with a score, or with a refusal."""
        runs = self.bench.ledger.runs
        number = runs.claim(key, this_process())
        assert number is not None
        runs.begin_step(key, "publish_result", number)
        if value is None:
            verdict: dict[str, Any] = {"code": code, "message": message, "score": None}
        else:
            verdict = {"code": "", "message": "", "score": Score(value, value / 2, value, {"irse": value})}
        state = "refused" if value is None else "scored"
        runs.finish(key, "publish_result", state, result_key=f"results/{key}.tar", **verdict)

    def scored(self, team: str, *values: float | None) -> list[Receipt]:
        """Submit once a value (None is refused) and evaluate."""
        receipts = [self.submit(team, f"{team} {number} {value}") for number, value in enumerate(values)]
        sweep_stage(self.bench, self.season, PRELIMINARY)
        for receipt, value in zip(receipts, values, strict=True):
            self.end(self.key(receipt), value)
        return receipts

    def register(self, kind: str, name: str, content: str) -> None:
        """Make an asset known to the ledger; nobody opens it here."""
        sha256 = digest(content)
        self.clock.advance(seconds=1)
        self.bench.ledger.assets.register(Asset(kind, name, sha256, f"assets/{kind}/{sha256}.tar"))  # type: ignore[arg-type]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is tested is no disk's speed."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def world(memory: Path) -> Iterator[World]:
    """A season with its data and victims registered and no team yet."""
    clock = Clock()
    ledger = open_ledger(f"sqlite:///{memory}/ledger.db", create=True, clock=clock)
    made = World(
        Workbench(ledger, FolderStore(memory / "store"), memory / "cache"),
        Season.model_validate(SEASON),
        clock,
        memory,
    )
    made.register("data", "faces/pairs", "pairs 1")
    for victim in ("irse", "mobile", "res", "wide"):
        made.register("victim", victim, f"{victim} 1")
    yield made
    ledger.close()


@pytest.fixture
def signing_key(world: World) -> Path:
    """A private key for boards; its public half lies beside it."""
    folder = world.folder / "keys"
    folder.mkdir()
    make_key(folder / "board-key.pem", folder / PUBLIC_KEY)
    return folder / "board-key.pem"
