"""Pictures for the two SAFAIR tasks, each a function of (task, split, seed, person) alone.

Re-identification knows a closed circle of people: everybody appears in every split, with other pictures in each. So a
classifier that was trained once recognises the people of every season. Attributes are told of strangers: no person
appears in two splits, or under two seeds.
"""

import multiprocessing
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import Split
from aisc.synthetic.faces import parameters
from aisc.synthetic.faces.parameters import Identity, Shot
from aisc.synthetic.faces.render import render
from aisc.victims.classifier_package import Task

PEOPLE_SEED: Final = 2021
"""Who the people of re-identification are; no season changes it."""
CIRCLE: Final = 100
"""How many people re-identification knows."""
ATTRIBUTES: Final = (
    "eyeglasses", "hat", "smiling", "mouth_open", "lipstick", "beard", "moustache", "blond_hair", "bald", "bangs",
    "long_hair", "freckles",
)  # fmt: skip
"""The attributes that a picture shows clearly; those of the renderer that cut a continuous trait in two stay away."""

Progress = Callable[[int, int], None]
"""Called with (done, total)."""
_COLUMNS: Final = [parameters.ATTRIBUTES.index(name) for name in ATTRIBUTES]


class AlbumSpec(NamedTuple):
    """Which pictures: `people` persons with `shots` pictures each."""

    task: Task
    split: Split
    seed: int
    people: int
    shots: int


class Album(NamedTuple):
    """Pictures with the truth about them.

    Attributes:
        pictures: uint8 RGB `(n, 112, 112, 3)`.
        people: `(n,)` int64: the number of who is shown.
        attributes: `(n, 12)` bool, in the order of `ATTRIBUTES`.
    """

    pictures: NDArray[np.uint8]
    people: NDArray[np.int64]
    attributes: NDArray[np.bool_]


def draw_person(spec: AlbumSpec, person: int) -> tuple[Identity, list[Shot]]:
    """Draw person number `person` and the shots of them; the same whatever else is drawn."""
    key = zlib.crc32(f"{spec.task}/{spec.split}".encode())
    rng = np.random.default_rng([spec.seed, key, person])
    circle = np.random.default_rng([PEOPLE_SEED, person]) if spec.task == "reid" else rng
    identity = Identity.draw(circle)
    return identity, [Shot.draw(rng) for _ in range(spec.shots)]


def render_album(spec: AlbumSpec, jobs: int = 1, progress: Progress | None = None) -> Album:
    """Render an album, person after person; the pictures do not depend on `jobs`."""
    parts: list[_Person] = []
    people = range(spec.people)
    if jobs == 1:
        for person in people:
            parts.append(_render_person(spec, person))
            _tell(progress, person + 1, spec.people)
    else:
        # Fresh processes: a fork of a process that runs torch's threads may hang.
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for part in pool.map(_render_person, repeat(spec), people, chunksize=8):
                parts.append(part)
                _tell(progress, len(parts), spec.people)
    return Album(
        np.concatenate([part.pictures for part in parts]),
        np.repeat(np.arange(spec.people, dtype=np.int64), spec.shots),
        np.concatenate([part.attributes for part in parts]),
    )


class _Person(NamedTuple):
    pictures: NDArray[np.uint8]
    attributes: NDArray[np.bool_]


def _render_person(spec: AlbumSpec, person: int) -> _Person:
    identity, shots = draw_person(spec, person)
    truth = np.stack([parameters.attributes(identity, shot)[_COLUMNS] for shot in shots])
    return _Person(render([identity] * spec.shots, shots), truth)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
