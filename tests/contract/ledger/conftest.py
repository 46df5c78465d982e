"""The ledgers under contract: SQLite always, PostgreSQL where a real server can be started."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from aisc.identity import Asset, Plan, Version
from aisc.ledger import Ledger, open_ledger
from aisc.ledger.leases import this_process
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Gate, Receipt
from aisc.store import blob_key
from tests.services import postgresql as postgresql_service

MEMORY = "/dev/shm"  # noqa: S108 - the folder is made by tempfile
NOON = datetime(2022, 3, 1, 12, tzinfo=UTC)
DEAD = f"{socket.gethostname()}:{os.getpid()}:0"
"""An owner on this machine with a living process's number and another one's start: surely gone."""
ELSEWHERE = "another-machine:4711:1234"
"""An owner of whom this machine can know nothing but its lease."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A running PostgreSQL server with an empty database ``aisc``; it ends with the session."""
    if not postgresql_service.available():
        pytest.skip(postgresql_service.MISSING)
    with postgresql_service.running_postgresql() as server:
        server.command("CREATE DATABASE aisc")
        yield server


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is tested is locking, not the speed of a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, memory: Path) -> Iterator[str]:
    """Address of a ledger without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{memory}/ledger.db"
        return
    server = request.getfixturevalue("postgresql")
    schema = f"s{uuid4().hex[:12]}"
    with server.connect("aisc") as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{server.url('aisc')}&options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


class Clock:
    """A clock that tests set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    """The ledger's time in this test."""
    return Clock()


@pytest.fixture
def open_again(url: str) -> Iterator[Callable[..., Ledger]]:
    """Open one and the same ledger, as another process would, with connections of its own."""
    opened = []

    def open_one(clock: Callable[[], datetime] | None = None) -> Ledger:
        opened.append(open_ledger(url, create=True, clock=clock))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@dataclass
class Scene:
    """A ledger with a few words to bring it into the state that a test is about."""

    ledger: Ledger
    clock: Clock
    stage: str = "face/preliminary"
    gate: Gate = field(
        default_factory=lambda: Gate(NOON - timedelta(days=30), NOON + timedelta(days=30), None, None, whole_day)
    )
    me: str = field(default_factory=this_process)

    def submit(self, team: str = "A", content: str = "file", **gate: Any) -> Receipt:
        """Submit under the scene's gate, or one with the given quota, and confirm; the team is made if need be."""
        if team not in [known.name for known in self.ledger.teams.all()]:
            self.ledger.teams.add(team)
        return self.ledger.submissions.confirm(self.reserve(team, content, **gate).id)

    def reserve(self, team: str, content: str, **gate: Any) -> Receipt:
        """Reserve only."""
        door = Gate(**{name: getattr(self.gate, name) for name in Gate.__slots__} | gate)
        name = sha256(content.encode()).hexdigest()
        return self.ledger.submissions.reserve(team, self.stage, name, len(content), f"{content[:9]}.zip", door)

    def queue(self, receipt: Receipt, *, attempts: int = 3, seed: int = 0, stage: str = "") -> str:
        """Queue a run of a submission and give its key."""
        version = Version(stage or self.stage, "rules", None, (), {}, seed, "code")
        archive = Asset("submission", receipt.id, receipt.sha256, blob_key(receipt.sha256))
        plan = Plan(version, archive, season="aisc-2022", digits=6)
        self.ledger.runs.enqueue(plan, attempts)
        return plan.run_key

    def queued(self, team: str = "A", content: str = "file", **queue: Any) -> str:
        """Submit and queue."""
        return self.queue(self.submit(team, content), **queue)

    def running(self, team: str = "A", content: str = "file", owner: str = "", **queue: Any) -> str:
        """Submit, queue and claim."""
        key = self.queued(team, content, **queue)
        assert self.ledger.runs.claim(key, owner or self.me) == 1
        return key

    def score(self, key: str, value: float = 0.5, **also: Any) -> None:
        """End a running run with a score."""
        self.ledger.runs.begin_step(key, "publish_result")
        score = Score(value, value - 0.1, value + 0.1, {"part": value})
        self.ledger.runs.finish(
            key, "publish_result", "scored", code="", message="", result_key=f"results/{key}.tar", score=score, **also
        )

    def attempt(self, key: str) -> int:
        """Claim a pending run."""
        number = self.ledger.runs.claim(key, self.me)
        assert number is not None
        return number


def whole_day(instant: datetime) -> tuple[datetime, datetime]:
    """Give the UTC day around an instant."""
    start = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + timedelta(days=1)


@pytest.fixture
def scene(open_again: Callable[..., Ledger], clock: Clock) -> Scene:
    """An empty ledger under a clock that the test sets."""
    return Scene(open_again(clock), clock)


@pytest.fixture
def dead() -> str:
    """An owner that is surely gone."""
    return DEAD


@pytest.fixture
def elsewhere() -> str:
    """An owner on another machine."""
    return ELSEWHERE
