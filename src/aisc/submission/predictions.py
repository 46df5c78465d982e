"""What a defence answers: one row a picture in `predictions.csv`; docs/formats/safair-defence.md describes the table.

By rule 6 a defence that errs on an input has failed on it: a row that is missing or no answer is a wrong answer, and
the others count. A table that names pictures twice, or pictures that nobody asked about, is refused as a whole.

The program is a stranger's, and so is its table (THREATS T35 to T37): it is read line by line, no further than one row
past the last picture, and no finding repeats a cell (T41).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError
from aisc.submission.findings import Findings, Rule

ANSWER_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("ANSWER_COLUMNS", "refused", "Write exactly the columns that the task asks for, in order, unquoted."),
        Rule("ANSWER_LINE_TOO_LONG", "refused", "Keep a row below 1024 bytes; none needs more."),
        Rule("ANSWER_TOO_MANY_ROWS", "refused", "Write one row a picture and nothing after the last."),
        Rule("ANSWER_UNKNOWN", "refused", "Name pictures by their file names in the batch folder."),
        Rule("ANSWER_REPEATED", "refused", "Write each picture once."),
        Rule("ANSWER_MISSING", "failed", "Write a row for every picture of the batch."),
        Rule("ANSWER_WRONG_KIND", "failed", "Write whole numbers: who it is, or 0 and 1 for each attribute."),
    )
}  # fmt: skip

_LONGEST: Final = 1024


class Question(NamedTuple):
    """What a task asks for.

    Attributes:
        names: File names of the pictures, all different, in the order of the answers to come.
        columns: Names of the answer's numbers: ``person``, or one an attribute.
        choices: How many values a number has: 0 to ``choices - 1``.
    """

    names: Sequence[str]
    columns: tuple[str, ...]
    choices: int


class Answers(NamedTuple):
    """Answers in the order of the pictures.

    Attributes:
        values: `(n, columns)` int64; -1 where there is no answer.
        answered: `(n,)` bool.
    """

    values: NDArray[np.int64]
    answered: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AnswersReport:
    """What the check of a table found.

    Attributes:
        findings: All findings, with the line of the file, from 1 for the header.
        answers: The answers, or ``None`` where the table is refused.
    """

    findings: Findings
    answers: Answers | None


def ask_people(names: Sequence[str], people: int) -> Question:
    """Ask who is shown, out of so many people."""
    return Question(names, ("person",), people)


def ask_attributes(names: Sequence[str], attributes: Sequence[str]) -> Question:
    """Ask which attributes are seen."""
    return Question(names, tuple(attributes), 2)


def write_predictions(path: Path, question: Question, values: NDArray[np.integer]) -> None:
    """Write answers `(n, columns)` as a table, as a defence does."""
    rows = [",".join(["image", *question.columns])]
    rows += [",".join([name, *map(str, row)]) for name, row in zip(question.names, values.tolist(), strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def read_predictions(path: Path, question: Question) -> AnswersReport:
    """Check a table of answers and read it.

    Raises:
        UsageError: PREDICTIONS_FILE: there is no regular file at ``path``.
    """
    if path.is_symlink() or not path.is_file():
        raise UsageError("PREDICTIONS_FILE", f"{path} is no regular file.", "Give the table that the program wrote.")
    with path.open("rb") as file:
        return read_answers(file, path.name, question)


def read_answers(file: BinaryIO, name: str, question: Question) -> AnswersReport:
    """Check and read a table from an open file, however long it is; `name` is for the findings."""
    findings = Findings()
    places = {one.encode(): place for place, one in enumerate(question.names)}
    values = np.full((len(places), len(question.columns)), -1, np.int64)
    allowed = {str(choice).encode(): choice for choice in range(question.choices)}
    seen = np.zeros(len(places), bool)

    def add(code: str, line: int, what: str) -> None:
        findings.add(ANSWER_RULES[code].broken(f"{name}, line {line}", f"In line {line}, {what}"))

    if _without_end(file.readline(_LONGEST + 1)) != ",".join(["image", *question.columns]).encode():
        add("ANSWER_COLUMNS", 1, "the header is not the one that the task asks for.")
        return AnswersReport(findings, None)
    for number in range(2, len(places) + 3):
        line = file.readline(_LONGEST + 1)
        if not line:
            break
        if len(line) > _LONGEST:
            add("ANSWER_LINE_TOO_LONG", number, f"the row has more than {_LONGEST} bytes.")
            break
        if number == len(places) + 2:
            add("ANSWER_TOO_MANY_ROWS", number, f"there are {len(places)} pictures, and here is one more row.")
            break
        picture, *cells = _without_end(line).split(b",")
        place = places.get(picture)
        if place is None:
            add("ANSWER_UNKNOWN", number, "the picture is none of the batch.")
        elif seen[place]:
            add("ANSWER_REPEATED", number, "the picture has a row already.")
        else:
            seen[place] = True
            if len(cells) == len(question.columns) and all(cell in allowed for cell in cells):
                values[place] = [allowed[cell] for cell in cells]
            else:
                add("ANSWER_WRONG_KIND", number, "the cells are no answer to what was asked.")
    for place in np.flatnonzero(~seen).tolist():
        text = f"{question.names[place]} has no row."
        findings.add(ANSWER_RULES["ANSWER_MISSING"].broken(name, text))
    if findings.refused:
        return AnswersReport(findings, None)
    return AnswersReport(findings, Answers(values, np.asarray((values >= 0).all(axis=1))))


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")
