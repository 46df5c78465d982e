"""Geometry of the page's small pictures: a common axis for the intervals, and one line for a team's history."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Entry

SPARK_WIDTH, SPARK_HEIGHT, _SPARK_MARGIN = 96, 30, 4
_AIR = 0.04
"""Free share of the axis at either end, so that no mark touches the border."""


class Tick(NamedTuple):
    """A labelled place on the axis, ``at`` in per cent of its width."""

    at: str
    label: str


class Whisker(NamedTuple):
    """A score and its interval, in per cent of the axis; ``low`` equals ``high`` without an interval."""

    low: str
    high: str
    at: str
    width: str


class Spark(NamedTuple):
    """A team's scores over time: an SVG point list, the point of the score that counts, and the same in words."""

    points: str
    x: str
    y: str
    words: str


class Axis(NamedTuple):
    """A linear axis over everything that is drawn.

    Attributes:
        low: Value at 0 %.
        high: Value at 100 %, above ``low``.
    """

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Axis":
        """Span the values with some air; equal or no values get a span of their own."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        pad = (high - low) * _AIR or abs(low) * 0.1 or 0.5
        return cls(low - pad, high + pad)

    def percent(self, value: float) -> float:
        """Place a value, 0 to 100."""
        return 100.0 * (value - self.low) / (self.high - self.low)

    def ticks(self, *, wanted: int = 4) -> tuple[Tick, ...]:
        """Choose round values (1, 2 or 5 times a power of ten) inside the axis, about ``wanted`` of them."""
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(math.log(size / raw)))
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return tuple(
            Tick(_short(self.percent(index * step)), f"{index * step + 0.0:.{decimals}f}")
            for index in range(first, last + 1)
        )

    def whisker(self, entry: Entry) -> Whisker | None:
        """Draw a score with its interval."""
        if entry.score is None:
            return None
        low, high = (entry.interval.low, entry.interval.high) if entry.interval else (entry.score, entry.score)
        left, right = self.percent(low), self.percent(high)
        return Whisker(_short(left), _short(right), _short(self.percent(entry.score)), _short(right - left))


def score_axis(board: Board) -> Axis:
    """Give the one axis that all intervals of a board share."""
    values: list[float] = []
    for row in board.ranked:
        values += [value for value in (row.entry.score,) if value is not None]
        if row.entry.interval is not None:
            values += [row.entry.interval.low, row.entry.interval.high]
    return Axis.over(values)


class SparkFrame(NamedTuple):
    """The frame that all histories of a board share: one scale of scores, better upwards."""

    scores: Axis
    higher_is_better: bool
    digits: int

    @classmethod
    def of(cls, board: Board) -> "SparkFrame | None":
        """Span every history of a board; ``None`` when no team has one."""
        scores = [score for row in board.ranked for _, score in _attempts(row.entry)]
        if not scores:
            return None
        return cls(Axis.over(scores), board.measure.higher_is_better, board.measure.digits)

    def draw(self, entry: Entry) -> Spark | None:
        """Draw a team's scored submissions from left to right; ``None`` for a team with one."""
        attempts = _attempts(entry)
        if not attempts:
            return None
        step = (SPARK_WIDTH - 2 * _SPARK_MARGIN) / (len(attempts) - 1)
        places = [(_SPARK_MARGIN + index * step, self._y(score)) for index, (_, score) in enumerate(attempts)]
        x, y = places[attempts.index((entry.submitted_at, entry.score or 0.0))]
        listed = ", ".join(f"{score:.{self.digits}f}" for _, score in attempts)
        return Spark(
            " ".join(f"{_short(across)},{_short(down)}" for across, down in places),
            _short(x),
            _short(y),
            f"{len(attempts)} scored submissions, oldest first: {listed}",
        )

    def _y(self, score: float) -> float:
        share = self.scores.percent(score) / 100.0
        if self.higher_is_better:
            share = 1.0 - share
        return _SPARK_MARGIN + share * (SPARK_HEIGHT - 2 * _SPARK_MARGIN)


def _attempts(entry: Entry) -> list[tuple[datetime, float]]:
    if not entry.history or entry.score is None:
        return []
    return sorted([*((past.at, past.score) for past in entry.history), (entry.submitted_at, entry.score)])


def _short(value: float) -> str:
    return f"{value + 0.0:.2f}".rstrip("0").rstrip(".")
