"""One stage and one track of a season, as frozen values.

These models check types and ranges; what one part of the file demands of another is in :mod:`aisc.season.rules`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from aisc.season.clock import WallTime, parse_instant, to_instant, zone_or_none
from aisc.season.names import DataName, Name
from aisc.tracks import RULES

_INSTANT_SCHEMA = {
    "type": "string",
    "description": "A date and a time, such as 2022-03-01T00:00:00. Without an offset it is read in the season's "
    "timezone.",
}
Instant = Annotated[datetime, BeforeValidator(to_instant), WithJsonSchema(_INSTANT_SCHEMA)]
_UNKNOWN = datetime.max.replace(tzinfo=UTC)
"""Stands for the time of a stage that cannot be read, which is a problem of its own, so that no second one is shown."""
Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Frozen(BaseModel):
    """A part of a season file: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quota(Frozen):
    """How many submissions a team may send to one stage; None is no limit.

    Attributes:
        per_day: In one day of the season's timezone.
        total: In the whole stage.
    """

    per_day: Count | None = None
    total: Count | None = None


class Advance(Frozen):
    """Who goes on to the next stage: the first ``top`` of the board; a tie at the cut takes all of them in."""

    top: Count


class RuledLimits(NamedTuple):
    """Limits as written, and the name of the rules that they must obey."""

    limits: object
    rules: str


def _checked_limits(value: object) -> object:
    """Complete limits with the defaults of their rules.

    Raises:
        PydanticCustomError: ``limits_wrong``, whose context holds pydantic's own list of errors.
    """
    if not isinstance(value, RuledLimits):
        return value
    try:
        return RULES[value.rules].model_validate(value.limits).model_dump(mode="json")
    except ValidationError as error:
        errors = error.errors(include_url=False)
        text = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)
        context = {"text": text, "errors": errors, "rules": value.rules}
        raise PydanticCustomError("limits_wrong", "{text}", context) from error


def _without_required_times(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that a stage names its times, or the stage it follows."""
    schema["required"] = [name for name in schema.get("required", []) if name not in ("opens", "closes")]
    schema["anyOf"] = [{"required": ["opens", "closes"]}, {"required": ["after"]}]
    if not schema["required"]:
        del schema["required"]


class Stage(Frozen):
    """One stage of a track.

    Attributes:
        opens: First instant (UTC) of the stage.
        closes: First instant (UTC) after the stage.
        after: The earlier stage whose entries are evaluated here; such a stage takes no uploads of its own.
        uploads: Whether the teams that go on from ``after`` send something new instead.
        entries: Which of a team's submissions counts: the last that was accepted, or the best.
        data: Name of the dataset.
        victims: Names of the models that submissions are run against, in the order of the board's columns.
        training: Name of the dataset that participants receive, where it is not the stage's own.
        surrogates: Names of the models that participants receive.
        quota: How many submissions a team may send.
        limits: What one submission may not exceed, complete with the defaults of the track's rules.
        review: Whether experts must pass an entry before it is ranked.
        results: ``computed`` by the pipeline, or ``entered`` by organizers, as for a physical final.
        advance: Who goes on to the next stage.
        rounding: Digits after the point that boards show.
        seed: Seed of everything random in the evaluation.
        attempts: Runs tried on one submission before it is set aside for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_without_required_times)

    opens: Instant
    closes: Instant
    after: Annotated[str, Field(strict=True)] | None = None
    uploads: Annotated[bool, Field(strict=True)] = False
    entries: Literal["last", "best"] = "last"
    data: DataName | None = None
    victims: tuple[Name, ...] = ()
    training: DataName | None = None
    surrogates: tuple[Name, ...] = ()
    quota: Quota = Quota()
    limits: Annotated[dict[str, Any], BeforeValidator(_checked_limits)] = Field(default_factory=dict)
    review: Literal["none", "required"] = "none"
    results: Literal["computed", "entered"] = "computed"
    advance: Advance | None = None
    rounding: Annotated[int, Field(strict=True, ge=0, le=12)] = 6
    seed: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)] = 0
    attempts: Annotated[int, Field(strict=True, ge=1, le=20)] = 3

    @property
    def takes_uploads(self) -> bool:
        """Whether teams send submissions to this stage; else its entries come from the stage it follows."""
        return self.after is None or self.uploads

    def is_open(self, instant: datetime) -> bool:
        """Whether a submission received at ``instant`` (aware) counts: ``opens <= instant < closes``, exactly."""
        return self.takes_uploads and self.opens <= instant < self.closes


class Registration(Frozen):
    """When a team must have been registered to send something: from ``opens`` up to, but not including, ``closes``."""

    opens: Instant
    closes: Instant

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.closes <= self.opens:
            raise PydanticCustomError("registration_order", "registration closes before it opens")
        return self


class Track(Frozen):
    """One track: its rulebook, who may take part, and its stages, in the order they are held."""

    rules: Annotated[str, Field(strict=True)]
    registration: Registration | None = None
    stages: dict[str, Stage] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, raw: object) -> object:
        return complete_stages(raw)


def complete_stages(raw: object) -> object:
    """Fill what a raw stage takes over from the one it follows, and bind its limits to the track's rules.

    A stage with ``after`` has the data and the limits of that stage unless it names its own; it opens when that stage
    closes, and, as nobody uploads to it, it needs no closing time. What is not understood is left alone, for the
    models to report.
    """
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stages"), Mapping):
        return raw
    rules = raw.get("rules")
    stages: dict[object, object] = {}
    for name, stage in raw["stages"].items():
        after = stage.get("after") if isinstance(stage, Mapping) else None
        earlier = stages.get(after) if isinstance(after, str) else None
        stages[name] = _completed(stage, earlier, rules if isinstance(rules, str) else "")
    return {**raw, "stages": stages}


def zone_of(raw: object) -> ZoneInfo:
    """Find the time zone of a raw season; UTC where it names none, which is a problem of its own."""
    name = raw.get("timezone") if isinstance(raw, Mapping) else None
    return zone_or_none(name) or ZoneInfo("UTC")


def with_zone(raw: object, zone: ZoneInfo, depth: int = 0) -> object:
    """Copy nested mappings, marking each ``opens`` and ``closes`` that has no offset with the zone."""
    if not isinstance(raw, Mapping) or depth > 4:
        return raw
    return {
        key: _wall_time(value, zone) if key in ("opens", "closes") else with_zone(value, zone, depth + 1)
        for key, value in raw.items()
    }


def _wall_time(value: object, zone: ZoneInfo) -> object:
    try:
        parsed = parse_instant(value)
    except PydanticCustomError:
        return value  # the field's own check says what is wrong, and where
    if isinstance(parsed, datetime) and parsed.tzinfo is None:
        return WallTime(parsed, zone)
    return value


def _completed(stage: object, earlier: object, rules: str) -> object:
    """Fill the defaults of one raw stage that depend on what stands beside it."""
    if not isinstance(stage, Mapping):
        return stage
    filled: dict[object, object] = dict(stage)
    computed = filled.get("results", "computed") == "computed"
    if isinstance(filled.get("after"), str):
        before = _as_mapping(earlier)
        filled.setdefault("opens", before.get("closes", _UNKNOWN))
        filled.setdefault("closes", filled["opens"])
        filled.update(
            {
                key: before[key]
                for key in ("data", "limits", "training", "surrogates")
                if computed and key in before.keys() - filled
            }
        )
    if computed and rules in RULES and not isinstance(filled.get("limits"), RuledLimits):
        filled["limits"] = RuledLimits(filled.get("limits", {}), rules)
    return filled


def _as_mapping(stage: object) -> Mapping[object, object]:
    """See a stage that may be raw, read already, or nothing at all as a mapping."""
    if isinstance(stage, Stage):
        return dict(stage)
    return stage if isinstance(stage, Mapping) else {}
