from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from aisc.errors import PlatformError, UsageError
from aisc.leaderboard.entry import Entry, Interval, Part, Past, in_utc, published


@pytest.fixture
def full(entry: Any) -> Entry:
    return entry(
        "Équipe <1>",
        0.634888889,
        interval=Interval(0.62, 0.65),
        evaluated_at=datetime(2022, 4, 2, tzinfo=UTC),
        parts=(Part("irse", 0.5123456789), Part("legal images", 2999)),
        history=(Past(datetime(2022, 3, 31, tzinfo=UTC), 0.1),),
        flags=("awaiting review",),
        submissions=4,
    )


def test_a_row_survives_json_unchanged(full: Entry) -> None:
    again = Entry.from_json(full.as_json())
    assert again == full
    assert [type(part.value) for part in again.parts] == [float, int]


@pytest.mark.parametrize(
    "change",
    [
        {"score": True},
        {"score": "0.5"},
        {"score": float("nan")},
        {"submissions": 1.5},
        {"state": "winner"},
        {"logits": [1.0]},
        {"submitted_at": "2022-04-01T12:00:00+02:00"},
        {"parts": [{"name": "irse", "value": 1, "image": "0001.png"}]},
    ],
)
def test_reading_is_strict(full: Entry, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="ENTRY_UNREADABLE"):
        Entry.from_json(full.as_json() | change)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_T53_no_row_carries_a_score_that_is_no_number(entry: Any, score: float) -> None:
    with pytest.raises(PlatformError, match="finite"):
        entry("a", score)


@pytest.mark.parametrize(
    "change",
    [
        {"score": None},
        {"version": ""},
        {"team": "  "},
        {"team": "\ud800"},
        {"state": "void", "reason_code": "PATCH_REGIONS"},  # void is not zero: it has no score at all
        {"submissions": 0},
        {"submitted_at": datetime(2022, 4, 1)},
        {"submitted_at": datetime(2022, 4, 1, tzinfo=timezone(timedelta(hours=8)))},
        {"parts": (Part("x", 1), Part("x", 2))},
    ],
)
def test_contradictory_rows_cannot_be_made(full: Entry, change: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="ENTRY_INVALID"):
        replace(full, **change)


def test_without_a_score_a_row_says_why_and_never_advances(entry: Any) -> None:
    with pytest.raises(PlatformError, match="says why"):
        entry("a", reason_code="")
    with pytest.raises(PlatformError, match="advances"):
        entry("a", advances=True)


def test_intervals_are_ordered() -> None:
    with pytest.raises(PlatformError):
        Interval(0.6, 0.5)


def test_rounding_keeps_counts_whole(full: Entry) -> None:
    row = full.public(3)
    assert (row.score, row.parts) == (0.635, (Part("irse", 0.512), Part("legal images", 2999)))
    assert isinstance(row.parts[1].value, int)


def test_published_has_no_negative_zero() -> None:
    assert str(published(-0.0001, 2)) == "0.0"


def test_instants_are_brought_to_utc() -> None:
    assert in_utc(datetime(2022, 4, 1, 20, tzinfo=timezone(timedelta(hours=8)))).hour == 12
    with pytest.raises(PlatformError, match="TIME_WITHOUT_ZONE"):
        in_utc(datetime(2022, 4, 1))


def test_T44_a_reason_that_quotes_a_hostile_name_stays_short_and_printable(entry: Any, board: Any) -> None:
    row = entry("a", reason="the file \ud800\x1b[31m\n" + "x" * 10_000).public(6)
    assert len(row.reason) == 300
    assert row.reason.isprintable()
    assert row.public(6) == row
    board([entry("a", reason="\ud800")]).as_bytes()
