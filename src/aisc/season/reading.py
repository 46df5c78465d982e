"""Read a season file: YAML with a place for every value, then the models, then every problem at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from aisc.errors import UsageError
from aisc.season.explain import explain
from aisc.season.model import Season, Site
from aisc.season.rules import KeyPath, TrackView, check_tracks
from aisc.season.stage import Advance, Quota, Stage, Track, complete_stages, with_zone, zone_of
from aisc.season.yaml_places import Document, Place, read_yaml
from aisc.tracks import RULES


class Problem(NamedTuple):
    """One thing that is wrong with a season file.

    Attributes:
        line: Line, from 1.
        column: Column, from 1.
        path: Where in the season, such as ``tracks.face.stages.preliminary.closes``; "" for the file.
        message: A clause that says what is wrong, without a full stop.
        remedy: A sentence that says what to do.
    """

    line: int
    column: int
    path: str
    message: str
    remedy: str


class SeasonError(UsageError):
    """A season file that is wrong, with everything that is wrong about it (code SEASON_WRONG)."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        """Keep the problems in the order of the file."""
        self.path = path
        self.problems = problems
        shown = "\n".join(
            f"{path}:{p.line}:{p.column} {p.path + ': ' if p.path else ''}{p.message}. {p.remedy}" for p in problems
        )
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("SEASON_WRONG", f"{path} has {count}:\n{shown}", "")


def load_season(path: Path) -> Season:
    """Read a season file.

    Raises:
        SeasonError: With every problem found, each with its line, column, path and remedy.
        UsageError: SEASON_UNREADABLE, when the file cannot be opened.
    """
    try:
        document = read_yaml(path)
    except OSError as error:
        message = f"The season file {path} cannot be read: {error.strerror or error}."
        raise UsageError(
            "SEASON_UNREADABLE",
            message,
            "Name yours with --season FILE or AISC_SEASON, or make one with 'aisc season init'.",
        ) from error
    if document.data is None and document.problems:
        raise SeasonError(path, tuple(_placed(document)))
    if not isinstance(document.data, dict):
        nothing = Problem(1, 1, "", "the file holds no mapping", "Make one with 'aisc season init'.")
        raise SeasonError(path, (nothing,))
    season, problems = _validate(document)
    if season is None or problems:
        raise SeasonError(path, tuple(sorted(set(problems))))
    return season.located(path.resolve().parent)


def _validate(document: Document) -> tuple[Season | None, list[Problem]]:
    """Check the values against the models and the rules between them."""
    problems = list(_placed(document))
    unread = {problem.path for problem in document.problems}
    season = None
    try:
        season = Season.model_validate(document.data)
    except ValidationError as error:
        problems += [
            _problem(document, path, *words)
            for one in error.errors(include_url=False)
            if _is_own(document, one) and one["loc"] not in unread
            for path, words in _words(one)
        ]
    breaches = check_tracks(_views(document.data))
    problems += [_problem(document, breach.path, breach.message, breach.remedy) for breach in breaches]
    return season, problems


def _is_own(document: Document, error: ErrorDetails) -> bool:
    """Tell an error of what is written from one of a value taken over from an earlier stage.

    The rules between the parts are left out too: they are checked again, each with its place.
    """
    setting = tuple(error["loc"][:5])
    taken_over = len(setting) == 5 and setting not in document.keys and error["type"] != "missing"
    return not taken_over and error["type"] != "season_rules"


def _placed(document: Document) -> Iterator[Problem]:
    for problem in document.problems:
        yield Problem(*problem.place, ".".join(map(str, problem.path)), problem.message, problem.remedy)


def _problem(document: Document, path: KeyPath, message: str, remedy: str) -> Problem:
    place = _where(document, path)
    return Problem(place.line, place.column, ".".join(map(str, path)), message, remedy)


def _where(document: Document, path: KeyPath) -> Place:
    """Find the key that a path names, or the nearest one above it that is written in the file."""
    for end in range(len(path), 0, -1):
        if path[:end] in document.keys:
            return document.keys[path[:end]]
    return document.values.get((), Place(1, 1))


def _words(error: ErrorDetails) -> Iterator[tuple[KeyPath, tuple[str, str]]]:
    """Explain one pydantic error; errors inside a stage's limits are a list of their own."""
    if error["type"] == "limits_wrong":
        model = RULES[error["ctx"]["rules"]]
        for inner in error["ctx"]["errors"]:
            yield (*error["loc"], *inner["loc"]), explain(inner, model)
    else:
        yield error["loc"], explain(error, _model_at(error["loc"]))


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """Name the model that holds the field at the end of a path."""
    match path:
        case [_]:
            return Season
        case ["site", _]:
            return Site
        case ["tracks", _, _]:
            return Track
        case ["tracks", _, "stages", _, _]:
            return Stage
        case ["tracks", _, "stages", _, "quota", _]:
            return Quota
        case ["tracks", _, "stages", _, "advance", _]:
            return Advance
    return None


def _views(data: Mapping[str, Any]) -> dict[str, TrackView]:
    """See each track as far as it can be read, so that the rules are checked on everything that is right."""
    zoned = with_zone(data, zone_of(data))
    tracks = zoned.get("tracks") if isinstance(zoned, Mapping) else None
    if not isinstance(tracks, Mapping):
        return {}
    views = {}
    for name, raw in tracks.items():
        track = complete_stages(raw)
        if isinstance(track, Mapping):
            rules, stages = track.get("rules"), track.get("stages")
            read = {key: _stage_or_none(stage) for key, stage in stages.items()} if isinstance(stages, Mapping) else {}
            views[name] = TrackView(rules if isinstance(rules, str) else None, read)
    return views


def _stage_or_none(raw: object) -> Stage | None:
    """Read one stage as far as its known keys are right."""
    known = {key: raw[key] for key in raw if key in Stage.model_fields} if isinstance(raw, Mapping) else raw
    try:
        return Stage.model_validate(known)
    except ValidationError:
        return None
