"""One row of a board: a team's counting submission, its score or the reason why there is none."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from aisc.errors import AiscError, PlatformError, UsageError

State = Literal["scored", "refused", "failed", "void", "disqualified", "awaiting-review", "withdrawn", "unfinished"]
_REMEDY = "Read docs/formats/board.md."
MAX_REASON = 300
"""Characters of a reason that a board shows."""
T = TypeVar("T")
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def published(value: float, digits: int) -> float:
    """Round a number to the precision that may leave the platform (THREATS.md, T42); never gives a negative zero.

    >>> published(5714 / 9000, 6)
    0.634889
    """
    return round(float(value), digits) + 0.0


def in_utc(moment: datetime) -> datetime:
    """Give an instant in UTC; an instant without a time zone is a fault of ours.

    Raises:
        PlatformError: ``TIME_WITHOUT_ZONE``.
    """
    if moment.utcoffset() is None:
        raise PlatformError("TIME_WITHOUT_ZONE", f"the instant {moment.isoformat()} has no time zone; boards hold UTC.")
    return moment.astimezone(UTC)


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise PlatformError("ENTRY_INVALID", f"a board's entry breaks a rule: {rule}.")


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95 % interval of a score."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high, "interval low <= high")


@dataclass(frozen=True, slots=True)
class Part:
    """A named number that explains a score; an ``int`` is a count and is shown without decimals."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    value: int | float

    def __post_init__(self) -> None:
        _check(bool(self.name) and math.isfinite(self.value), f"part {self.name!r} has a name and a finite value")


@dataclass(frozen=True, slots=True)
class Past:
    """The score of another submission of the same team, and when that one was submitted (UTC)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    at: datetime
    score: float

    def __post_init__(self) -> None:
        _check(math.isfinite(self.score), "a past score is finite")
        _check(self.at.utcoffset() == timedelta(0), "a past score's time is UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One team's row.

    Attributes:
        team: Display name; any text, never trusted as markup.
        submission: Id of the submission that counts.
        state: ``scored`` alone is ranked; ``awaiting-review`` may carry a provisional score; ``unfinished`` is who has
            not met every opponent of a tournament yet.
        submitted_at: Receipt of the submission, UTC.
        evaluated_at: When its verdict was reached, UTC; ``None`` when it never was.
        score: Finite for ``scored``, ``None`` for everything that has no score (void is not zero).
        interval: 95 % interval of the score.
        version: ``Bound.sha256`` of the version that the score is bound to; ``""`` without a score.
        reason_code: Stable code of why there is no rank; ``""`` for ``scored``.
        reason: The same in plain words, short.
        parts: Named numbers in the order of the columns, such as the success rate on each victim.
        submissions: How many submissions the team has made to the stage.
        history: The team's other scored submissions under the same version, oldest first.
        advances: The team goes on to the next stage.
        flags: Short remarks beside the team, such as ``tied at the cut``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    team: str
    submission: str
    state: State
    submitted_at: datetime
    evaluated_at: datetime | None = None
    score: float | None = None
    interval: Interval | None = None
    version: str = ""
    reason_code: str = ""
    reason: str = ""
    parts: tuple[Part, ...] = ()
    submissions: int = 1
    history: tuple[Past, ...] = ()
    advances: bool = False
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(bool(self.team.strip()) and bool(self.submission), "team and submission id are not empty")
        _check(_encodable(self.team), "the team's name is valid Unicode")
        _check(self.submissions >= 1, "a team on a board has submitted at least once")
        for moment in (self.submitted_at, self.evaluated_at):
            _check(moment is None or moment.utcoffset() == timedelta(0), "times are UTC")
        _check(self.score is None or math.isfinite(self.score), f"{self.team!r} has a finite score")
        _check(len({part.name for part in self.parts}) == len(self.parts), "parts have different names")
        if self.state == "scored":
            _check(self.score is not None and bool(self.version), "a scored entry has a score and its version")
        else:
            _check(bool(self.reason_code), f"an entry that is {self.state} says why by a code")
            _check(self.score is None or self.state == "awaiting-review", f"what is {self.state} has no score")
            _check(not self.advances, "only a ranked team advances")

    def public(self, digits: int) -> "Entry":
        """Give the row as it may leave the platform: numbers at the published precision, a short printable reason.

        A reason may quote a file's name out of a submission; it must neither bloat a board nor stop its publication.
        """
        return replace(
            self,
            reason=_told(self.reason),
            score=None if self.score is None else published(self.score, digits),
            interval=self.interval
            and Interval(published(self.interval.low, digits), published(self.interval.high, digits)),
            parts=tuple(
                part if isinstance(part.value, int) else Part(part.name, published(part.value, digits))
                for part in self.parts
            ),
            history=tuple(Past(past.at, published(past.score, digits)) for past in self.history),
        )

    def as_json(self) -> dict[str, object]:
        """Give plain values; ``from_json`` reads them back to an equal entry."""
        return dump(_ENTRY, self)

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Entry":
        """Read plain values strictly: no unknown field, no number as text, no NaN.

        Raises:
            UsageError: ``ENTRY_UNREADABLE``.
        """
        return load(_ENTRY, value, "ENTRY_UNREADABLE")


def _told(reason: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in reason)
    return plain if len(plain) <= MAX_REASON else plain[: MAX_REASON - 1] + "…"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def dump(adapter: TypeAdapter[T], value: T) -> dict[str, object]:
    """Turn a dataclass into plain JSON values."""
    plain: dict[str, object] = adapter.dump_python(value, mode="json")
    return plain


def load(adapter: TypeAdapter[T], value: Mapping[str, object], code: str) -> T:
    """Read plain JSON values into a dataclass, strictly; every fault becomes a ``UsageError`` with ``code``."""
    try:
        return adapter.validate_json(json.dumps(value, allow_nan=False))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise UsageError(code, f"the record is not of this format ({faults}).", _REMEDY) from error
    except (AiscError, ValueError, TypeError) as error:
        raise UsageError(code, f"the record is not of this format ({error}).", _REMEDY) from error


_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)
