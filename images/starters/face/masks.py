"""Where an attack may change a picture: bool masks `(112, 112)` of at most so many pixels.

The faces are aligned: in every picture the eyes lie near row 47, the nose near row 66 and the mouth near row 83.
"""

import numpy as np
from numpy.typing import NDArray
from pictures import SIDE

EYES = 47
MIDDLE = (57, 56)
"""Row and column of the middle of a face."""
SPACING = 5
"""Pixels from one thread to the next."""

Mask = NDArray[np.bool_]


def eye_rectangle(pixels: int) -> Mask:
    """Cover eyes and brows: one rectangle of the whole legal area (1254 pixels: 22 rows, 57 columns)."""
    height = int((0.4 * pixels) ** 0.5)
    width = min(pixels // height, SIDE)
    top, left = EYES - height // 2, MIDDLE[1] - width // 2
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def fence(pixels: int) -> Mask:
    """Span a rectangle from brows to mouth with thin upright bars on one rail."""
    return _grown(pixels, lambda down, right, size: (abs(down) <= size) & (abs(right) <= 0.8 * size))


def veil(pixels: int) -> Mask:
    """Hang thin upright threads over the whole oval of the face, joined by one thread across.

    What a network sees of a pixel is blurred by its first layers, so one thread in five columns steers nearly as much
    of the face as a solid patch does, and the same number of pixels reaches five times as far.
    """
    return _grown(pixels, lambda down, right, size: (down / size) ** 2 + (right / (0.8 * size)) ** 2 <= 1)


def _grown(pixels: int, shape) -> Mask:  # noqa: ANN001
    down, right = np.mgrid[:SIDE, :SIDE] - np.reshape(MIDDLE, (2, 1, 1))
    threads = (right % SPACING == 0) | (down == 0)
    largest = np.zeros((SIDE, SIDE), dtype=bool)
    for size in np.arange(4, SIDE, 0.25):
        mask = threads & shape(down, right, size)
        if mask.sum() > pixels:
            break
        largest = mask
    return largest
