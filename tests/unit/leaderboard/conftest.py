"""Makers of small boards."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aisc.leaderboard.board import Board, Bound, Measure, build_board
from aisc.leaderboard.entry import Entry

NOON = datetime(2022, 4, 1, 12, tzinfo=UTC)
BOUND = Bound(
    stage="face/preliminary",
    rules="face-verification-patch",
    data={"faces/pairs": "d" * 64},
    victims={"vgg": "1" * 64, "irse": "2" * 64},
    limits={"patches": 5, "area": 0.1, "connectivity": 4},
    seed=7,
    code="0123456789abcdef",
)

MakeEntry = Callable[..., Entry]
MakeBoard = Callable[..., Board]


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def bound() -> Bound:
    return BOUND


@pytest.fixture
def entry() -> MakeEntry:
    """``entry("a", 0.5)`` is scored, ``entry("a", state="void")`` is not; keywords replace any field."""

    def make(team: str, score: float | None = None, **changes: Any) -> Entry:
        given: dict[str, Any] = {"team": team, "submission": f"id-{team}", "submitted_at": NOON, "score": score}
        if score is None:
            given |= {"state": "failed", "reason_code": "TIMEOUT"}
        else:
            given |= {"state": "scored", "version": BOUND.sha256}
        return Entry(**(given | changes))

    return make


@pytest.fixture
def board(entry: MakeEntry) -> MakeBoard:
    """``board([...])`` is a first board; ``board([...], previous=…)`` the next one."""

    def make(entries: Sequence[Entry] = (), **changes: Any) -> Board:
        previous = changes.get("previous")
        given: dict[str, Any] = {
            "season": "dev",
            "track": "face",
            "stage": "preliminary",
            "title": "Face",
            "version": BOUND,
            "measure": Measure(name="attack success rate"),
            "entries": entries,
            "generated_at": NOON + timedelta(days=1 + (previous.number if previous else 0)),
        }
        return build_board(**(given | changes))

    return make
