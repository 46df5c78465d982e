"""The open training faces of a kit."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class Faces(NamedTuple):
    """Pictures and what they show.

    Attributes:
        kind: `reid` or `attributes`.
        outputs: How many people or attributes there are.
        pictures: `(n, 3, 112, 112)` uint8.
        labels: `(n,)` int64, who it is; or `(n, outputs)` float32, 1 where an attribute is seen.
    """

    kind: str
    outputs: int
    pictures: Tensor
    labels: Tensor


def read_faces(kit: Path, split: str = "train") -> Faces:
    """Read a split of a kit's `faces` folder.

    Raises:
        SystemExit: The folder is no kit of this competition.
    """
    folder = kit / "faces"
    if not (folder / "dataset.json").is_file():
        raise SystemExit(f"{folder}: there is no dataset.json; give the folder of a kit.")
    described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    with (folder / f"{split}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures = np.stack([_decode(folder / split / row["image"]) for row in rows])
    names = described["attributes"]
    if described["task"] == "reid":
        labels = torch.tensor([int(row["person"]) for row in rows])
    else:
        labels = torch.tensor([[float(row[name]) for name in names] for row in rows])
    outputs = described["people"] if described["task"] == "reid" else len(names)
    return Faces(described["task"], outputs, torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), labels)


def _decode(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
