"""The training folder in memory."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMELESS = -1
"""Class of a picture whose method is not told."""


class Album(NamedTuple):
    """The training set.

    Attributes:
        pixels: `(n, 112, 112, 3)` uint8 RGB.
        classes: `(n,)` int64: place in `methods`, or `NAMELESS`.
        methods: Names of the labelled methods in alphabetical order.
    """

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    methods: list[str]


def read_album(folder: Path) -> Album:
    """Read `images/` and `labels.csv` of a training folder (or of the folder that holds it as `train`)."""
    folder = folder / "train" if (folder / "train").is_dir() else folder
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as table:
        rows = sorted((row["id"], row["label"]) for row in csv.DictReader(table))
    methods = sorted({label for _, label in rows} - {""})
    pixels = np.empty((len(rows), 112, 112, 3), np.uint8)
    for number, (name, _) in enumerate(rows):
        with Image.open(folder / "images" / f"{name}.png") as picture:
            pixels[number] = np.asarray(picture.convert("RGB"))
    classes = [methods.index(label) if label else NAMELESS for _, label in rows]
    return Album(pixels, np.array(classes, np.int64), methods)
