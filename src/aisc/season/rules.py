"""What the parts of a season demand of each other.

The checks work on views, in which a stage that could not be read is None: so one wrong stage does not hide what is
wrong with the others, and an organizer sees every problem at once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from aisc.season.names import STAGES
from aisc.season.stage import Quota, Stage, Track
from aisc.tracks import RULES

FRESH_VICTIMS = frozenset({"face-verification-patch"})
"""Rulebooks whose later stages must use models that no earlier stage has shown (AISC 2022 report, §4: three others)."""

WITHOUT_VICTIMS = frozenset({"source-identification"})
"""Rulebooks that score a program's own answers: no model is run against it."""

SIDES = {"safair-attack": "-attack", "safair-defence": "-defence"}
"""Rulebooks that belong to one side of a task, and how the names of that side's tracks end."""

ROLES = {"safair-attack": ("baseline", "surrogate"), "safair-defence": ("surrogate",)}
"""Rulebooks in which each victim has a part of its own; the last is the one that programs or probes may know."""

SHARED_LIMITS = ("accuracy",)
"""Limits that both finals of a tournament must have alike, because a cell is of both."""

KeyPath = tuple[str | int, ...]


class Breach(NamedTuple):
    """One broken rule: where in the file, what is wrong (a clause without a full stop), and what to do about it."""

    path: KeyPath
    message: str
    remedy: str


class TrackView(NamedTuple):
    """A track as far as it could be read."""

    rules: str | None
    stages: Mapping[str, Stage | None]


def view_of(track: Track) -> TrackView:
    """Give the view of a track that was read whole."""
    return TrackView(track.rules, dict(track.stages))


def check_tracks(tracks: Mapping[str, TrackView]) -> list[Breach]:
    """List every broken rule, in the order of the file."""
    own = [breach for name, track in tracks.items() for breach in _check_track(name, track)]
    return own + [breach for name in tracks for breach in _check_opponent(name, tracks)]


def is_tournament(rules: str | None, stage: Stage) -> bool:
    """Tell whether a stage is the final of one side of a task, in which every attack meets every defence."""
    return rules in SIDES and stage.after is not None


def _check_track(name: str, track: TrackView) -> Iterator[Breach]:
    here: KeyPath = ("tracks", name)
    if name not in STAGES:
        yield Breach(here, f"'{name}' is no track", f"Name one of: {', '.join(STAGES)}.")
    if track.rules is not None and track.rules not in RULES:
        remedy = f"Name one of: {', '.join(sorted(RULES))}."
        yield Breach((*here, "rules"), f"there is no rulebook '{track.rules}'", remedy)
    if track.rules in SIDES and not name.endswith(SIDES[track.rules]):
        message = f"'{track.rules}' is the rulebook of tracks that end in '{SIDES[track.rules]}'"
        yield Breach((*here, "rules"), message, f"'{name}' needs another one.")
    yield from _check_order(here, STAGES.get(name, ()), list(track.stages))
    for stage_name, stage in track.stages.items():
        if stage is not None:
            place = (*here, "stages", stage_name)
            yield from _check_times(place, stage)
            yield from _check_work(place, stage, track.rules)
            yield from _check_final(place, stage, track.rules)
            yield from _check_limits(place, stage, track.rules)
            yield from _check_after(place, stage_name, stage, track)
            yield from _check_victims(place, stage, track)


def _check_order(here: KeyPath, promised: tuple[str, ...], names: list[str]) -> Iterator[Breach]:
    """Stages have the promised names of their track and stand in the order they are held."""
    if not promised:
        return
    last = -1
    for name in names:
        place = (*here, "stages", name)
        if name not in promised:
            yield Breach(place, f"'{name}' is no stage of track '{here[-1]}'", f"Name one of: {', '.join(promised)}.")
        elif promised.index(name) < last:
            yield Breach(place, f"'{name}' is held earlier", f"List the stages as {', '.join(promised)}.")
        else:
            last = promised.index(name)


def _check_times(place: KeyPath, stage: Stage) -> Iterator[Breach]:
    wrong = stage.closes <= stage.opens if stage.takes_uploads else stage.closes < stage.opens
    if wrong:
        when = f"{_shown(stage.closes)} is not after opens {_shown(stage.opens)}"
        yield Breach((*place, "closes"), when, "Let the stage close after it opens.")


def _check_work(place: KeyPath, stage: Stage, rules: str | None) -> Iterator[Breach]:
    """A computed stage has something to compute with; an entered one has nothing that would never be used."""
    if stage.results == "computed":
        if stage.data is None:
            yield Breach(place, "computed results need data", "Name the dataset: data: faces/pairs.")
        # In a tournament defences meet what attacks made, and no model stands between them.
        alone = rules in WITHOUT_VICTIMS or (rules == "safair-defence" and is_tournament(rules, stage))
        if stage.victims and alone:
            yield Breach((*place, "victims"), f"no model is asked here under {rules}", "Remove victims.")
        if not stage.victims and not alone:
            yield Breach(place, "computed results need victims", "Name the models: victims: [irse, mobile, vgg].")
        return
    for name, given in (("victims", stage.victims), ("data", stage.data), ("limits", stage.limits)):
        if given:
            remedy = f"Remove {name}, or let results be computed."
            yield Breach((*place, name), f"organizers enter these results, so {name} would never be used", remedy)


def _check_final(place: KeyPath, stage: Stage, rules: str | None) -> Iterator[Breach]:
    """The final of one side is a tournament of those who advanced: computed, and with nothing new."""
    if rules not in SIDES or (place[-1] != "final" and stage.after is None):
        return
    if stage.after is None:
        message = "a final is held among the teams that advanced"
        yield Breach(place, message, "Name the stage they come from: after: initial.")
    if stage.uploads:
        message = "a tournament is held among the programs that advanced"
        yield Breach((*place, "uploads"), message, "Remove uploads.")
    if stage.results != "computed":
        yield Breach((*place, "results"), "a tournament's results are computed", "Remove results.")


def _check_opponent(name: str, tracks: Mapping[str, TrackView]) -> Iterator[Breach]:
    """Both sides of a task hold their finals together, on the same data; told once, at the defence or who is alone."""
    rules = tracks[name].rules
    if rules not in SIDES or not name.endswith(SIDES[rules]):
        return
    other_name = name.removesuffix(SIDES[rules]) + next(end for one, end in SIDES.items() if one != rules)
    other = tracks.get(other_name)
    for stage_name, stage in tracks[name].stages.items():
        if stage is None or not is_tournament(rules, stage):
            continue
        place = ("tracks", name, "stages", stage_name)
        if other is None or stage_name not in other.stages:
            message = f"a tournament needs both sides, and there is no '{other_name}/{stage_name}'"
            yield Breach(place, message, "Add it, or remove this one.")
            continue
        opposite = other.stages[stage_name]
        if opposite is None or rules != "safair-defence":
            continue
        for what, here, there in (
            ("data", stage.data, opposite.data),
            ("seed", stage.seed, opposite.seed),
            *((f"limits.{one}", stage.limits.get(one), opposite.limits.get(one)) for one in SHARED_LIMITS),
        ):
            if here != there:
                message = f"{what} is {here!r} here and {there!r} in '{other_name}/{stage_name}'"
                yield Breach(place, message, "Let both finals have the same.")


def _check_limits(place: KeyPath, stage: Stage, rules: str | None) -> Iterator[Breach]:
    """Limits that were put into a stage by code obey the rules too; those of a file were checked when it was read."""
    if stage.results != "computed" or rules not in RULES:
        return
    try:
        RULES[rules].model_validate(stage.limits)
    except ValidationError as error:
        for one in error.errors():
            yield Breach((*place, "limits", *one["loc"]), one["msg"], f"See the limits of {rules}.")


def _check_after(place: KeyPath, name: str, stage: Stage, track: TrackView) -> Iterator[Breach]:
    if stage.after is None:
        if stage.uploads:
            remedy = "Remove uploads, or name the stage whose teams go on: after: preliminary."
            yield Breach((*place, "uploads"), "a stage that follows no other takes uploads anyway", remedy)
        return
    names = list(track.stages)
    here = (*place, "after")
    if stage.quota != Quota() and not stage.uploads:
        message = f"entries come from '{stage.after}', so no quota can be used up here"
        yield Breach((*place, "quota"), message, "Remove quota, or let the stage take uploads: uploads: true.")
    if stage.after not in names:
        remedy = f"Name one of: {', '.join(other for other in names if other != name)}."
        yield Breach(here, f"there is no stage '{stage.after}' in this track", remedy)
        return
    if names.index(stage.after) >= names.index(name):
        message = f"'{stage.after}' does not come before '{name}'"
        yield Breach(here, message, "Name a stage that stands earlier in the file.")
        return
    source = track.stages[stage.after]
    if source is None:
        return
    if stage.opens < source.closes:
        message = f"{_shown(stage.opens)} is before '{stage.after}' closes at {_shown(source.closes)}"
        yield Breach((*place, "opens"), message, "Open the stage when its entries are final.")
    if source.results == "entered" and stage.results == "computed" and source.after is None:
        message = f"'{stage.after}' has entered results and no submissions to evaluate"
        yield Breach(here, message, "Name a stage that teams submit to.")


def _check_victims(place: KeyPath, stage: Stage, track: TrackView) -> Iterator[Breach]:
    here = (*place, "victims")
    for victim, count in Counter(stage.victims).items():
        if count > 1:
            index = stage.victims.index(victim, stage.victims.index(victim) + 1)
            yield Breach((*here, index), f"'{victim}' is listed {count} times", "List each victim once.")
    roles = ROLES.get(track.rules or "")
    if roles is not None and stage.victims and len(stage.victims) < len(roles):
        message = f"{track.rules} needs {len(roles)} victims: {', '.join(roles)}"
        yield Breach(here, message, "Name the attacked one first and the surrogate last.")
    secret = stage.victims if track.rules in FRESH_VICTIMS else stage.victims[:-1] if roles is not None else ()
    for victim in sorted(set(secret) & set(stage.surrogates)):
        message = f"'{victim}' is attacked unseen and would be handed out with the kit"
        place_of = (*place, "surrogates", stage.surrogates.index(victim))
        yield Breach(place_of, message, "Hand out other models.")
    if track.rules not in FRESH_VICTIMS:
        return
    for earlier_name, earlier in _stages_before(stage, track):
        for victim in dict.fromkeys(stage.victims):
            if victim in earlier.victims:
                message = f"'{victim}' was a victim of '{earlier_name}' already"
                remedy = f"Use models that '{earlier_name}' has not shown."
                yield Breach((*here, stage.victims.index(victim)), message, remedy)


def _stages_before(stage: Stage, track: TrackView) -> Iterator[tuple[str, Stage]]:
    """Follow ``after`` back; a stage that comes up twice ends the walk."""
    seen: set[str] = set()
    name = stage.after
    while name is not None and name not in seen:
        seen.add(name)
        earlier = track.stages.get(name)
        if earlier is None or earlier == stage:
            return
        yield name, earlier
        name = earlier.after


def _shown(instant: object) -> str:
    return str(instant).replace("+00:00", "Z").replace(" ", "T")
