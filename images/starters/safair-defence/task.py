"""What a defence finds, and the table that it writes; `docs/formats/safair-defence.md` of aisc describes both."""

import csv
import json
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 112
FORMAT = "aisc.safair-defence/1"
RESULT = "predictions.csv"
MODEL = "model.onnx"

Pixels = NDArray[np.uint8]
"""One RGB picture, `(112, 112, 3)`."""


class Task(NamedTuple):
    """What is asked for.

    Attributes:
        wanted: `answers`, or `model`: the classifier itself, for probes that are computed on it.
        kind: `reid` or `attributes`.
        outputs: Logits of a classifier of this task: one a person, or one an attribute.
        columns: Header of the table.
        pictures: Files to look at.
    """

    wanted: str
    kind: str
    outputs: int
    columns: Sequence[str]
    pictures: Sequence[Path]


def read_task(folder: Path) -> Task:
    """Read `task.json`, and list `images/`.

    Raises:
        SystemExit: The folder is no task of the known format.
    """
    settings = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    if settings.get("format") != FORMAT:
        raise SystemExit(f"{folder / 'task.json'}: the format is not {FORMAT}.")
    kind, attributes = settings["task"], settings["attributes"]
    outputs = settings["people"] if kind == "reid" else len(attributes)
    columns = ["image", "person"] if kind == "reid" else ["image", *attributes]
    return Task(settings.get("wanted", "answers"), kind, outputs, columns, sorted((folder / "images").glob("*.png")))


def read_picture(path: Path) -> Pixels:
    """Decode one PNG."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    if pixels.shape != (SIDE, SIDE, 3):
        raise ValueError(f"{path}: the picture is not {SIDE} x {SIDE}.")
    return pixels


class Table:
    """The answers, written one by one: what stands there at the end of time counts."""

    def __init__(self, file: TextIOWrapper, columns: Sequence[str]) -> None:
        """Write the header."""
        self._file, self._rows = file, csv.writer(file, lineterminator="\n")
        self._rows.writerow(columns)

    def answer(self, name: str, said: Sequence[int]) -> None:
        """Write one row, at once."""
        self._rows.writerow([name, *said])
        self._file.flush()
