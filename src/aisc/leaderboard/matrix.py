"""What every attack took from every defence: the matrix of a tournament, part of the boards of both sides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from aisc.errors import PlatformError
from aisc.leaderboard.entry import STRICT, dump, load, published

Side = Literal["attack", "defence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A tournament so far.

    Attributes:
        side: Which of the two the board ranks: rows or columns.
        attacks: Teams of the rows, best first, those with missing cells last.
        defences: Teams of the columns, in the same order.
        deltas: One tuple a row, in points of accuracy; ``None`` where a cell is not there yet.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    side: Side
    attacks: tuple[str, ...]
    defences: tuple[str, ...]
    deltas: tuple[tuple[float | None, ...], ...]

    def __post_init__(self) -> None:
        _check(len(self.deltas) == len(self.attacks), "one row an attack")
        _check(all(len(row) == len(self.defences) for row in self.deltas), "one column a defence")
        _check(all(len(set(names)) == len(names) for names in (self.attacks, self.defences)), "every team once a side")
        _check(all(math.isfinite(cell) for row in self.deltas for cell in row if cell is not None), "cells are finite")

    @property
    def missing(self) -> int:
        """How many cells are not there yet."""
        return sum(cell is None for row in self.deltas for cell in row)

    def row(self, place: int) -> tuple[float, ...] | None:
        """Give an attack's deltas against every defence, or nothing while one is missing."""
        return _whole(self.deltas[place])

    def column(self, place: int) -> tuple[float, ...] | None:
        """Give a defence's deltas under every attack, or nothing while one is missing."""
        return _whole(tuple(row[place] for row in self.deltas))

    def line(self, team: str) -> tuple[float, ...] | None:
        """Give what a team of the ranked side is judged by, or nothing while a cell is missing."""
        names = self.attacks if self.side == "attack" else self.defences
        if team not in names:
            return None
        return self.row(names.index(team)) if self.side == "attack" else self.column(names.index(team))

    def public(self, digits: int) -> "Matrix":
        """Give the matrix at the published precision."""
        rows = (tuple(None if cell is None else published(cell, digits) for cell in row) for row in self.deltas)
        return replace(self, deltas=tuple(rows))

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return dump(_MATRIX, self)

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Matrix":
        """Read plain values strictly; raises ``MATRIX_UNREADABLE``."""
        return load(_MATRIX, value, "MATRIX_UNREADABLE")


def _whole(cells: tuple[float | None, ...]) -> tuple[float, ...] | None:
    there = tuple(cell for cell in cells if cell is not None)
    return there if there and len(there) == len(cells) else None


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise PlatformError("MATRIX_INVALID", f"a tournament's matrix breaks a rule: {rule}.")


_MATRIX: TypeAdapter[Matrix] = TypeAdapter(Matrix)
