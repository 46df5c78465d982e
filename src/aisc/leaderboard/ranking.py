"""Who is before whom, and who goes on. Pure functions over entries; nothing without a score is ever ranked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import ConfigDict

from aisc.errors import PlatformError, UsageError
from aisc.leaderboard.entry import STRICT, Entry, published

TIED_AT_CUT = "tied at the cut"


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry with its place.

    Attributes:
        rank: Competition rank, from 1: one more than the number of entries with a strictly better score.
        tied: Another entry shares the rank.
        entry: The row itself, ``scored``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    rank: int
    tied: bool
    entry: Entry


def tie_rule(digits: int) -> str:
    """Say the declared tie rule in the words that a board carries."""
    return (
        f"Scores that are equal to {digits} decimal places share a rank, and the ranks after them are skipped "
        "(1, 2, 2, 4); the earlier submission is listed first. A tie at a cut takes all of them in."
    )


def rank(entries: Sequence[Entry], *, higher_is_better: bool = True, digits: int | None = None) -> tuple[Ranked, ...]:
    """Rank the scored entries by competition ranking (1, 2, 2, 4); all other states are left out (T53).

    Args:
        entries: Rows in any order.
        higher_is_better: ``False`` for scores such as a defence's delta (SAFAIR rule 12).
        digits: Two scores tie when they are equal after rounding to this many decimals; ``None`` compares the floats
            as they are.

    Returns:
        Best first. Inside a tie the earlier submission, then the team's name decide the order, not the rank.

    Raises:
        PlatformError: ``SCORE_NOT_FINITE`` when a scored entry carries no finite number.
    """
    sign = -1.0 if higher_is_better else 1.0
    keyed = sorted(
        ((sign * _comparable(entry, digits), entry) for entry in entries if entry.state == "scored"),
        key=lambda pair: (pair[0], pair[1].submitted_at, pair[1].team, pair[1].submission),
    )
    values = [value for value, _ in keyed]
    places: list[int] = []
    for position, value in enumerate(values):
        places.append(places[-1] if position and value == values[position - 1] else position + 1)
    shared = {place for place in places if places.count(place) > 1}
    return tuple(Ranked(place, place in shared, entry) for place, (_, entry) in zip(places, keyed, strict=True))


def advance(ranked: Sequence[Ranked], *, top: int) -> tuple[Ranked, ...]:
    """Mark who goes on: every rank up to ``top``, so a tie at the cut takes all of them in and flags them.

    Args:
        ranked: Output of :func:`rank`.
        top: How many places lead to the next stage, at least 1.

    Returns:
        The same rows in the same order, with ``advances`` set and ``tied at the cut`` among the flags where more
        teams go on than there are places.

    Raises:
        UsageError: ``CUT_INVALID`` for a cut below 1.
    """
    if top < 1:
        raise UsageError("CUT_INVALID", f"a cut of {top} places lets nobody go on.", "Set advance.top to 1 or more.")
    going = [row.rank for row in ranked if row.rank <= top]
    crowded = max(going) if len(going) > top else None
    return tuple(_marked(row, goes_on=row.rank <= top, crowded=row.rank == crowded) for row in ranked)


def _marked(row: Ranked, *, goes_on: bool, crowded: bool) -> Ranked:
    flags = tuple(flag for flag in row.entry.flags if flag != TIED_AT_CUT) + ((TIED_AT_CUT,) if crowded else ())
    return replace(row, entry=replace(row.entry, advances=goes_on, flags=flags))


def _comparable(entry: Entry, digits: int | None) -> float:
    if entry.score is None or not math.isfinite(entry.score):
        raise PlatformError("SCORE_NOT_FINITE", f"the scored entry of {entry.team!r} carries {entry.score}, no number.")
    return entry.score if digits is None else published(entry.score, digits)
