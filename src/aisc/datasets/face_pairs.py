"""Pairs of aligned faces: ``0001.png`` and ``0001_compare.png``, people of two identities, 112 x 112 (RULES C)."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError
from aisc.submission.findings import RuleBrokenError
from aisc.submission.png import decode_png

SIZE = (112, 112)
MOST_PAIRS = 9999
DESCRIPTION = "dataset.json"


class FacePairs(NamedTuple):
    """A dataset in memory-mapped arrays.

    Attributes:
        originals: x1, uint8 (n, 112, 112, 3), RGB: what participants change.
        compares: x2, the same shape: who the changed image is to be taken for.
    """

    originals: NDArray[np.uint8]
    compares: NDArray[np.uint8]


def count_pairs(folder: Path) -> int:
    """Count the pairs of a dataset folder from its file names.

    Raises:
        UsageError: ``PAIRS_EMPTY``, ``PAIRS_INCOMPLETE`` naming the first missing file.
    """
    names = {path.name for path in folder.glob("*.png")}
    count = sum(1 for name in names if not name.endswith("_compare.png"))
    if count == 0:
        raise UsageError("PAIRS_EMPTY", f"{folder} holds no pair.", "Name the files 0001.png and 0001_compare.png.")
    for index in range(1, count + 1):
        for name in (f"{index:04d}.png", f"{index:04d}_compare.png"):
            if name not in names:
                raise UsageError(
                    "PAIRS_INCOMPLETE",
                    f"{folder} has no {name}.",
                    f"{count} pairs are numbered 0001 to {count:04d}, each with its _compare image.",
                )
    return count


def decode_pairs(folder: Path, target: Path) -> None:
    """Decode a dataset folder into ``originals.npy`` and ``compares.npy``.

    Raises:
        UsageError: ``PAIRS_IMAGE`` when an image is not what the track's own check accepts.
    """
    count = count_pairs(folder)
    for array_name, suffix in (("originals", ""), ("compares", "_compare")):
        array = np.lib.format.open_memmap(
            target / f"{array_name}.npy", mode="w+", dtype=np.uint8, shape=(count, *SIZE, 3)
        )
        for index in range(count):
            path = folder / f"{index + 1:04d}{suffix}.png"
            try:
                array[index] = decode_png(path.read_bytes(), SIZE)
            except RuleBrokenError as error:
                raise UsageError(
                    "PAIRS_IMAGE", f"{path}: {error.message}", "Give 8-bit RGB PNG images of 112 x 112 pixels."
                ) from error
        array.flush()


def open_pairs(folder: Path) -> FacePairs:
    """Open what ``decode_pairs`` wrote, without reading it into memory."""
    return FacePairs(np.load(folder / "originals.npy", mmap_mode="r"), np.load(folder / "compares.npy", mmap_mode="r"))


def import_pairs(source: Path, target: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Bring real pairs into the dataset's format.

    Args:
        source: Either a folder that has the numbered names already, or one with a ``pairs.csv`` whose two columns
            ``original`` and ``compare`` name images below the folder (such as aligned LFW). PNG and JPEG are read.
        target: Empty folder for the dataset.
        progress: Called with (done, all).

    Returns:
        The number of pairs.

    Raises:
        UsageError: ``PAIRS_IMAGE``, ``PAIRS_LISTING``, ``PAIRS_EMPTY``, ``PAIRS_INCOMPLETE``, ``PAIRS_TOO_MANY``.
    """
    listing = list(_listing(source))
    if len(listing) > MOST_PAIRS:
        raise UsageError("PAIRS_TOO_MANY", f"{source} lists {len(listing)} pairs.", f"{MOST_PAIRS} is the most.")
    for index, (original, compare) in enumerate(listing, start=1):
        _convert(original, target / f"{index:04d}.png")
        _convert(compare, target / f"{index:04d}_compare.png")
        if progress is not None:
            progress(index, len(listing))
    describe(target, {"recipe": "imported", "pairs": len(listing)})
    return len(listing)


def describe(folder: Path, facts: dict[str, object]) -> None:
    """Write the dataset's description beside its images."""
    text = json.dumps({"format": "face-pairs/1", "size": list(SIZE), **facts}, indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(text + "\n")


def _listing(source: Path) -> Iterator[tuple[Path, Path]]:
    table = source / "pairs.csv"
    if not table.is_file():
        for index in range(1, count_pairs(source) + 1):
            yield source / f"{index:04d}.png", source / f"{index:04d}_compare.png"
        return
    with table.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames is None or not {"original", "compare"} <= set(reader.fieldnames):
            raise UsageError("PAIRS_LISTING", f"{table} has no columns 'original' and 'compare'.", "Name them so.")
        empty = True
        for row in reader:
            empty = False
            paths = [(source / (row[column] or "")).resolve() for column in ("original", "compare")]
            for path in paths:
                if not path.is_file() or not path.is_relative_to(source.resolve()):
                    raise UsageError(
                        "PAIRS_LISTING",
                        f"{table}, line {reader.line_num}: {path.name!r} is no file below {source}.",
                        "Give paths relative to the folder of pairs.csv.",
                    )
            yield paths[0], paths[1]
        if empty:
            raise UsageError("PAIRS_EMPTY", f"{table} lists no pair.", "Add one line a pair.")


def _convert(source: Path, target: Path) -> None:
    image = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if image is None or image.shape != (*SIZE, 3):
        seen = "no image" if image is None else f"{image.shape[1]} x {image.shape[0]}"
        raise UsageError(
            "PAIRS_IMAGE", f"{source} is {seen}.", "Align faces to 112 x 112 first (MTCNN, five landmarks)."
        )
    cv2.imwrite(str(target), image)
