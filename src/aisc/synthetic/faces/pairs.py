"""The pairs of a face season: pictures of two people each, who appear in no training; docs/formats/face-pairs.md."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError
from aisc.synthetic.faces.album import AlbumSpec, Progress, draw_person
from aisc.synthetic.faces.render import render

MAX_PAIRS = 9999


def render_pair(seed: int, number: int) -> NDArray[np.uint8]:
    """Render pair `number` (from 1) of a season's seed as uint8 RGB `(2, 112, 112, 3)`: source, then target person.

    A pair depends on seed and number alone: 300 pairs are the first 300 of 3000.
    """
    spec = AlbumSpec(seed, "pairs", people=2 * number, shots=1)
    drawn = [draw_person(spec, person) for person in (2 * number - 2, 2 * number - 1)]
    return render([identity for identity, _ in drawn], [shots[0] for _, shots in drawn])


def make_pairs(n: int, seed: int, folder: Path, progress: Progress | None = None, jobs: int = 1) -> None:
    """Write `0001.png`, `0001_compare.png` to `n` into a folder, 112 x 112 8-bit RGB.

    Files that are there already are written anew: the same arguments give the same bytes.

    Raises:
        UsageError: PAIRS_COUNT_INVALID: four digits name at most 9999 pairs.
    """
    if not 1 <= n <= MAX_PAIRS:
        raise UsageError("PAIRS_COUNT_INVALID", f"{n} pairs were asked for; names allow 1 to {MAX_PAIRS}.", "Use 3000.")
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(1, n + 1)
    if jobs == 1:
        for number in numbers:
            _write_pair(seed, folder, number)
            if progress is not None:
                progress(number, n)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, _ in enumerate(pool.map(_write_pair, repeat(seed), repeat(folder), numbers, chunksize=16), start=1):
            if progress is not None:
                progress(number, n)


def _write_pair(seed: int, folder: Path, number: int) -> None:
    source, compare = render_pair(seed, number)
    for name, picture in ((f"{number:04d}.png", source), (f"{number:04d}_compare.png", compare)):
        done, encoded = cv2.imencode(".png", picture[..., ::-1])
        if not done:
            raise OSError(f"OpenCV could not encode {name}")
        (folder / name).write_bytes(encoded.tobytes())
