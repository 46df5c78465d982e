"""What an attack finds: pictures, the goal of each, ε; `docs/formats/safair-attack.md` of aisc describes the folder."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 112
FORMAT = "aisc.safair-attack/1"

Pixels = NDArray[np.uint8]
"""One RGB picture, `(112, 112, 3)`."""


class Task(NamedTuple):
    """What is asked for.

    Attributes:
        kind: `reid` or `attributes`.
        epsilon: Grey levels by which a channel may differ.
        outputs: Logits of a classifier of this task: one a person, or one an attribute.
        goals: By file name: the target person, or the numbers of the attributes to be turned around.
    """

    kind: str
    epsilon: int
    outputs: int
    goals: dict[str, list[int]]


def read_task(folder: Path) -> Task:
    """Read `task.json` and `goals.csv`.

    Raises:
        SystemExit: The folder is no task of the known format.
    """
    settings = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    if settings.get("format") != FORMAT:
        raise SystemExit(f"{folder / 'task.json'}: the format is not {FORMAT}.")
    kind = settings["task"]
    with (folder / "goals.csv").open(newline="", encoding="utf-8") as file:
        goals = {row["image"]: [int(number) for number in row["goal"].split()] for row in csv.DictReader(file)}
    outputs = settings["people"] if kind == "reid" else len(settings["attributes"])
    return Task(kind, settings["epsilon"], outputs, goals)


def read_picture(path: Path) -> Pixels:
    """Decode one PNG."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    if pixels.shape != (SIDE, SIDE, 3):
        raise SystemExit(f"{path}: the picture is not {SIDE} x {SIDE}.")
    return pixels


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write one PNG under its name only when it is whole: an end of time in the middle spoils none."""
    part = path.with_suffix(".part")
    Image.fromarray(pixels).save(part, format="PNG")
    part.replace(path)
