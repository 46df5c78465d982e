"""Bringing CelebA into the format of the SAFAIR tracks: aligned by its landmarks, split for the task.

Attributes keep CelebA's own partition, in which nobody appears twice. Re-identification needs known people, so each
person with enough pictures gives one to the hidden pool, one to validation and the rest to training.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import SIZE, SPLITS, Faces, Split, describe, write_split
from aisc.datasets.attribute_goals import GIVEN, draw_given, draw_targets
from aisc.datasets.celeba_listing import Listing, read_listing
from aisc.errors import UsageError
from aisc.victims.classifier_package import Task

_TEMPLATE: Final = np.array([[40.4, 48.0], [71.6, 48.0], [56.0, 66.0], [43.4, 82.0], [68.6, 82.0]])
"""Where eyes, nose and mouth lie in a picture of 112 x 112 pixels, as in the synthetic faces."""

Progress = Callable[[int, int], None]


class ImportSettings(NamedTuple):
    """How CelebA is split.

    Attributes:
        task: What the dataset is for.
        hidden: Pictures that are kept from participants.
        given: Attributes that an attack is given for each picture.
        least: Fewest pictures of a person who takes part in re-identification.
        seed: Of everything that is drawn.
    """

    task: Task
    hidden: int = 1000
    given: int = GIVEN
    least: int = 20
    seed: int = 0


def import_celeba(source: Path, target: Path, settings: ImportSettings, progress: Progress | None = None) -> int:
    """Align, split and write CelebA.

    Args:
        source: A folder in CelebA's public layout.
        target: Empty folder for the dataset.
        settings: The task and how to split for it.
        progress: Called with (done, all pictures).

    Returns:
        The number of hidden pictures.

    Raises:
        UsageError: CELEBA_MISSING, CELEBA_LISTING, CELEBA_IMAGE, CELEBA_TOO_SMALL or GIVEN_TOO_MANY.
    """
    listing = read_listing(source)
    rng = np.random.default_rng(settings.seed)
    chosen = _split_people(listing, settings, rng) if settings.task == "reid" else _split_parts(listing, settings, rng)
    known = np.unique(listing.people[np.concatenate(list(chosen.values()))])
    done, total = 0, sum(map(len, chosen.values()))
    for split in SPLITS:
        rows = chosen[split]
        faces = _faces(listing, rows, known, settings, rng)
        pictures = _told(_aligned(listing, rows), progress, done, total)
        write_split(target, split, faces, pictures, listing.attribute_names)
        done += len(rows)
    recipe: dict[str, str | int] = {"made_from": "CelebA", **settings._asdict()}
    describe(target, settings.task, listing.attribute_names, len(known), recipe)
    return len(chosen["hidden"])


def align(picture: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Turn, scale and shift a picture so that its five landmarks meet the template as well as they can.

    Args:
        picture: uint8 `(h, w, 3)`.
        landmarks: `(5, 2)` x, y in pixels.

    Returns:
        uint8 `(112, 112, 3)`.
    """
    x, y = landmarks.T
    ones, zeros = np.ones(5), np.zeros(5)
    # u = a x - b y + s and v = b x + a y + t, solved for (a, b, s, t) by least squares.
    system = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, s, t = np.linalg.lstsq(system, _TEMPLATE.T.ravel(), rcond=None)[0]
    matrix = np.array([[a, -b, s], [b, a, t]])
    return np.asarray(
        cv2.warpAffine(picture, matrix, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _split_parts(
    listing: Listing, settings: ImportSettings, rng: np.random.Generator
) -> dict[Split, NDArray[np.int64]]:
    parts = [np.flatnonzero(listing.partition == part) for part in range(3)]
    return {"train": parts[0], "val": parts[1], "hidden": _hidden(parts[2], settings, rng)}


def _split_people(
    listing: Listing, settings: ImportSettings, rng: np.random.Generator
) -> dict[Split, NDArray[np.int64]]:
    order = rng.permutation(len(listing.names))
    by_person = order[np.argsort(listing.people[order], kind="stable")]
    _, starts, counts = np.unique(listing.people[by_person], return_index=True, return_counts=True)
    enough = counts >= max(settings.least, 3)
    pool, val = by_person[starts[enough]], by_person[starts[enough] + 1]
    rest = [by_person[at + 2 : at + count] for at, count in zip(starts[enough], counts[enough], strict=True)]
    hidden = _hidden(pool, settings, rng)
    return {"train": np.sort(np.concatenate(rest)), "val": np.sort(val), "hidden": hidden}


def _hidden(pool: NDArray[np.int64], settings: ImportSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the hidden pictures in an order that says nothing (T38)."""
    if len(pool) < settings.hidden or not settings.hidden:
        raise UsageError(
            "CELEBA_TOO_SMALL", f"{settings.hidden} hidden pictures were asked for, {len(pool)} can be given.",
            "Ask for fewer, or for re-identification lower `least`.",
        )  # fmt: skip
    return np.asarray(rng.permutation(pool)[: settings.hidden])


def _faces(
    listing: Listing, rows: NDArray[np.int64], known: NDArray[np.int64], settings: ImportSettings,
    rng: np.random.Generator,
) -> Faces:  # fmt: skip
    people, attributes = np.searchsorted(known, listing.people[rows]), listing.attributes[rows]
    if settings.task == "reid":
        goals = draw_targets(people, len(known), rng)
    else:
        goals = draw_given(attributes, settings.given, rng)
    return Faces(tuple(f"{number:06d}.png" for number in range(1, len(rows) + 1)), people, attributes, goals)


def _aligned(listing: Listing, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    for row in rows:
        path = listing.images / listing.names[row]
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise UsageError("CELEBA_IMAGE", f"{path} is missing or no image.", "Unpack img_align_celeba again.")
        yield align(np.asarray(picture[..., ::-1], np.uint8), listing.landmarks[row])


def _told(
    pictures: Iterator[NDArray[np.uint8]], progress: Progress | None, done: int, total: int
) -> Iterator[NDArray[np.uint8]]:
    for number, picture in enumerate(pictures, start=done + 1):
        yield picture
        if progress is not None:
            progress(number, total)
