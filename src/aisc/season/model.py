"""A season: its tracks, its clock, and where it keeps things.

Both the types and the rules between the parts hold for every :class:`Season` that exists, however it was made.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from aisc.errors import UsageError
from aisc.identity import digest
from aisc.season.clock import day_window, zone_or_none
from aisc.season.locations import check_ledger, check_store, resolve_ledger, resolve_store
from aisc.season.names import Name
from aisc.season.rules import check_tracks, is_tournament, view_of
from aisc.season.stage import Frozen, Stage, Text, Track, with_zone, zone_of
from aisc.tracks import RULES


def _known_zone(name: str) -> str:
    if zone_or_none(name) is None:
        raise PydanticCustomError("timezone_unknown", "{name} is no IANA time zone", {"name": repr(name)})
    return name


class Site(Frozen):
    """What the published boards say about the competition."""

    title: Text
    organizer: Text | None = None
    url: Annotated[str, Field(strict=True, pattern=r"^https?://[^\s<>\"']{1,500}$")] | None = None


class StageRef(NamedTuple):
    """One stage with the names that lead to it."""

    track: str
    name: str
    rules: str
    stage: Stage

    @property
    def path(self) -> str:
        """The name people write: ``face/preliminary``."""
        return f"{self.track}/{self.name}"

    @property
    def limits(self) -> BaseModel:
        """The stage's limits as the model of the track's rules, such as :class:`aisc.tracks.face.FaceLimits`."""
        return RULES[self.rules].model_validate(self.stage.limits)

    @property
    def is_tournament(self) -> bool:
        """Whether every attack meets every defence here: held with the other side's final, not as a round."""
        return is_tournament(self.rules, self.stage)


class Season(Frozen):
    """One season of a competition.

    Attributes:
        season: Name of the season; folders, keys and pages carry it.
        timezone: IANA name of the zone in which days are counted and plain times are read.
        store: Where artifacts live, as written; see :attr:`store_url`.
        ledger: Where the ledger lives, as written; see :attr:`ledger_url`.
        site: What the published pages say.
        tracks: The tracks by name.
    """

    season: Name
    timezone: Annotated[str, Field(strict=True), AfterValidator(_known_zone)]
    store: Annotated[str, Field(strict=True), AfterValidator(check_store)]
    ledger: Annotated[str, Field(strict=True), AfterValidator(check_ledger)]
    site: Site | None = None
    tracks: dict[str, Track] = Field(min_length=1)

    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="before")
    @classmethod
    def _read_wall_times(cls, raw: object) -> object:
        """Give times without an offset the season's timezone, so that each is judged where it stands."""
        return with_zone(raw, zone_of(raw))

    @model_validator(mode="after")
    def _keep_the_rules(self) -> Self:
        problems = check_tracks({name: view_of(track) for name, track in self.tracks.items()})
        if problems:
            text = " ".join(f"{'.'.join(map(str, p.path))}: {p.message}. {p.remedy}" for p in problems)
            raise PydanticCustomError("season_rules", "{text}", {"text": text})
        return self

    @property
    def title(self) -> str:
        """Heading of the published pages: the site's title, or the season's name."""
        return self.site.title if self.site else self.season

    @property
    def zone(self) -> ZoneInfo:
        """The season's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def folder(self) -> Path:
        """The folder of the season file, where relative places begin; the working directory for one made in code."""
        return self._folder

    @property
    def store_url(self) -> str:
        """Where artifacts live: ``s3://bucket/prefix`` or an absolute path."""
        return resolve_store(self.store, self._folder)

    @property
    def ledger_url(self) -> str:
        """The ledger's SQLAlchemy URL, with an absolute path where it is a file."""
        return resolve_ledger(self.ledger, self._folder)

    def located(self, folder: Path) -> "Season":
        """Give the same season read from another folder."""
        copy = self.model_copy()
        copy._folder = folder
        return copy

    def stage(self, path: str) -> StageRef:
        """Find a stage by the name people write, such as ``face/preliminary``.

        Raises:
            UsageError: STAGE_UNKNOWN, listing the stages there are.
        """
        track_name, _, stage_name = path.partition("/")
        track = self.tracks.get(track_name)
        if track is None or stage_name not in track.stages:
            known = ", ".join(ref.path for ref in self.stages())
            raise UsageError("STAGE_UNKNOWN", f"Season {self.season} has no stage {path!r}.", f"Name one of: {known}.")
        return StageRef(track_name, stage_name, track.rules, track.stages[stage_name])

    def stages(self) -> list[StageRef]:
        """List every stage, track by track, in the order of the file."""
        return [
            StageRef(track_name, stage_name, track.rules, stage)
            for track_name, track in self.tracks.items()
            for stage_name, stage in track.stages.items()
        ]

    def day_window(self, instant: datetime) -> tuple[datetime, datetime]:
        """Give the day ``[start, end)`` (UTC) of the season's timezone that holds an aware instant."""
        return day_window(instant, self.zone)


def season_digest(season: Season) -> str:
    """Name a season by its content: SHA-256 (hex) over its canonical JSON, times in UTC, places as written."""
    return digest(season.model_dump(mode="json"))


def season_schema() -> dict[str, Any]:
    """Give the JSON schema of a season file, with the limits of every rulebook."""
    schema = Season.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    track = schema["$defs"]["Track"]
    track["properties"]["rules"]["enum"] = sorted(RULES)
    track["allOf"] = [
        {
            "if": {"properties": {"rules": {"const": name}}},
            "then": {"properties": {"stages": {"additionalProperties": {"properties": {"limits": limits}}}}},
        }
        for name, limits in sorted((name, model.model_json_schema()) for name, model in RULES.items())
    ]
    return schema
