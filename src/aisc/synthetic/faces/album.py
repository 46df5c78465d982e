"""Albums: many pictures of many people, each person a function of (seed, use, number) alone.

The use keeps people apart: those of training never appear in calibration, in pairs or in a test.
"""

import multiprocessing
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.faces.parameters import Identity, Shot
from aisc.synthetic.faces.render import render
from aisc.synthetic.faces.surface import SIDE

Use = Literal["training", "validation", "calibration", "pairs", "test"]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


class AlbumSpec(NamedTuple):
    """Which pictures: `people` persons with `shots` pictures each."""

    seed: int
    use: Use
    people: int
    shots: int


def draw_person(spec: AlbumSpec, person: int) -> tuple[Identity, list[Shot]]:
    """Draw person number `person` and the shots of them; the same whatever else is drawn."""
    rng = np.random.default_rng([spec.seed, zlib.crc32(spec.use.encode()), person])
    return Identity.draw(rng), [Shot.draw(rng) for _ in range(spec.shots)]


def render_person(spec: AlbumSpec, person: int) -> NDArray[np.uint8]:
    """Render all pictures of one person, uint8 RGB `(shots, 112, 112, 3)`."""
    identity, shots = draw_person(spec, person)
    return render([identity] * spec.shots, shots)


def render_album(
    spec: AlbumSpec, target: Path | None = None, jobs: int = 1, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Render an album, uint8 RGB `(people, shots, 112, 112, 3)`, in memory or into a `.npy` file mapped into memory.

    A finished file of the same shape at `target` is taken as it is. The pictures do not depend on `jobs`.
    """
    shape = (spec.people, spec.shots, SIDE, SIDE, 3)
    if target is None:
        album = np.empty(shape, dtype=np.uint8)
        _fill(album, spec, jobs, progress)
        return album
    if not target.exists():
        # Two trainings may want the same album at once: each writes its own file, and the last one stays.
        part = target.with_name(f"{target.stem}-{os.getpid()}.part")
        mapped = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        _fill(mapped, spec, jobs, progress)
        mapped.flush()
        part.rename(target)
    return np.asanyarray(np.load(target, mmap_mode="r"))


def _fill(album: NDArray[np.uint8], spec: AlbumSpec, jobs: int, progress: Progress | None) -> None:
    people = range(spec.people)
    if jobs == 1:
        for person in people:
            album[person] = render_person(spec, person)
            _tell(progress, person + 1, spec.people)
        return
    # Fresh processes: a fork of a process that runs torch's threads may hang.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for person, pictures in enumerate(pool.map(render_person, repeat(spec), people, chunksize=8)):
            album[person] = pictures
            _tell(progress, person + 1, spec.people)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
