from dataclasses import replace
from typing import Any

from rich.console import Console

from aisc.leaderboard.diff import as_table, diff


def shown(value: Any) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - only the record counts
    console.print(value)
    return console.export_text()


def test_every_kind_of_move_is_named(board: Any, entry: Any) -> None:
    before = board(
        [entry("up", 0.1), entry("down", 0.5), entry("same", 0.9), entry("gone", 0.05), entry("lost", 0.04),
         entry("found"), entry("still")]
    )  # fmt: skip
    after = board(
        [entry("up", 0.6), entry("down", 0.5), entry("same", 0.95), entry("new", 0.01), entry("lost"),
         entry("found", 0.02), entry("still")], previous=before
    )  # fmt: skip
    found = diff(before, after)
    assert {move.team: move.kind for move in found.moves} == {
        "same": "same", "up": "up", "down": "down", "found": "ranked", "new": "new", "lost": "unranked",
        "still": "same", "gone": "gone",
    }  # fmt: skip
    assert [move.team for move in found.moves][-1] == "gone"
    changes = {move.team: move.score_change for move in found.moves}
    assert round(changes["same"], 6) == 0.05
    assert changes["new"] is None
    assert "still" not in {move.team for move in found.changed}
    assert found.version == ()


def test_two_equal_boards_do_not_differ(board: Any, entry: Any) -> None:
    one = board([entry("a", 0.5)])
    assert diff(one, one).changed == ()


def test_a_new_version_is_named_field_by_field(board: Any, entry: Any, bound: Any) -> None:
    before = board([entry("a", 0.5)])
    other = replace(bound, code="new", victims={"irse": "2" * 64, "mobile": "3" * 64})
    after = board([entry("a", 0.5, version=other.sha256)], version=other, previous=before)
    changes = {change.field: (change.before, change.after) for change in diff(before, after).version}
    assert changes == {
        "code": ("0123456789abcdef", "new"),
        "victims.mobile": ("", "3" * 64),
        "victims.vgg": ("1" * 64, ""),
    }
    assert "not comparable" in shown(as_table(diff(before, after)))


def test_the_table_shows_moves_and_treats_names_as_text(board: Any, entry: Any) -> None:
    before = board([entry("[red]x[/red]", 0.1), entry("b", 0.5)])
    after = board([entry("[red]x[/red]", 0.6), entry("b", 0.5)], previous=before)
    text = shown(as_table(diff(before, after)))
    assert "[red]x[/red]" in text
    assert "2 → 1" in text
    assert "0.100000 → 0.600000" in text
    assert "+0.500000" in text


def test_as_json_is_plain(board: Any, entry: Any) -> None:
    one = board([entry("a", 0.5)])
    assert diff(one, one).as_json()["moves"][0]["before"]["rank"] == 1
