"""Geometry of a tournament's picture: one cell for every attack and defence, the means at the ends of the lines."""

from collections.abc import Sequence
from typing import NamedTuple

from aisc.leaderboard.matrix import Matrix

LABEL, CELL_WIDTH, CELL_HEIGHT, HEAD, GAP = 184, 112, 44, 44, 10
"""Pixels of the row labels' column, of a cell, of the head line, and between the cells and the means."""
_AIR = 12
"""Pixels between a label and its line of cells."""
_FULL = 0.45
"""Opacity of the strongest cell: a number in the page's ink stays legible on it, on light and on dark paper."""


class Label(NamedTuple):
    """A team's name at the edge, and the box that it must fit into; the page cuts what is longer."""

    x: int
    y: int
    width: int
    height: int
    name: str


class Cell(NamedTuple):
    """A cell or a mean.

    Attributes:
        x: Left edge.
        y: Upper edge.
        text: The delta, ``""`` where it is missing.
        strength: Opacity of its colour, as text.
        words: The same for a reader who points at it.
    """

    x: int
    y: int
    text: str
    strength: str
    words: str


class HeatMap(NamedTuple):
    """A matrix as it is drawn.

    Attributes:
        width: Of the picture.
        height: Of the picture.
        rows: Labels of the attacks.
        columns: Labels of the defences.
        cells: The matrix.
        means: Means of rows and columns; a line with a gap has none.
        missing: How many cells are missing.
    """

    width: int
    height: int
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    cells: tuple[Cell, ...]
    means: tuple[Cell, ...]
    missing: int

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a cell."""
        return CELL_WIDTH, CELL_HEIGHT

    @property
    def ends(self) -> tuple[int, int]:
        """Where the column of the rows' means and the row of the columns' means begin."""
        return self.width - CELL_WIDTH, self.height - CELL_HEIGHT


def draw_matrix(matrix: Matrix) -> HeatMap:
    """Place everything; colour grows with the delta from 0 to the largest one, and what helps a defence has none."""
    wide, high = len(matrix.defences), len(matrix.attacks)
    strongest = max((cell for row in matrix.deltas for cell in row if cell is not None), default=0.0)
    right, below = LABEL + wide * CELL_WIDTH + GAP, HEAD + high * CELL_HEIGHT + GAP

    def cell(x: int, y: int, value: float | None, words: str) -> Cell:
        if value is None:
            return Cell(x, y, "", "0", f"{words}: not there yet")
        strength = _FULL * max(0.0, value) / strongest if strongest > 0 else 0.0
        text = _short(value)
        return Cell(x, y, text, f"{strength:.3f}", f"{words}: {text} points")

    cells = tuple(
        cell(LABEL + across * CELL_WIDTH, HEAD + down * CELL_HEIGHT, value, f"{attack} against {defence}")
        for down, (attack, row) in enumerate(zip(matrix.attacks, matrix.deltas, strict=True))
        for across, (defence, value) in enumerate(zip(matrix.defences, row, strict=True))
    )
    means = [
        cell(right, HEAD + down * CELL_HEIGHT, _mean(matrix.row(down)), f"mean of {attack}")
        for down, attack in enumerate(matrix.attacks)
    ]
    means += [
        cell(LABEL + across * CELL_WIDTH, below, _mean(matrix.column(across)), f"mean of {defence}")
        for across, defence in enumerate(matrix.defences)
    ]
    return HeatMap(
        width=right + CELL_WIDTH,
        height=below + CELL_HEIGHT,
        rows=tuple(
            Label(0, HEAD + down * CELL_HEIGHT, LABEL - _AIR, CELL_HEIGHT, name)
            for down, name in enumerate(matrix.attacks)
        ),
        columns=tuple(
            Label(LABEL + across * CELL_WIDTH, 0, CELL_WIDTH, HEAD, name) for across, name in enumerate(matrix.defences)
        ),
        cells=cells,
        means=tuple(means),
        missing=matrix.missing,
    )


def _mean(line: Sequence[float] | None) -> float | None:
    return None if line is None else sum(line) / len(line)


def _short(value: float) -> str:
    """Write points with one decimal; never a negative zero."""
    return f"{round(value, 1) + 0.0:.1f}"
