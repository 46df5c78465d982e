"""The final of the SAFAIR tracks: every attack meets every defence, and both are judged by their mean (RULES.md D-G).

A cell is one attack against one defence. A mean over some of the cells cannot be compared with a mean over all of them,
so a row or a column with a missing cell has neither a mean nor a rank: it is unfinished. Cells can be computed one by
one, in any order, and the standings told at any time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.metrics.bootstrap import Interval, mean_interval, paired_difference

Cells = Mapping[tuple[str, str], NDArray[np.float64]]
"""Per (attack, defence): ``(n,)`` what the attack took from the defence on each image, in points."""


class Standing(NamedTuple):
    """Where one competitor stands.

    Attributes:
        name: The attack or the defence.
        finished: Cells that are there.
        cells: Cells that there will be.
        mean: Mean delta over all its cells, in points, with a 95 % bootstrap interval over images; ``None`` while
            unfinished.
        rank: Competition rank among the finished (1, 2, 2, 4), from 1; ``None`` while unfinished.
        behind: By how much the best mean differs from this one, with a paired interval over the same images; an
            interval that excludes 0 tells the two apart. ``None`` while unfinished.
    """

    name: str
    finished: int
    cells: int
    mean: Interval | None
    rank: int | None
    behind: Interval | None

    @property
    def complete(self) -> bool:
        """Whether all cells are there."""
        return self.finished == self.cells


class Tournament(NamedTuple):
    """A matrix and its standings.

    Attributes:
        deltas: ``(attacks, defences)`` float64, in points; NaN where a cell is missing.
        attacks: Standings of the attacks, the finished ones first and best first: the highest mean wins.
        defences: The same of the defences: the lowest mean wins.
    """

    deltas: NDArray[np.float64]
    attacks: tuple[Standing, ...]
    defences: tuple[Standing, ...]

    @property
    def finished(self) -> bool:
        """Whether no cell is missing."""
        return not bool(np.isnan(self.deltas).any())

    def winners(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Name the attacks and the defences on the first rank; nobody while a cell is missing."""
        if not self.finished:
            return (), ()
        attacks, defences = (
            tuple(standing.name for standing in side if standing.rank == 1) for side in (self.attacks, self.defences)
        )
        return attacks, defences


def hold_tournament(
    attacks: Sequence[str], defences: Sequence[str], cells: Cells, *, digits: int = 9, seed: int = 0
) -> Tournament:
    """Judge the cells that are there.

    Args:
        attacks: Names of the rows.
        defences: Names of the columns.
        cells: The finished ones, all over the same images in the same order.
        digits: Means that are equal to this many decimals share a rank.
        seed: Of the bootstrap.

    Raises:
        ValueError: A name appears twice, there is no attack or no defence, a cell belongs to no row or column, or cells
            are not about the same images.

    >>> drop = {("a", "x"): 60.0, ("a", "y"): 20.0, ("b", "x"): 40.0, ("b", "y"): 0.0}
    >>> held = hold_tournament("ab", "xy", {key: np.full(5, value) for key, value in drop.items()})
    >>> held.winners(), [standing.mean.mean for standing in held.defences]
    ((('a',), ('y',)), [10.0, 50.0])
    """
    _check(attacks, defences, cells)
    deltas = np.full((len(attacks), len(defences)), np.nan)
    for (attack, defence), drops in cells.items():
        deltas[attacks.index(attack), defences.index(defence)] = drops.mean()
    rows = {attack: [cells.get((attack, defence)) for defence in defences] for attack in attacks}
    columns = {defence: [cells.get((attack, defence)) for attack in attacks] for defence in defences}
    return Tournament(
        deltas,
        _standings(rows, higher_is_better=True, digits=digits, seed=seed),
        _standings(columns, higher_is_better=False, digits=digits, seed=seed),
    )


def shared_ranks(values: Sequence[float], *, higher_is_better: bool) -> list[int]:
    """Give competition ranks: one more than the number of strictly better values.

    >>> shared_ranks([52, 20, 20, 7], higher_is_better=True)
    [1, 2, 2, 4]
    >>> shared_ranks([52, 20, 20, 7], higher_is_better=False)
    [4, 2, 2, 1]
    """
    sign = 1 if higher_is_better else -1
    return [1 + sum(sign * other > sign * value for other in values) for value in values]


def _standings(
    sides: Mapping[str, Sequence[NDArray[np.float64] | None]], *, higher_is_better: bool, digits: int, seed: int
) -> tuple[Standing, ...]:
    """Judge one side; `sides` holds the cells of each competitor, `None` where one is missing."""
    profiles = {name: _profile(row) for name, row in sides.items()}
    done = {name: profile for name, profile in profiles.items() if profile is not None}
    means = {name: round(float(profile.mean()), digits) for name, profile in done.items()}
    ranks = dict(zip(means, shared_ranks(list(means.values()), higher_is_better=higher_is_better), strict=True))
    leader = min(ranks, key=lambda name: (ranks[name], name), default="")
    found = []
    for name, row in sides.items():
        finished = sum(cell is not None for cell in row)
        if name not in done:
            found.append(Standing(name, finished, len(row), None, None, None))
            continue
        own = done[name]
        pair = (done[leader], own) if higher_is_better else (own, done[leader])
        found.append(
            Standing(
                name, finished, len(row), mean_interval(own, seed=seed), ranks[name],
                paired_difference(*pair, seed=seed),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.rank is None, one.rank or 0, one.name)))


def _profile(row: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Give the mean over a competitor's cells image by image, or nothing while one is missing."""
    there = [cell for cell in row if cell is not None]
    return np.mean(there, axis=0) if len(there) == len(row) else None


def _check(attacks: Sequence[str], defences: Sequence[str], cells: Cells) -> None:
    for names in (attacks, defences):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"competitors are at least one and all different, not {list(names)}")
    strangers = [key for key in cells if key[0] not in attacks or key[1] not in defences]
    if strangers:
        raise ValueError(f"cells of nobody: {sorted(strangers)}")
    if len({drops.shape for drops in cells.values()}) > 1 or any(drops.ndim != 1 for drops in cells.values()):
        raise ValueError("all cells are (n,) over the same images")
