"""A task folder: its settings, and its pictures in an order that no file name can change."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 112
FORMAT = "aisc.deepfake-task/1"

Pixels = NDArray[np.uint8]
"""RGB pictures, `(n, 112, 112, 3)`."""


class Pictures(NamedTuple):
    """Pictures sorted by their content.

    Attributes:
        names: Their ids, `n` of them.
        pixels: `(n, 112, 112, 3)` uint8.
        digests: Digest of each picture's pixels, 16 bytes; in ascending order.
    """

    names: list[str]
    pixels: Pixels
    digests: list[bytes]


class Task(NamedTuple):
    """What is asked for.

    Attributes:
        neighbours: How many gallery pictures a probe must get.
        novelty: Whether each probe needs the probability that its generator is new.
        result: Name of the file to write.
        probes: Pictures whose generator is sought.
        gallery: Pictures to find it among.
    """

    neighbours: int
    novelty: bool
    result: str
    probes: Pictures
    gallery: Pictures


def read_task(folder: Path) -> Task:
    """Read `task.json`, `probe/*.png` and `gallery/*.png`.

    Raises:
        SystemExit: The folder is no task of the known format.
    """
    settings = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    if settings.get("format") != FORMAT:
        raise SystemExit(f"{folder / 'task.json'}: the format is not {FORMAT}.")
    probes, gallery = (read_pictures(folder / part) for part in ("probe", "gallery"))
    if not probes.names or len(gallery.names) < settings["neighbours"]:
        raise SystemExit(f"{folder}: no probes, or fewer gallery pictures than neighbours.")
    return Task(settings["neighbours"], settings["novelty"], settings["result"], probes, gallery)


def read_pictures(folder: Path) -> Pictures:
    """Decode a folder's PNGs; equal folders under other file names give equal arrays."""
    found = []
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        if pixels.shape != (SIDE, SIDE, 3):
            raise SystemExit(f"{path}: the picture is not {SIDE} x {SIDE}.")
        found.append((hashlib.blake2b(pixels.tobytes(), digest_size=16).digest(), path.stem, pixels))
    found.sort(key=lambda one: one[:2])
    pixels = np.stack([one[2] for one in found]) if found else np.empty((0, SIDE, SIDE, 3), np.uint8)
    return Pictures([one[1] for one in found], pixels, [one[0] for one in found])
