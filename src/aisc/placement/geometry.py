"""The homography that takes a canvas to the four corners of a face, for many frames at once."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError

F64 = NDArray[np.float64]

SMALLEST_TURN: Final = 1e-6
"""Least cross product of two neighbouring edges, in square pixels, of a quadrilateral that counts as convex."""
_TINY: Final = 1e-9


def quad_homographies(corners: F64, size: tuple[float, float]) -> F64:
    """Give the matrices that map canvas points to frame points (Heckbert 1989, section 2.2.3).

    Args:
        corners: ``(n, 4, 2)`` x and y in frame pixels: where the canvas's top left, top right, bottom right and bottom
            left corner are seen.
        size: Height and width of the canvas.

    Returns:
        ``(n, 3, 3)`` float64, scaled so that the weight at the canvas's centre is 1.

    Raises:
        UsageError: PLACEMENT_CORNERS when corners are not finite or no convex quadrilateral, seen from the front.

    >>> square = np.array([[[10.0, 20.0], [30.0, 20.0], [30.0, 40.0], [10.0, 40.0]]])
    >>> apply_homographies(quad_homographies(square, (100, 100)), np.array([[50.0, 25.0]]))
    array([[[20., 25.]]])
    """
    check_corners(corners)
    p = corners.astype(np.float64)
    d1, d2 = p[:, 1] - p[:, 2], p[:, 3] - p[:, 2]
    s = p[:, 0] - p[:, 1] + p[:, 2] - p[:, 3]
    det = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    g = (s[:, 0] * d2[:, 1] - d2[:, 0] * s[:, 1]) / det
    h = (d1[:, 0] * s[:, 1] - s[:, 0] * d1[:, 1]) / det
    matrices = np.empty((len(p), 3, 3))
    matrices[:, :2, 0] = p[:, 1] - p[:, 0] + g[:, None] * p[:, 1]
    matrices[:, :2, 1] = p[:, 3] - p[:, 0] + h[:, None] * p[:, 3]
    matrices[:, :2, 2] = p[:, 0]
    matrices[:, 2] = np.stack([g, h, np.ones(len(p))], axis=1)
    matrices = matrices / np.array([size[1], size[0], 1.0])
    weight = matrices[:, 2] @ np.array([size[1] / 2, size[0] / 2, 1.0])
    return np.asarray(matrices / weight[:, None, None])


def check_corners(corners: F64) -> None:
    """Refuse corners that no face seen from the front can have.

    Raises:
        UsageError: PLACEMENT_CORNERS.
    """
    if corners.ndim != 3 or corners.shape[1:] != (4, 2):
        raise UsageError(
            "PLACEMENT_CORNERS", f"corners have shape {corners.shape}, not (n, 4, 2).", "Give x, y of four corners."
        )
    finite = np.isfinite(corners).all(axis=(1, 2))
    with np.errstate(invalid="ignore", over="ignore"):
        wrong = ~finite | ~(corner_turns(corners) > SMALLEST_TURN).all(axis=1)
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise UsageError(
            "PLACEMENT_CORNERS",
            f"the corners of frame {frame} are no convex quadrilateral: {corners[frame].round(2).tolist()}.",
            "List them clockwise as the picture shows them: top left, top right, bottom right, bottom left.",
        )


def corner_turns(corners: F64) -> F64:
    """Give the cross product of the edges that meet at each corner, ``(..., 4)``: positive for right turns."""
    edges = corners[..., (1, 2, 3, 0), :] - corners
    following = edges[..., (1, 2, 3, 0), :]
    return np.asarray(edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0])


def apply_homographies(matrices: F64, points: F64) -> F64:
    """Map ``(m, 2)`` or ``(n, m, 2)`` points by ``(n, 3, 3)`` matrices; gives ``(n, m, 2)``, never NaN or infinity.

    Points on or behind the line that a homography sends to infinity land very far away, not on NaN.
    """
    mapped = points @ np.swapaxes(matrices[:, :, :2], 1, 2) + matrices[:, None, :, 2]
    return np.asarray(mapped[..., :2] / guarded(mapped[..., 2:]))


def guarded(weight: F64) -> F64:
    """Keep a divisor away from zero; a weight that is zero or negative becomes tiny and positive."""
    return np.maximum(weight, _TINY)


def pixel_box(corners: F64, frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Give left, top, right, bottom (half-open) of the frame's pixels that one face of ``(4, 2)`` corners may touch."""
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    height, width = frame_size
    left, right = (min(max(value, 0), width) for value in (math.floor(x0), math.ceil(x1)))
    top, bottom = (min(max(value, 0), height) for value in (math.floor(y0), math.ceil(y1)))
    return left, top, right, bottom
