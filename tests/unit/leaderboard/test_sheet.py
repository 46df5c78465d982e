import csv
import io
import re
import unicodedata
from typing import Any

import pandas as pd
import pytest

from aisc.leaderboard.entry import Interval, Part
from aisc.leaderboard.sheet import as_csv, inert

BLANKS = ["", " ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00", " \t\n"]
STARTS = ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


def starts_formula(cell: str) -> bool:
    """What a spreadsheet might run: blanks, control and invisible signs skipped, full-width signs folded."""
    seen = "".join(sign for sign in cell if unicodedata.category(sign) not in ("Cc", "Cf", "Zs"))
    return unicodedata.normalize("NFKC", seen)[:1] in tuple("=+-@")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("blank", BLANKS)
def test_T52_formulas_are_inert_also_after_blanks(blank: str, start: str) -> None:
    attack = f"{blank}{start}HYPERLINK(1)"
    assert starts_formula(attack)
    assert not starts_formula(inert(attack))
    assert inert(attack).replace("'", "") == attack


@pytest.mark.parametrize("separator", [";", "|", "\t", "\n"])
def test_T52_formulas_are_inert_where_a_program_splits_at_another_sign(separator: str) -> None:
    cells = re.split(f"[{separator}]", inert(f"team{separator} =1+1"))
    assert not any(starts_formula(cell) for cell in cells)


@pytest.mark.parametrize("name", ["Team A-1", "a=b", "x@y", "O'Hara", "北京", "1+1"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert inert(name) == name


def test_T52_no_text_cell_of_a_board_is_a_formula(board: Any, entry: Any) -> None:
    hostile = "\t=cmd|' /C calc'!A0"
    made = board(
        [
            entry(hostile, -0.5, parts=(Part("=part", -1.25),), flags=("@flag",)),
            entry("+b", reason="-reason", reason_code="=CODE"),
        ]
    )
    table = list(csv.reader(io.StringIO(as_csv(made), newline="")))
    numeric = {"rank", "score", "low", "high", "'=part", "submissions"}
    for row in table[1:]:
        for name, cell in zip(table[0], row, strict=True):
            assert name in numeric or not starts_formula(cell)
    assert not any(starts_formula(name) for name in table[0])
    assert table[1][2] == "-0.500000"


def test_the_table_reads_back_with_its_numbers(board: Any, entry: Any) -> None:
    rows = [
        entry('b, "q"', 0.25, interval=Interval(0.2, 0.3), parts=(Part("irse", 0.125), Part("legal images", 2999))),
        entry("a", 1e-6),
        entry("out", reason="too slow"),
    ]
    frame = pd.read_csv(io.StringIO(as_csv(board(rows, top=1))))
    assert frame["team"].tolist() == ['b, "q"', "a", "out"]
    assert frame["score"].tolist()[:2] == [0.25, 0.000001]
    assert frame["legal images"].tolist()[0] == 2999
    assert frame["rank"].isna().tolist() == [False, False, True]
    assert frame["advances"].tolist() == ["yes", "no", "no"]
