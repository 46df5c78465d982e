import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aisc.errors import PlatformError, UsageError
from aisc.identity import Asset, Version
from aisc.leaderboard.board import Board, Bound, Measure
from aisc.leaderboard.entry import Interval, Part, Past


@pytest.fixture
def rows(entry: Any, noon: Any) -> list[Any]:
    return [
        entry("b", 5330 / 9000, interval=Interval(0.58123456789, 0.6), parts=(Part("irse", 1 / 3), Part("n", 3000))),
        entry("a", 5714 / 9000, history=(Past(noon, 2 / 3),)),
        entry("late", state="void", reason_code="PATCH_REGIONS"),
    ]


def test_a_board_survives_its_bytes(board: Any, rows: list[Any]) -> None:
    made = board(rows, top=1)
    assert Board.from_bytes(made.as_bytes()) == made
    assert [row.entry.score for row in made.ranked] == [0.634889, 0.592222]  # as published, RULES.md section C
    assert [entry.team for entry in made.unranked] == ["late"]


def test_the_digest_is_of_the_published_bytes(board: Any, rows: list[Any]) -> None:
    made = board(rows)
    assert made.sha256 == hashlib.sha256(made.as_bytes()).hexdigest()


def test_the_bytes_do_not_depend_on_the_order_of_entries(board: Any, rows: list[Any]) -> None:
    assert board(rows).as_bytes() == board(rows[::-1]).as_bytes()


def floats(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from floats(each)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("digits", [2, 3, 6])
def test_T42_everything_public_is_rounded_to_the_stage_s_digits(board: Any, rows: list[Any], digits: int) -> None:
    made = board(rows, measure=Measure(name="s", digits=digits))
    content = json.loads(made.as_bytes())
    found = list(floats([content["ranked"], content["unranked"]]))
    assert len(found) >= 6
    assert all(len(repr(number).partition(".")[2]) <= digits for number in found)


def test_T42_one_image_more_is_invisible_on_a_coarse_board(board: Any, entry: Any) -> None:
    shown = {board([entry("a", hits / 9000)], measure=Measure(name="s", digits=2)).as_bytes() for hits in (5000, 5001)}
    assert len(shown) == 1


def test_ranks_follow_from_the_published_scores(board: Any, entry: Any) -> None:
    made = board([entry("a", 0.12341), entry("b", 0.12342)], measure=Measure(name="s", digits=4))
    assert [(row.rank, row.entry.team) for row in made.ranked] == [(1, "a"), (1, "b")]
    assert "4 decimal places" in made.tie_rule


def test_boards_are_numbered_and_chained(board: Any, rows: list[Any]) -> None:
    first = board(rows)
    second = board(rows, previous=first)
    assert (first.number, first.previous_sha256) == (1, "")
    assert (second.number, second.previous_sha256) == (2, hashlib.sha256(first.as_bytes()).hexdigest())


def test_a_board_never_mixes_versions(board: Any, rows: list[Any], entry: Any) -> None:
    with pytest.raises(PlatformError, match="this version"):
        board([*rows, entry("c", 0.4, version="another")])


def test_the_bound_version_is_named_as_the_run_s() -> None:
    version = Version(
        stage="face/preliminary",
        rules="face-verification-patch",
        data=Asset("data", "faces/pairs", "d" * 64, "somewhere"),
        victims=(Asset("victim", "irse", "1" * 64, "x"), Asset("victim", "vgg", "2" * 64, "y")),
        limits={"patches": 5, "area": 0.1, "nested": {"a": [1, None]}},
        seed=3,
        code="c0de",
    )
    assert Bound.of(version).sha256 == version.sha256


@pytest.mark.parametrize("change", [{"stage": "final"}, {"season": "other"}, {"track": "driving"}])
def test_a_chain_stays_with_one_stage(board: Any, change: dict[str, str]) -> None:
    with pytest.raises(PlatformError, match="same season"):
        board(previous=board(), **change)


def test_a_board_is_not_older_than_the_one_before(board: Any) -> None:
    first = board()
    with pytest.raises(PlatformError, match="older"):
        board(previous=first, generated_at=first.generated_at - timedelta(seconds=1))


def test_a_team_holds_one_place(board: Any, entry: Any) -> None:
    with pytest.raises(PlatformError, match="one place"):
        board([entry("a", 0.5), entry("a", 0.4, submission="other")])


def test_places_cannot_be_written_by_hand(board: Any, rows: list[Any]) -> None:
    made = board(rows)
    with pytest.raises(PlatformError, match="places follow"):
        replace(made, ranked=made.ranked[::-1])


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b'"rank":2', b'"rank":1', "BOARD_UNREADABLE"),
        (b'"score":0.592222', b'"score":0.5922221', "BOARD_UNREADABLE"),
        (b'"score":0.592222', b'"score":0.59222200', "BOARD_NOT_CANONICAL"),
        (b'"season":"dev"', b'"season":"x","season":"dev"', "BOARD_NOT_CANONICAL"),
        (b'"season":"dev"', b'"season": "dev"', "BOARD_NOT_CANONICAL"),
        (b'"season":"dev"', b'"season":"dev","zzz":1', "BOARD_UNREADABLE"),
        (b'"score":0.592222', b'"score":NaN', "BOARD_UNREADABLE"),
        (b"{", b"[", "BOARD_UNREADABLE"),
    ],
)
def test_reading_a_board_is_strict(board: Any, rows: list[Any], before: bytes, after: bytes, code: str) -> None:
    data = board(rows).as_bytes()
    assert before in data
    with pytest.raises(UsageError, match=code):
        Board.from_bytes(data.replace(before, after, 1))


def test_a_board_that_is_no_object_is_refused() -> None:
    for data in (b"[]", b"\xff", b"1"):
        with pytest.raises(UsageError, match="BOARD_UNREADABLE"):
            Board.from_bytes(data)
