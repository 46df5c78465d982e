"""Where an attack may change a picture: bool masks `(112, 112)` of at most so many pixels, each one connected patch.

The faces are aligned: in every picture the eyes lie near row 47, the nose near row 66 and the mouth near row 83.
"""

import numpy as np
from numpy.typing import NDArray
from pictures import SIDE

EYES = 47
MIDDLE = (57, 56)
"""Row and column of the middle of a face."""
SPACING = 5
"""Columns from one thread to the next."""

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
    """Span a rectangle, as large as the area allows, with thin upright bars on one rail across the face.

    A network's first layers blur what they see, so one column in five steers nearly as much of the face as a solid
    patch does, and the same number of pixels reaches four times as far.
    """
    down, right = np.mgrid[:SIDE, :SIDE] - np.reshape(MIDDLE, (2, 1, 1))
    bars = (right % SPACING == 0) | (down == 0)
    largest = np.zeros((SIDE, SIDE), dtype=bool)
    for half_height in range(2, SIDE):
        mask = bars & (abs(down) <= half_height) & (abs(right) <= 0.8 * half_height)
        if mask.sum() > pixels:
            break
        largest = mask
    return largest


def veil(pixels: int, worth: NDArray[np.float32]) -> Mask:
    """Hang threads up and down from a rail across the face, each as long as it pays.

    Args:
        pixels: The legal area.
        worth: What it brings to change each pixel, `(112, 112)`, at least 0.

    Returns:
        The mask, among those with threads `SPACING` columns apart, that is worth most.
    """
    return max((_priced_veil(pixels, worth, first) for first in range(SPACING)), key=lambda mask: worth[mask].sum())


def _priced_veil(pixels: int, worth: NDArray[np.float32], first: int) -> Mask:
    """Find by bisection the price of a pixel at which the veil that pays just keeps to the legal area."""
    cheap, dear = 0.0, float(worth.max())
    best = np.zeros((SIDE, SIDE), dtype=bool)
    for _ in range(20):
        price = (cheap + dear) / 2
        mask = _hang(worth[:, first::SPACING] - price, first)
        if mask.sum() > pixels:
            cheap = price
        else:
            dear, best = price, mask
    return best


def _hang(profit: NDArray[np.float32], first: int) -> Mask:
    """Let each thread end where its profit `(112, threads)` summed from the rail is greatest."""
    rail = MIDDLE[0]
    above, below = profit[:rail][::-1].cumsum(axis=0), profit[rail + 1 :].cumsum(axis=0)
    up = np.where(above.max(axis=0) > 0, above.argmax(axis=0) + 1, 0)
    down = np.where(below.max(axis=0) > 0, below.argmax(axis=0) + 1, 0)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    hung = np.flatnonzero(up + down)
    if not hung.size:
        return mask
    rows = np.arange(SIDE)[:, None]
    mask[:, first::SPACING] = (rows >= rail - up) & (rows <= rail + down) & (up + down > 0)
    mask[rail, first + SPACING * hung[0] : first + SPACING * hung[-1] + 1] = True
    return mask
