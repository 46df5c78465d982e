"""A published board: numbered, chained by hash to the one before it, bound to one version of everything."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import ConfigDict, JsonValue, TypeAdapter

from aisc.errors import PlatformError, UsageError
from aisc.identity import Version, canonical_json, digest
from aisc.leaderboard.entry import STRICT, Entry, dump, in_utc, load
from aisc.leaderboard.matrix import Matrix
from aisc.leaderboard.ranking import Ranked, advance, rank, tie_rule

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What every score on a board is bound to: :meth:`aisc.identity.Version.bound_to` as a published record.

    Attributes:
        stage: ``track/stage``.
        rules: The rules module of the track.
        data: Name of the hidden dataset to its digest.
        victims: Name to digest, one for each victim model.
        limits: The rules' numbers, such as ``{"patches": 5, "area": 0.10, "connectivity": 4}``.
        seed: Seed of everything that is drawn during scoring.
        code: Version of the code that scored.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    stage: str
    rules: str
    data: Mapping[str, str]
    victims: Mapping[str, str]
    limits: Mapping[str, JsonValue]
    seed: int
    code: str

    @classmethod
    def of(cls, version: Version) -> "Bound":
        """Take the published part of a version."""
        return cls(**version.bound_to())

    @property
    def sha256(self) -> str:
        """The version's name: equal to :attr:`aisc.identity.Version.sha256`."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return dump(_BOUND, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is ranked: the score's name, its direction, and how many decimals are published."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    higher_is_better: bool = True
    digits: int = 6

    @property
    def step(self) -> float:
        """The smallest difference that is published."""
        return float(10.0**-self.digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One published state of a stage's ranking. It is never changed: a correction is the next number.

    Attributes:
        season: Season's name.
        track: Track's name.
        stage: Stage's name.
        title: Heading for people.
        number: 1, 2, 3 …, append-only.
        previous_sha256: SHA-256 of the previous board's bytes, ``""`` for number 1.
        generated_at: UTC.
        version: What every score on this board is bound to.
        measure: What is ranked.
        tie_rule: The declared rule in words.
        top: How many places advance, ``None`` where nobody is cut.
        ranked: Best first.
        unranked: Rows without a place, by team.
        matrix: Of a tournament, what every attack took from every defence; ``None`` for any other stage.
        format: Format's name and version.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    season: str
    track: str
    stage: str
    title: str
    number: int
    previous_sha256: str
    generated_at: datetime
    version: Bound
    measure: Measure
    tie_rule: str
    top: int | None
    ranked: tuple[Ranked, ...]
    unranked: tuple[Entry, ...]
    matrix: Matrix | None = None
    format: Literal["aisc.board/1"] = "aisc.board/1"

    def __post_init__(self) -> None:
        _check(self.number >= 1 and 0 <= self.measure.digits <= 12, "number >= 1 and 0 <= digits <= 12")
        _check(self.generated_at.utcoffset() == timedelta(0), "generated_at is UTC")
        first = self.number == 1
        _check(bool(_SHA256.fullmatch(self.previous_sha256)) != first, "every board but the first names the one before")
        _check(not first or self.previous_sha256 == "", "the first board has none before it")
        _check(all(entry.state != "scored" for entry in self.unranked), "every scored entry is ranked")
        for entry in self.entries:
            _check(entry == entry.public(self.measure.digits), f"what {entry.team!r} shows is rounded as declared")
            _check(entry.version in ("", self.version.sha256), f"the score of {entry.team!r} is of this version")
        teams = [row.entry.team for row in self.ranked]
        _check(len(set(teams)) == len(teams), "a team holds one place")
        again = rank([row.entry for row in self.ranked], higher_is_better=self.measure.higher_is_better)
        _check(again == self.ranked, "places follow from the scores shown")
        if self.matrix is not None:
            _check(self.matrix == self.matrix.public(self.measure.digits), "the matrix is rounded as declared")
            for row in self.ranked:
                own = self.matrix.line(row.entry.team)
                # The mean was taken before the cells were rounded, each by half a unit of the last place at most.
                near = own is not None and abs(sum(own) / len(own) - (row.entry.score or 0)) < 2 * self.measure.step
                _check(near, f"the place of {row.entry.team!r} follows from a finished line of the matrix")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All rows, ranked ones first."""
        return tuple(row.entry for row in self.ranked) + self.unranked

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of all parts, in the order of their first appearance."""
        return tuple(dict.fromkeys(part.name for entry in self.entries for part in entry.parts))

    @property
    def sha256(self) -> str:
        """Digest of the board's canonical bytes: what the next board and the signature are about."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def as_json(self) -> dict[str, object]:
        """Give plain values; a board without a matrix has no such field, as it had none before there were any."""
        plain = dump(_BOARD, self)
        if self.matrix is None:
            del plain["matrix"]
        return plain

    def as_bytes(self) -> bytes:
        """Give the file ``board.json``: UTF-8, keys sorted, no blanks, floats in their shortest form."""
        return canonical_json(self.as_json())

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Board":
        """Read plain values strictly and check every rule of a board again.

        Raises:
            UsageError: ``BOARD_UNREADABLE``.
        """
        return load(_BOARD, value, "BOARD_UNREADABLE")

    @classmethod
    def from_bytes(cls, data: bytes) -> "Board":
        """Read a published file.

        Raises:
            UsageError: ``BOARD_UNREADABLE``, or ``BOARD_NOT_CANONICAL`` when the same content is written another way,
                such as with a key twice.
        """
        try:
            value = json.loads(data)
        except ValueError as error:
            raise UsageError("BOARD_UNREADABLE", f"the board is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise UsageError("BOARD_UNREADABLE", "the board is not a JSON object.")
        board = cls.from_json(value)
        if board.as_bytes() != data:
            raise UsageError(
                "BOARD_NOT_CANONICAL", "the board's bytes are not those that its content gives.", "Fetch it again."
            )
        return board


def build_board(
    *,
    season: str,
    track: str,
    stage: str,
    title: str,
    version: Bound,
    measure: Measure,
    entries: Sequence[Entry],
    generated_at: datetime,
    previous: Board | None = None,
    top: int | None = None,
    matrix: Matrix | None = None,
) -> Board:
    """Rank entries and make the next board of a stage.

    Scores are rounded first and ranked as shown, so that anyone can recompute the places from the published file.

    Args:
        season: Season's name.
        track: Track's name.
        stage: Stage's name.
        title: Heading for people.
        version: What the scores are bound to.
        measure: What is ranked and how precisely it is published.
        entries: One row a team, in any order, unrounded.
        generated_at: The ledger's time, not this machine's.
        previous: The newest published board of the same stage.
        top: How many places advance.
        matrix: Of a tournament, unrounded.

    Raises:
        PlatformError: ``BOARD_INVALID`` when a score is of another version, or the previous board of another stage.
    """
    if previous is not None:
        same = (previous.season, previous.track, previous.stage) == (season, track, stage)
        _check(same, "the previous board is of the same season, track and stage")
        _check(in_utc(generated_at) >= previous.generated_at, "a board is not older than the one before it")
    shown = [entry.public(measure.digits) for entry in entries]
    ranked = rank(shown, higher_is_better=measure.higher_is_better)
    return Board(
        season=season,
        track=track,
        stage=stage,
        title=title,
        number=1 if previous is None else previous.number + 1,
        previous_sha256="" if previous is None else previous.sha256,
        generated_at=in_utc(generated_at),
        version=version,
        measure=measure,
        tie_rule=tie_rule(measure.digits),
        top=top,
        ranked=ranked if top is None else advance(ranked, top=top),
        unranked=tuple(
            sorted((entry for entry in shown if entry.state != "scored"), key=lambda row: (row.team, row.submission))
        ),
        matrix=None if matrix is None else matrix.public(measure.digits),
    )


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise PlatformError("BOARD_INVALID", f"a board breaks a rule: {rule}.")


_BOUND: TypeAdapter[Bound] = TypeAdapter(Bound)
_BOARD: TypeAdapter[Board] = TypeAdapter(Board)
