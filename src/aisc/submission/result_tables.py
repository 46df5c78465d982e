"""The table that a participant's program writes: for each probe its most similar gallery pictures (RULES.md A).

The program is a stranger's, and so is its table (THREATS T35 to T37). It is read line by line and never as a whole: a
line has at most a kibibyte, and reading ends one row after there are as many as probes, however long the file goes on.
A Parquet file becomes such lines in a process of its own (:mod:`aisc.submission.parquet_rows`), so that one parser
decides about both.

A program that read hidden pictures may write what it saw into its table. So no finding repeats a cell (T41).
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError
from aisc.submission.findings import Findings, Rule
from aisc.submission.parquet_rows import Outcome, is_parquet, write_lines

RESULT_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("RESULT_COLUMNS", "refused", "Write exactly the columns that the task asks for, in order, unquoted."),
        Rule("RESULT_CELLS", "refused", "Write one cell a column in every row, and no blank lines."),
        Rule("RESULT_LINE_TOO_LONG", "refused", "Keep a row below 1024 bytes: ids and plain numbers need 300."),
        Rule("RESULT_TOO_MANY_ROWS", "refused", "Write one row a probe and nothing after the last."),
        Rule("RESULT_PROBE_UNKNOWN", "refused", "Name probes by their file names in probe/, no ending."),
        Rule("RESULT_PROBE_REPEATED", "refused", "Write each probe once."),
        Rule("RESULT_PROBE_MISSING", "refused", "Write a row for every file in probe/."),
        Rule("RESULT_NEIGHBOUR_UNKNOWN", "refused", "Name neighbours by their file names in gallery/, no ending."),
        Rule("RESULT_NEIGHBOUR_REPEATED", "refused", "Name different gallery pictures in a row."),
        Rule("RESULT_NUMBER", "refused", "Write finite decimal numbers such as 0.25 or 1e-05; no NaN, no quotes."),
        Rule("RESULT_ORDER", "refused", "Write the most similar first; equal similarities are allowed."),
        Rule("RESULT_NOVELTY_RANGE", "refused", "Write a probability from 0 to 1."),
        Rule("RESULT_PARQUET", "refused", "Write it by `DataFrame.to_parquet(name, index=False)`, or as CSV."),
        Rule("RESULT_PARQUET_TYPE", "refused", "Store ids as strings and numbers as float32 or float64."),
        Rule("RESULT_PARQUET_COST", "refused", "Write a plain table, or CSV: it needs a few MiB."),
    )
}  # fmt: skip

_LONGEST: Final = 1024
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?")


class Expected(NamedTuple):
    """What a task asks for.

    Attributes:
        probes: Ids, all different, in the order of the table's rows to come.
        gallery: Ids, all different; neighbours become indices into it.
        neighbours: How many for each probe.
        novelty: Whether the column ``novelty`` is asked for.
    """

    probes: Sequence[str]
    gallery: Sequence[str]
    neighbours: int = 5
    novelty: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Give the columns in their order.

        >>> Expected((), (), 2, True).columns
        ('probe', 'g1', 'g2', 's1', 's2', 'novelty')
        """
        ranks = range(1, self.neighbours + 1)
        return "probe", *(f"g{k}" for k in ranks), *(f"s{k}" for k in ranks), *(("novelty",) if self.novelty else ())


class ResultTable(NamedTuple):
    """A table that was read, in the order of the task's probes.

    Attributes:
        neighbours: ``(n, k)`` int64: indices into the gallery, best first.
        similarities: ``(n, k)`` float64, finite, not increasing along a row.
        novelty: ``(n,)`` float64 in [0, 1], or ``None`` where it is not asked for.
    """

    neighbours: NDArray[np.int64]
    similarities: NDArray[np.float64]
    novelty: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class ResultReport:
    """What the check of a table found.

    Attributes:
        findings: All findings, with the line of a CSV file (from 1, the header is line 1) or the row of a Parquet file.
        table: The table, or ``None`` where it is refused.
    """

    findings: Findings
    table: ResultTable | None


def read_result(path: Path, expected: Expected) -> ResultReport:
    """Check a result table and read it.

    Args:
        path: CSV, or Parquet if it begins like that.
        expected: What the task asks for.

    Returns:
        The report, for a refused table too.

    Raises:
        UsageError: RESULT_FILE: there is no regular file at ``path``.
    """
    if not path.is_file():
        raise UsageError("RESULT_FILE", f"{path} is no regular file.", "Give the table that the program wrote.")
    if not is_parquet(path):
        with path.open("rb") as file:
            return read_lines(file, path.name, expected)
    with tempfile.TemporaryFile() as file:
        outcome = write_lines(path, expected.columns, len(expected.probes) + 1, file)
        if outcome is not Outcome.DONE:
            findings = Findings()
            findings.add(_PARQUET_FINDINGS[outcome].broken(path.name, _PARQUET_REASONS[outcome]))
            return ResultReport(findings, None)
        file.seek(0)
        return _Reader(expected, path.name, parquet=True).read(file)


def read_lines(file: BinaryIO, name: str, expected: Expected) -> ResultReport:
    """Check and read a table's lines, as :func:`read_result` does with a CSV file, however many there are.

    Args:
        file: Buffered; read no further than one row past the probes.
        name: For the findings.
        expected: What the task asks for.
    """
    return _Reader(expected, name).read(file)


_PARQUET_FINDINGS: Final = {
    Outcome.DAMAGED: RESULT_RULES["RESULT_PARQUET"],
    Outcome.COLUMNS: RESULT_RULES["RESULT_COLUMNS"],
    Outcome.TYPES: RESULT_RULES["RESULT_PARQUET_TYPE"],
    Outcome.COST: RESULT_RULES["RESULT_PARQUET_COST"],
}
_PARQUET_REASONS: Final = {
    Outcome.DAMAGED: "The Parquet file cannot be read.",
    Outcome.COLUMNS: "The Parquet file has other columns than the task asks for, or another order.",
    Outcome.TYPES: "A column of the Parquet file holds neither strings nor floats, as its place asks.",
    Outcome.COST: "Reading the Parquet file takes more memory or time than a table of this task can need.",
}


class _Reader:
    """Reads lines into arrays; what is wrong becomes a finding and the reading goes on, where it can."""

    def __init__(self, expected: Expected, name: str, *, parquet: bool = False) -> None:
        """Make room for the table."""
        n, k = len(expected.probes), expected.neighbours
        self._expected, self._name, self._parquet = expected, name, parquet
        self._columns = expected.columns
        self._probes = {probe.encode(): place for place, probe in enumerate(expected.probes)}
        self._gallery = {picture.encode(): place for place, picture in enumerate(expected.gallery)}
        self._lines = np.zeros(n, np.int64)
        self._neighbours = np.zeros((n, k), np.int64)
        self._numbers = np.zeros((n, k + expected.novelty))
        self._findings = Findings()

    def read(self, file: BinaryIO) -> ResultReport:
        """Read the header and at most one row more than there are probes."""
        header = file.readline(_LONGEST + 1)
        if _without_end(header) != ",".join(self._columns).encode():
            self._add("RESULT_COLUMNS", 1, f"the header is not {','.join(self._columns)}.")
            return ResultReport(self._findings, None)
        if self._read_rows(file):
            for place in np.flatnonzero(self._lines == 0).tolist():
                text = f"Probe {self._expected.probes[place]} has no row."
                self._findings.add(RESULT_RULES["RESULT_PROBE_MISSING"].broken(self._name, text))
            self._check_numbers()
        if self._findings.refused:
            return ResultReport(self._findings, None)
        k = self._expected.neighbours
        novelty = self._numbers[:, k] if self._expected.novelty else None
        return ResultReport(self._findings, ResultTable(self._neighbours, self._numbers[:, :k], novelty))

    def _read_rows(self, file: BinaryIO) -> bool:
        """Read all rows; give whether the end of the file was reached."""
        last = len(self._expected.probes) + 1
        for number in range(2, last + 2):
            line = file.readline(_LONGEST + 1)
            if not line:
                return True
            if number > last:
                self._add("RESULT_TOO_MANY_ROWS", number, f"there are {last - 1} probes, and here is one more row.")
                return False
            if len(line) > _LONGEST:
                self._add("RESULT_LINE_TOO_LONG", number, f"the row has more than {_LONGEST} bytes.")
                return False
            self._take(number, _without_end(line))
        return True

    def _take(self, number: int, line: bytes) -> None:
        """Check one row and keep it if it is right."""
        cells = line.split(b",")
        k = self._expected.neighbours
        if len(cells) != len(self._columns):
            self._add("RESULT_CELLS", number, f"the row has {len(cells)} cells, not {len(self._columns)}.")
            return
        place = self._probes.get(cells[0])
        if place is None:
            self._add("RESULT_PROBE_UNKNOWN", number, "its probe is none of the task's.")
        elif self._lines[place]:
            self._add("RESULT_PROBE_REPEATED", number, f"its probe has {self._where(int(self._lines[place]))} already.")
        else:
            self._lines[place] = number
        neighbours = [self._gallery.get(cell, -1) for cell in cells[1 : k + 1]]
        for rank, neighbour in enumerate(neighbours, start=1):
            if neighbour < 0:
                self._add("RESULT_NEIGHBOUR_UNKNOWN", number, f"g{rank} is no picture of the gallery.")
            elif neighbour in neighbours[: rank - 1]:
                self._add("RESULT_NEIGHBOUR_REPEATED", number, f"g{rank} stands in the row already.")
        wrong = [at for at in range(k + 1, len(cells)) if not _NUMBER.fullmatch(cells[at])]
        for at in wrong:
            self._add("RESULT_NUMBER", number, f"{self._columns[at]} is no finite decimal number.")
        if place is not None and not wrong:
            self._neighbours[place] = neighbours
            self._numbers[place] = [float(cell) for cell in cells[k + 1 :]]

    def _check_numbers(self) -> None:
        """Check the kept rows' numbers, all at once."""
        k = self._expected.neighbours
        finite = np.isfinite(self._numbers)
        for place, column in self._rows_in_order(~finite):
            name = self._columns[k + 1 + column]
            self._add("RESULT_NUMBER", int(self._lines[place]), f"{name} is too large.")
        similarities = self._numbers[:, :k]
        # A comparison, not a difference: that of two large numbers may not be finite.
        rising = (similarities[:, 1:] > similarities[:, :-1]) & finite.all(axis=1, keepdims=True)
        for place, column in self._rows_in_order(rising):
            self._add("RESULT_ORDER", int(self._lines[place]), f"s{column + 2} is larger than s{column + 1}.")
        novelty = self._numbers[:, k:]
        for place, _ in self._rows_in_order(((novelty < 0) | (novelty > 1)) & finite[:, k:]):
            self._add("RESULT_NOVELTY_RANGE", int(self._lines[place]), "novelty is below 0 or above 1.")

    def _rows_in_order(self, wrong: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Give (place, column) of what is wrong, in the order of the file."""
        places, columns = np.nonzero(wrong)
        order = np.lexsort((columns, self._lines[places]))
        return list(zip(places[order].tolist(), columns[order].tolist(), strict=True))

    def _where(self, number: int) -> str:
        return f"row {number - 1}" if self._parquet else f"line {number}"

    def _add(self, code: str, number: int, what: str) -> None:
        where = self._where(number)
        self._findings.add(RESULT_RULES[code].broken(f"{self._name}, {where}", f"In {where}, {what}"))


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def team_findings(findings: Findings) -> Findings:
    """Give what may leave towards a team about a table made from hidden pictures: which rules are broken, no more.

    Which rows are wrong, and how many, is the program's choice and could spell out what it saw (T41, T43). On the
    participants' own pictures ``aisc check`` shows everything.
    """
    coarse = Findings()
    for code in sorted(findings.counts):
        coarse.add(RESULT_RULES[code].broken("", "The table that the program wrote breaks this rule."))
    return coarse
