"""What changed between two boards: places, scores, teams, and what the scores are bound to."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Entry

Kind = Literal["up", "down", "same", "new", "gone", "ranked", "unranked"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A team's place on one board; ``rank`` and ``score`` are ``None`` without one."""

    rank: int | None
    score: float | None
    state: str


@dataclass(frozen=True, slots=True)
class Move:
    """One team's change.

    Attributes:
        team: Display name.
        kind: ``up`` and ``down`` in rank, ``same`` rank (the score may differ), ``new`` and ``gone`` teams, ``ranked``
            and ``unranked`` for a team that gained or lost its place while staying on the board.
        before: ``None`` for a new team.
        after: ``None`` for a team that is gone.
    """

    team: str
    kind: Kind
    before: Standing | None
    after: Standing | None

    @property
    def score_change(self) -> float | None:
        """New score minus old one, ``None`` unless both are known."""
        if self.before is None or self.after is None or self.before.score is None or self.after.score is None:
            return None
        return self.after.score - self.before.score


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A field of the version whose value differs; an absent one is ``""``."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class BoardDiff:
    """Difference of two boards.

    Attributes:
        before: ``(number, sha256)`` of the older board.
        after: The same of the newer one.
        digits: Decimals that scores are shown with.
        moves: One row a team, in the newer board's order, gone teams last.
        version: Changed fields; scores are comparable only when there are none.
    """

    before: tuple[int, str]
    after: tuple[int, str]
    digits: int
    moves: tuple[Move, ...]
    version: tuple[VersionChange, ...]

    @property
    def changed(self) -> tuple[Move, ...]:
        """The teams for which anything differs."""
        return tuple(move for move in self.moves if move.before != move.after)

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return asdict(self)


def diff(before: Board, after: Board) -> BoardDiff:
    """Compare two boards team by team."""
    old, new = _standings(before), _standings(after)
    teams = [*new, *(team for team in old if team not in new)]
    return BoardDiff(
        before=(before.number, before.sha256),
        after=(after.number, after.sha256),
        digits=max(before.measure.digits, after.measure.digits),
        moves=tuple(Move(team, _kind(old.get(team), new.get(team)), old.get(team), new.get(team)) for team in teams),
        version=tuple(_version_changes(_flat(before.version.as_json()), _flat(after.version.as_json()))),
    )


def as_table(change: BoardDiff, *, everything: bool = False) -> RenderableType:
    """Draw a difference for a terminal; unchanged teams only with ``everything``."""
    same = "" if everything or change.changed else ": no rank and no score changed"
    table = Table(title=f"board {change.before[0]} → board {change.after[0]}{same}", title_justify="left")
    for name, side in (("", "left"), ("team", "left"), ("rank", "right"), ("score", "right"), ("change", "right")):
        table.add_column(name, justify="right" if side == "right" else "left")
    for move in change.moves if everything else change.changed:
        # Text, not str: a team's name may contain what rich would read as markup.
        table.add_row(
            Text(move.kind), Text(move.team), _ranks(move), _scores(move, change.digits), _delta(move, change.digits)
        )
    if not change.version:
        return table
    bound = Table(title="bound to another version: scores are not comparable", title_justify="left")
    for name in ("field", "before", "after"):
        bound.add_column(name)
    for row in change.version:
        bound.add_row(Text(row.field), Text(row.before), Text(row.after))
    return Group(table, bound)


def _standings(board: Board) -> dict[str, Standing]:
    places = {row.entry.team: _standing(row.entry, row.rank) for row in board.ranked}
    # A ranked row wins over an unranked one of the same team.
    return places | {entry.team: _standing(entry, None) for entry in board.unranked if entry.team not in places}


def _standing(entry: Entry, rank: int | None) -> Standing:
    return Standing(rank, entry.score, entry.state)


def _kind(before: Standing | None, after: Standing | None) -> Kind:
    if before is None:
        return "new"
    if after is None:
        return "gone"
    if before.rank is None or after.rank is None:
        if before.rank is after.rank:
            return "same"
        return "ranked" if before.rank is None else "unranked"
    if before.rank == after.rank:
        return "same"
    return "up" if after.rank < before.rank else "down"


def _flat(version: Mapping[str, object]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in version.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": str(inner) for key, inner in value.items()}
        else:
            flat[name] = str(value)
    return flat


def _version_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[VersionChange]:
    for field in sorted(before.keys() | after.keys()):
        if before.get(field) != after.get(field):
            yield VersionChange(field, before.get(field, ""), after.get(field, ""))


def _ranks(move: Move) -> Text:
    places = [str(side.rank) if side and side.rank else "-" for side in (move.before, move.after)]
    return Text(places[1] if places[0] == places[1] else " → ".join(places))


def _scores(move: Move, digits: int) -> Text:
    sides = (move.before, move.after)
    shown = [
        "-" if side is None else side.state if side.score is None else f"{side.score:.{digits}f}" for side in sides
    ]
    return Text(shown[1] if shown[0] == shown[1] else " → ".join(shown))


def _delta(move: Move, digits: int) -> Text:
    change = move.score_change
    return Text("" if not change else f"{change:+.{digits}f}")
