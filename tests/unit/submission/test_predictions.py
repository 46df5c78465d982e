"""The defence's table: rule 6 row by row, and what refuses the whole."""

import io
import re
from pathlib import Path

import numpy as np
import pytest

from aisc.errors import UsageError
from aisc.submission.predictions import (
    ANSWER_RULES,
    ask_attributes,
    ask_people,
    read_answers,
    read_predictions,
    write_predictions,
)

NAMES = ["a.png", "b.png", "c.png"]
WHO = ask_people(NAMES, 20)
WHAT = ask_attributes(NAMES, ["hat", "beard"])
PAGE = Path(__file__).parents[3] / "docs" / "formats" / "safair-defence.md"


def read(text, question=WHO):
    return read_answers(io.BytesIO(text.encode()), "predictions.csv", question)


def codes(report):
    return dict(report.findings.counts)


def test_answers_come_in_the_order_of_the_pictures():
    report = read("image,person\nc.png,3\na.png,19\nb.png,0\n")
    assert report.answers.values.tolist() == [[19], [0], [3]]
    assert report.answers.answered.all()
    assert not report.findings.listed


def test_attributes_are_zeros_and_ones():
    report = read("image,hat,beard\r\na.png,1,0\r\nb.png,0,0\r\nc.png,1,1\r\n", WHAT)
    assert report.answers.values.tolist() == [[1, 0], [0, 0], [1, 1]]


def test_what_is_written_is_what_is_read(tmp_path):
    for question, values in ((WHO, [[4], [5], [6]]), (WHAT, [[0, 1], [1, 1], [1, 0]])):
        write_predictions(tmp_path / "predictions.csv", question, np.array(values))
        assert read_predictions(tmp_path / "predictions.csv", question).answers.values.tolist() == values


@pytest.mark.parametrize(
    "cells",
    ["20", "-1", "1.0", "NaN", "inf", "True", "", " 3", "3 ", '"3"', "03", "+3", "1e0", "3,4", "٣", "=1+1", "person"],
)
def test_T35_a_cell_that_is_no_answer_fails_this_input_alone(cells):
    report = read(f"image,person\na.png,1\nb.png,{cells}\nc.png,2\n")
    assert codes(report) == {"ANSWER_WRONG_KIND": 1}
    (finding,) = report.findings.listed
    assert (finding.where, finding.effect) == ("predictions.csv, line 3", "failed")
    assert report.answers.answered.tolist() == [True, False, True]
    assert report.answers.values.tolist() == [[1], [-1], [2]]


def test_half_an_answer_about_attributes_is_none():
    report = read("image,hat,beard\na.png,1\nb.png,1,2\nc.png,1,1\n", WHAT)
    assert report.answers.values.tolist() == [[-1, -1], [-1, -1], [1, 1]]
    assert report.answers.answered.tolist() == [False, False, True]


def test_T36_a_missing_picture_is_failed_and_named():
    report = read("image,person\na.png,1\nc.png,2\n")
    assert codes(report) == {"ANSWER_MISSING": 1}
    assert report.findings.listed[0].message == "b.png has no row."
    assert report.answers.answered.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("image,person\na.png,1\na.png,1\nb.png,2\n", "ANSWER_REPEATED"),
        ("image,person\na.png,1\nx.png,1\nb.png,2\n", "ANSWER_UNKNOWN"),
        ("image,person\na.png,1\nA.png,1\nb.png,2\n", "ANSWER_UNKNOWN"),
        ("image,person\na.png,1\nb.png,1\nc.png,2\nd.png,1\n", "ANSWER_TOO_MANY_ROWS"),
        ("image,person\na.png,1\nb.png,1\nc.png,2\n\n", "ANSWER_TOO_MANY_ROWS"),
        ("image,who\na.png,1\n", "ANSWER_COLUMNS"),
        ("", "ANSWER_COLUMNS"),
        ("\ufeffimage,person\na.png,1\n", "ANSWER_COLUMNS"),
        ("image,person\na.png," + "1" * 2000 + "\n", "ANSWER_LINE_TOO_LONG"),
    ],
)
def test_T36_T37_a_table_that_answers_other_questions_is_refused(text, code):
    report = read(text)
    assert report.answers is None
    assert report.findings.refused
    assert code in codes(report)


def test_T37_an_endless_table_is_read_no_further_than_one_row_past_the_last():
    class Endless(io.RawIOBase):
        read_bytes = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            block = (b"image,person\n" if not self.read_bytes else b"") + b"a.png,1\n" * 1000
            buffer[:] = block[: len(buffer)]
            self.read_bytes += len(buffer)
            return len(buffer)

    source = Endless()
    report = read_answers(io.BufferedReader(source, 1024), "predictions.csv", WHO)
    assert report.findings.refused
    assert source.read_bytes < 10_000


def test_T41_no_finding_repeats_a_cell():
    report = read("image,person\na.png,canary\ncanary,1\nb.png,1\n")
    assert "canary" not in str(report.findings.as_json())


def test_T39_a_link_is_not_followed(tmp_path):
    (tmp_path / "table.csv").write_text("image,person\n")
    (tmp_path / "predictions.csv").symlink_to(tmp_path / "table.csv")
    with pytest.raises(UsageError) as caught:
        read_predictions(tmp_path / "predictions.csv", WHO)
    assert caught.value.code == "PREDICTIONS_FILE"


def test_the_page_lists_exactly_the_codes():
    rows = re.findall(r"^\| `(ANSWER_[A-Z_]+)` \| (\w+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert {code: (effect, remedy) for code, effect, remedy in rows} == {
        code: (rule.effect, rule.remedy) for code, rule in ANSWER_RULES.items()
    }
