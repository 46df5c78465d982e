"""Random textures: noise with structure at every scale, periodic where it has to tile."""

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def octaves(rng: np.random.Generator, size: tuple[int, int], coarsest: int, levels: int) -> F32:
    """Give periodic noise ``(h, w)`` of mean 0 and standard deviation 1.

    Args:
        rng: Where the randomness comes from.
        size: Height and width in pixels.
        coarsest: Cells of the coarsest octave along the height; each next octave has twice as many.
        levels: Number of octaves, each half as strong as the one before.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    for level in range(levels):
        rows = min(coarsest << level, height)
        columns = max(2, min(round(rows * width / height), width))
        cells = rng.standard_normal((rows, columns), dtype=np.float32)
        # One more cell on each side, taken from the far side, makes the enlarged noise meet itself at the borders.
        padded = np.pad(cells, 1, mode="wrap")
        step = (height / rows, width / columns)
        large = cv2.resize(padded, (round((columns + 2) * step[1]), round((rows + 2) * step[0])))
        top, left = round(step[0]), round(step[1])
        total += large[top : top + height, left : left + width] * np.float32(0.5**level)
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


def speckle(rng: np.random.Generator, colour: NDArray[np.float64], size: tuple[int, int], strength: float) -> F32:
    """Give a surface ``(h, w, 3)`` of one colour with blotches of so many grey levels."""
    blotches = octaves(rng, size, 4, 4)[..., None]
    return np.asarray(np.clip(colour + blotches * strength, 0, 255), np.float32)
