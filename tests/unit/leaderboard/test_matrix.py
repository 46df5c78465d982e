"""A tournament's matrix on a board: what may stand there, how it is drawn, and that older boards stay as they were."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisc.errors import PlatformError, UsageError
from aisc.leaderboard.board import Board, Measure
from aisc.leaderboard.heat_map import CELL_HEIGHT, CELL_WIDTH, draw_matrix
from aisc.leaderboard.matrix import Matrix
from aisc.leaderboard.page import render_board

FULL = ((60.0, 20.25), (40.0, -3.5), (0.0, 1 / 3))
GAP = ((60.0, 20.25), (None, -3.5), (0.0, 1 / 3))
MEASURE = Measure(name="mean delta, points", digits=3)


def matrix(
    deltas: Any = FULL, side: Any = "attack", attacks: Any = ("a", "b", "c"), defences: Any = ("x", "y")
) -> Matrix:
    return Matrix(side=side, attacks=attacks, defences=defences, deltas=deltas)


@pytest.fixture
def rows(entry: Any) -> list[Any]:
    return [entry(team, float(np.mean(line))) for team, line in zip("abc", FULL, strict=True)]


def test_a_board_with_a_matrix_survives_its_bytes_rounded(board: Any, rows: list[Any]) -> None:
    made = board(rows, matrix=matrix(), measure=MEASURE)
    assert Board.from_bytes(made.as_bytes()) == made
    assert made.matrix is not None
    assert made.matrix.deltas[2] == (0, 0.333)


def test_a_board_without_one_has_the_bytes_it_always_had(board: Any, rows: list[Any]) -> None:
    made = board(rows)
    assert "matrix" not in made.as_json()
    assert b"matrix" not in made.as_bytes()
    assert Board.from_bytes(made.as_bytes()) == made


def test_nobody_is_ranked_whose_line_has_a_gap(board: Any, rows: list[Any], entry: Any) -> None:
    with pytest.raises(PlatformError, match="finished line"):
        board(rows, matrix=matrix(GAP), measure=MEASURE)
    waiting = entry("b", state="unfinished", reason_code="MATRIX_UNFINISHED")
    made = board([rows[0], waiting, rows[2]], matrix=matrix(GAP), measure=MEASURE)
    assert [row.entry.team for row in made.ranked] == ["a", "c"]
    assert made.matrix is not None
    assert made.matrix.missing == 1


def test_a_score_that_is_not_the_mean_of_its_line_is_refused(board: Any, rows: list[Any], entry: Any) -> None:
    with pytest.raises(PlatformError, match="finished line"):
        board([*rows[:2], entry("c", 1.0)], matrix=matrix(), measure=MEASURE)
    with pytest.raises(PlatformError, match="finished line"):
        board([*rows, entry("stranger", 1.0)], matrix=matrix(), measure=MEASURE)


def test_columns_judge_the_other_side(board: Any, entry: Any) -> None:
    columns = [entry("x", 100 / 3), entry("y", (20.25 - 3.5 + 1 / 3) / 3)]
    lowest_first = Measure(name="mean delta, points", digits=3, higher_is_better=False)
    made = board(columns, matrix=matrix(side="defence"), measure=lowest_first)
    assert [row.entry.team for row in made.ranked] == ["y", "x"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"deltas": FULL[:2]},
        {"deltas": ((1.0,), (2.0,), (3.0,))},
        {"attacks": ("a", "a", "c")},
        {"deltas": ((float("nan"), 0.0), *FULL[1:])},
    ],
)
def test_what_is_no_matrix_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="MATRIX_INVALID"):
        matrix(**wrong)


def test_a_file_with_another_shape_is_unreadable() -> None:
    with pytest.raises(UsageError, match="MATRIX_UNREADABLE"):
        Matrix.from_json(matrix().as_json() | {"deltas": [[1.0, "2"], [0.0, 0.0], [0.0, 0.0]]})


cells = st.one_of(st.none(), st.floats(-100, 100))


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_every_cell_has_a_place_of_its_own_and_colour_grows_with_the_delta(deltas: list[list[float | None]]) -> None:
    names = [f"team {number}" for number in range(12)]
    drawn = draw_matrix(
        matrix(tuple(map(tuple, deltas)), attacks=tuple(names[: len(deltas)]), defences=tuple(names[: len(deltas[0])]))
    )
    places = [(one.x, one.y) for one in (*drawn.cells, *drawn.means)]
    assert len(set(places)) == len(places)
    assert all(0 <= x <= drawn.width - CELL_WIDTH and 0 <= y <= drawn.height - CELL_HEIGHT for x, y in places)
    values = [value for row in deltas for value in row]
    for one, value in zip(drawn.cells, values, strict=True):
        assert one.text == ("" if value is None else f"{round(value, 1) + 0.0:.1f}")
    there = sorted(
        (value, float(one.strength)) for one, value in zip(drawn.cells, values, strict=True) if value is not None
    )
    assert [strength for _, strength in there] == sorted(strength for _, strength in there)
    whole_rows = [None if None in row else np.mean(row) for row in deltas]
    whole_columns = [None if None in column else np.mean(column) for column in zip(*deltas, strict=True)]
    for one, value in zip(drawn.means, [*whole_rows, *whole_columns], strict=True):
        assert (one.text == "") == (value is None)
        assert value is None or abs(float(one.text) - value) <= 0.0501


def drawing(page: str) -> ET.Element:
    found = re.search(r'<svg class="matrix".*?</svg>', page, re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])  # noqa: S314 - our own page


def test_the_page_draws_it_with_labels_numbers_and_hatched_gaps(board: Any, rows: list[Any], entry: Any) -> None:
    waiting = entry("b", state="unfinished", reason_code="MATRIX_UNFINISHED", reason="1 of 2 cells are there.")
    page = render_board(board([rows[0], waiting, rows[2]], matrix=matrix(GAP), measure=MEASURE))
    svg = drawing(page)
    texts = ["".join(text.itertext()) for kind in ("text", "bdi") for text in svg.iter(kind)]
    assert {"a", "b", "c", "x", "y", "60.0", "20.2", "-3.5", "0.3"} <= set(texts)
    hatched = [rect for rect in svg.iter("rect") if rect.get("fill") == "url(#hatch)"]
    assert len(hatched) == 3, "the cell, the mean of its row, the mean of its column"
    assert "Unfinished.</strong> 1 of 6 cells is not there yet" in page
    assert "Unfinished" in page.partition("Not ranked")[2]
    whole = render_board(board(rows, matrix=matrix(), measure=MEASURE))
    assert "url(#hatch)" not in whole
    assert "not there yet" not in whole
    assert '<svg class="matrix"' not in render_board(board(rows))


def test_T51_a_team_s_name_is_text_in_the_drawing(board: Any, entry: Any) -> None:
    hostile = "</text><script>alert(1)</script>"
    made = board(
        [entry(hostile, 5.0)], matrix=matrix(((5.0,),), attacks=(hostile,), defences=("x" * 80,)), measure=MEASURE
    )
    page = render_board(made)
    labels = {label.get("title"): "".join(label.itertext()) for label in drawing(page).iter("div")}
    assert labels == {hostile: hostile, "x" * 80: "x" * 80}
    assert "<script>alert" not in page
