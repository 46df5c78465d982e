"""What lessons draw from: each picture as it is, and once handled as on the web, with the spectra of both.

Spectra cost as much as the rest of a training step and never change, so they are computed once.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from network import FingerprintNetwork
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

BATCH = 64


class Pool(NamedTuple):
    """Two views of the pictures.

    Attributes:
        pixels: `(2, n, 112, 112, 3)` uint8: as they are, and handled.
        lines: `(2, n, 864)` float32: their spectra.
    """

    pixels: NDArray[np.uint8]
    lines: NDArray[np.float32]


def make_pool(pixels: NDArray[np.uint8], seed: int, *, stretch: bool, keep: Path) -> Pool:
    """Make the pool of pictures `(n, 112, 112, 3)`, or take up the spectra that an earlier run kept at `keep`."""
    chance = np.random.default_rng(seed)
    both = np.stack([pixels, np.stack([_handle(picture, chance) for picture in pixels])])
    if keep.exists():
        return Pool(both, np.load(keep))
    network = FingerprintNetwork(stretch=stretch)
    with torch.no_grad():
        parts = [
            network.spectrum(network.ranged(to_tensor(view[at : at + BATCH])))
            for view in both
            for at in range(0, len(pixels), BATCH)
        ]
    lines = torch.cat(parts).numpy().reshape(2, len(pixels), -1)
    np.save(keep, lines)
    return Pool(both, lines)


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Give `(n, h, w, 3)` uint8 as `(n, 3, h, w)` float32, channels last: the fast layout of a processor."""
    return torch.from_numpy(pixels).float().permute(0, 3, 1, 2)


def _handle(picture: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """Compress, resample or blur a picture."""
    kind = chance.random()
    image = Image.fromarray(picture)
    if kind < 0.5:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=int(chance.integers(80, 98)))
        return np.asarray(Image.open(packed))
    if kind < 0.75:
        side = int(chance.integers(100, 132))
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR).resize(image.size))
    share = chance.uniform(0.1, 0.4)
    blurred = picture.astype(np.float32)
    for axis in (0, 1):
        around = (np.roll(blurred, 1, axis) + np.roll(blurred, -1, axis)) / 2
        blurred += share * (around - blurred)
    return np.asarray(np.clip(np.rint(blurred), 0, 255), np.uint8)
