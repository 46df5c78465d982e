"""From what an organizer writes on the wall clock to instants, and the days that quotas are counted in.

Everything that leaves this module is UTC. A wall time that a change to or from daylight saving time repeats or skips
names no single instant, so it is refused instead of guessed.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_core import PydanticCustomError


class WallTime(NamedTuple):
    """A time without an offset, and the zone whose clocks show it."""

    naive: datetime
    zone: ZoneInfo


def zone_or_none(name: object) -> ZoneInfo | None:
    """Find a time zone by its IANA name; None for anything that is none."""
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def parse_instant(value: object) -> datetime | WallTime | object:
    """Read ``2022-03-01T00:00:00+08:00``; leave anything that is no text alone.

    Raises:
        PydanticCustomError: When the text is no date with a time.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise PydanticCustomError("instant_text", "{text} is not a date and a time", {"text": repr(text)}) from error
    if len(text) < len("2022-03-01T00:00") or text[10] not in "T t":
        raise PydanticCustomError("instant_date", "{text} is a day without a time", {"text": repr(text)})
    return parsed


def to_instant(value: object) -> datetime:
    """Give the one UTC instant that a value names.

    Raises:
        PydanticCustomError: When it names none, or two, or is no time at all.
    """
    parsed = parse_instant(value)
    if isinstance(parsed, WallTime):
        return _instant_of_wall_time(parsed)
    if not isinstance(parsed, datetime):
        raise PydanticCustomError("instant_text", "{text} is not a date and a time", {"text": repr(value)})
    if parsed.tzinfo is None:
        raise PydanticCustomError("instant_naive", "{text} has no offset from UTC", {"text": parsed.isoformat()})
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("instant_text", "{text} is out of range", {"text": repr(value)}) from error


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Give the first instant (UTC) at which the zone's calendar shows ``day`` or later.

    That is midnight, save where the clocks jump over it: then the jump itself, found by halving.
    """
    midnight = datetime.combine(day, time())
    early, late = sorted(midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).date() >= day:
        return early
    low, high = int(early.timestamp()), int(late.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).date() >= day:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def day_window(instant: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Give the day ``[start, end)`` (UTC) that holds an instant; the days of a zone follow each other without a gap.

    Where clocks set back over midnight repeat the end of a day, the repetition belongs to the new day, which had
    begun already.
    """
    day = instant.astimezone(zone).date()
    while instant >= (end := start_of_day(day + timedelta(days=1), zone)):
        day += timedelta(days=1)
    return start_of_day(day, zone), end


def _instant_of_wall_time(wall: WallTime) -> datetime:
    """Turn a wall time into UTC, or say why it is not one instant."""
    shown = {"text": wall.naive.isoformat(), "zone": wall.zone.key}
    both = [wall.naive.replace(tzinfo=wall.zone, fold=fold) for fold in (0, 1)]
    try:
        first, second = (local.astimezone(UTC) for local in both)
    except OverflowError as error:
        raise PydanticCustomError("instant_text", "{text} is out of range", shown) from error
    if first == second:
        return first
    offsets = " or ".join(local.isoformat() for local in both)
    if first.astimezone(wall.zone).replace(tzinfo=None) != wall.naive:
        raise PydanticCustomError("instant_skipped", "{text} does not exist in {zone}, its clocks jump over it", shown)
    context = {**shown, "offsets": offsets}
    raise PydanticCustomError("instant_twice", "{text} happens twice in {zone}, its clocks are set back", context)
