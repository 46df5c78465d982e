"""A board as CSV, for people with a spreadsheet; team names stay text there, whatever they start with."""

import csv
import io
import re
from collections.abc import Sequence
from decimal import Decimal

from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Entry

# A spreadsheet runs a cell as a formula when its first visible character is one of these; blanks, control characters
# and invisible marks before it are skipped by some programs, full-width forms are folded by others, and a program set
# to another separator starts a new cell in the middle of ours (THREATS.md, T52).
_FORMULA = re.compile(
    r"(^|[;|\t\r\n])([\s\x00-\x1f\u00ad\u200b-\u200f\u2060\ufeff]*)(?=[=+\-@%|\uff1d\uff0b\uff0d\uff20])"
)


def inert(text: str) -> str:
    """Make text harmless as a spreadsheet's cell: an apostrophe before anything that could start a formula (T52).

    >>> inert("=1+1"), inert("  @SUM(A1)"), inert("Team A-1")
    ("'=1+1", "'  @SUM(A1)", 'Team A-1')
    """
    return _FORMULA.sub(r"\1'\2", text)


def as_csv(board: Board) -> str:
    """Write a board as CSV (RFC 4180, text quoted), ranked rows first; text cells are inert in spreadsheets."""
    names = board.part_names
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    head = ["rank", "team", "score", "low", "high", *names, "state", "reason_code", "reason", "advances", "flags"]
    writer.writerow([inert(cell) for cell in [*head, "submissions", "submitted_at", "evaluated_at", "submission"]])
    for row in board.ranked:
        writer.writerow(_cells(row.rank, row.entry, names, board.measure.digits))
    for entry in board.unranked:
        writer.writerow(_cells(None, entry, names, board.measure.digits))
    return out.getvalue()


def _cells(place: int | None, entry: Entry, names: Sequence[str], digits: int) -> list[object]:
    def number(value: float | None) -> object:
        if value is None:
            return ""
        return value if isinstance(value, int) else Decimal(f"{value:.{digits}f}")

    values = {part.name: part.value for part in entry.parts}
    interval = entry.interval
    return [
        "" if place is None else place,
        inert(entry.team),
        number(entry.score),
        number(None if interval is None else interval.low),
        number(None if interval is None else interval.high),
        *(number(values.get(name)) for name in names),
        entry.state,
        inert(entry.reason_code),
        inert(entry.reason),
        "yes" if entry.advances else "no",
        inert(", ".join(entry.flags)),
        entry.submissions,
        entry.submitted_at.isoformat(),
        "" if entry.evaluated_at is None else entry.evaluated_at.isoformat(),
        inert(entry.submission),
    ]
