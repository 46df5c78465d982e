"""A season's data for a SAFAIR task, rendered: public splits, hidden pictures, goals; docs/formats/safair-data.md."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from aisc.datasets.attribute_faces import Faces, Split, describe, write_split
from aisc.datasets.attribute_goals import GIVEN, draw_given, draw_targets
from aisc.errors import UsageError
from aisc.synthetic.attributes.album import ATTRIBUTES, CIRCLE, AlbumSpec, Progress, render_album
from aisc.victims.classifier_package import Task

MOST_PICTURES: Final = 100_000
_SHOTS_OF_STRANGERS: Final = 2


class FacesSpec(NamedTuple):
    """Which dataset.

    Attributes:
        task: What it is for.
        seed: Of pictures, goals and order; equal seeds give equal bytes.
        hidden: Pictures that participants never see.
        train: Pictures that they may train on.
        val: Pictures that they may test on.
        given: Attributes that an attack is given for each picture.
    """

    task: Task
    seed: int
    hidden: int = 1000
    train: int = 4000
    val: int = 500
    given: int = GIVEN


def make_faces(spec: FacesSpec, folder: Path, jobs: int = 1, progress: Progress | None = None) -> None:
    """Render a dataset into an empty folder.

    The people of re-identification are those that the shipped classifiers know; their pictures are new under each
    seed. The pictures do not depend on `jobs`.

    Raises:
        UsageError: FACES_COUNT, or GIVEN_TOO_MANY.
    """
    counts: dict[Split, int] = {"train": spec.train, "val": spec.val, "hidden": spec.hidden}
    if any(not 1 <= count <= MOST_PICTURES for count in counts.values()):
        raise UsageError(
            "FACES_COUNT", f"{list(counts.values())} pictures were asked for; each split holds 1 to {MOST_PICTURES}.",
            "Ask for 1000 hidden pictures.",
        )  # fmt: skip
    total, strangers = sum(counts.values()), 0
    for number, (split, count) in enumerate(counts.items()):
        album_spec = _album_spec(spec, split, count)
        started = sum(list(counts.values())[:number])
        album = render_album(album_spec, jobs, _scaled(progress, started, count, total))
        rng = np.random.default_rng([spec.seed, number])
        # The order of the renderer is person after person: names must not tell who is on them (T38).
        chosen = rng.permutation(len(album.pictures))[:count]
        people, attributes = album.people[chosen] + strangers, album.attributes[chosen]
        if spec.task == "reid":
            goals = draw_targets(people, CIRCLE, rng)
        else:
            goals = draw_given(attributes, spec.given, rng)
            strangers += album_spec.people
        names = tuple(f"{place:06d}.png" for place in range(1, count + 1))
        write_split(folder, split, Faces(names, people, attributes, goals), album.pictures[chosen], ATTRIBUTES)
    recipe: dict[str, str | int] = {"made_from": "synthetic faces", **spec._asdict()}
    describe(folder, spec.task, ATTRIBUTES, strangers or CIRCLE, recipe)


def _album_spec(spec: FacesSpec, split: Split, count: int) -> AlbumSpec:
    """Give the smallest album that holds `count` pictures."""
    if spec.task == "reid":
        return AlbumSpec(spec.task, split, spec.seed, min(CIRCLE, count), -(-count // CIRCLE))
    return AlbumSpec(spec.task, split, spec.seed, -(-count // _SHOTS_OF_STRANGERS), _SHOTS_OF_STRANGERS)


def _scaled(progress: Progress | None, started: int, count: int, total: int) -> Progress | None:
    """Turn an album's progress over people into one over all pictures."""
    if progress is None:
        return None
    return lambda done, people: progress(started + count * done // people, total)
