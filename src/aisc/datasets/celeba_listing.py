"""CelebA's four text files: who is shown, forty attributes, the public partition, five landmarks.

The files lie as the data set is handed out (`Anno/`, `Eval/`, `Img/`) or all in one folder, as other tools keep them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError

IDENTITY: Final = "identity_CelebA.txt"
ATTRIBUTES: Final = "list_attr_celeba.txt"
PARTITION: Final = "list_eval_partition.txt"
LANDMARKS: Final = "list_landmarks_align_celeba.txt"
IMAGES: Final = "img_align_celeba"

_PLACES: Final = ("", "Anno", "Eval", "Img")
_LANDMARK_NUMBERS: Final = 10


class Listing(NamedTuple):
    """What the text files say of each image, in the order of the attribute file.

    Attributes:
        images: Folder of the aligned images.
        names: File names.
        people: `(n,)` int64: CelebA's number of who is shown.
        partition: `(n,)` int64: 0 train, 1 validation, 2 test.
        landmarks: `(n, 5, 2)` float64 x, y in pixels: left eye, right eye, nose, left and right corner of the mouth, as
            seen in the picture.
        attributes: `(n, 40)` bool.
        attribute_names: Names of the attributes.
    """

    images: Path
    names: tuple[str, ...]
    people: NDArray[np.int64]
    partition: NDArray[np.int64]
    landmarks: NDArray[np.float64]
    attributes: NDArray[np.bool_]
    attribute_names: tuple[str, ...]


def read_listing(source: Path) -> Listing:
    """Read the four files of a CelebA folder.

    Raises:
        UsageError: CELEBA_MISSING naming the file, CELEBA_LISTING naming file and line.
    """
    header, attributes = _with_header(_find(source, ATTRIBUTES))
    names = tuple(attributes)
    width = len(header)
    identity = _table(_find(source, IDENTITY), names, 1)
    partition = _table(_find(source, PARTITION), names, 1)
    _, landmarks = _with_header(_find(source, LANDMARKS))
    listing = Listing(
        _find(source, IMAGES), names, identity[:, 0], partition[:, 0],
        _numbers(_find(source, LANDMARKS), landmarks, names, _LANDMARK_NUMBERS).reshape(-1, 5, 2).astype(np.float64),
        _numbers(_find(source, ATTRIBUTES), attributes, names, width) > 0, header,
    )  # fmt: skip
    if not names or not set(listing.partition.tolist()) <= {0, 1, 2}:
        raise UsageError(
            "CELEBA_LISTING", f"{_find(source, PARTITION)} names other parts than 0, 1 and 2, or nothing is listed.",
            "Take the file as CelebA hands it out.",
        )  # fmt: skip
    return listing


def _find(source: Path, name: str) -> Path:
    for place in _PLACES:
        if (source / place / name).exists():
            return source / place / name
    raise UsageError(
        "CELEBA_MISSING", f"{source} holds no {name}, neither itself nor in Anno/, Eval/ or Img/.",
        "Unpack CelebA's aligned images and its Anno and Eval files into one folder.",
    )  # fmt: skip


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.split()


def _with_header(path: Path) -> tuple[tuple[str, ...], dict[str, tuple[int, list[str]]]]:
    """Read a file whose first line is a count and whose second line names the columns."""
    lines = list(_lines(path))
    if len(lines) < 2 or len(lines[0][1]) != 1 or lines[0][1][0] != str(len(lines) - 2):
        raise UsageError(
            "CELEBA_LISTING", f"{path}, line 1: the count is not the number of images below.", "Download it again."
        )
    return tuple(lines[1][1]), {cells[0]: (number, cells[1:]) for number, cells in lines[2:]}


def _table(path: Path, names: tuple[str, ...], width: int) -> NDArray[np.int64]:
    """Read a file without a header, in the order of `names`."""
    return _numbers(path, {cells[0]: (number, cells[1:]) for number, cells in _lines(path)}, names, width)


def _numbers(
    path: Path, rows: dict[str, tuple[int, list[str]]], names: tuple[str, ...], width: int
) -> NDArray[np.int64]:
    table = np.empty((len(names), width), np.int64)
    for index, name in enumerate(names):
        number, cells = rows.get(name, (0, []))
        try:
            table[index] = [int(cell) for cell in cells]
        except ValueError as error:
            where = f"line {number}" if number else f"the image {name} is not listed"
            raise UsageError(
                "CELEBA_LISTING", f"{path}: {where}; {width} whole numbers belong to each image.", "Download it again."
            ) from error
    return table
