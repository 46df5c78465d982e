"""Placement as its definition reads, in plain numpy: slow, and the oracle that the fast one is tested against."""

import numpy as np
from numpy.typing import NDArray

from aisc.placement.geometry import F64, guarded, quad_homographies
from aisc.placement.light import FacePose

F32 = NDArray[np.float32]


def place_reference(
    frame: NDArray[np.uint8], rgb: NDArray[np.uint8], mask: NDArray[np.bool_], pose: FacePose, samples: int = 64
) -> NDArray[np.uint8]:
    """Give a copy of a frame with a canvas on its face: every pixel of the frame is the mean of ``samples``² samples.

    Args:
        frame: ``(h, w, 3)`` uint8.
        rgb: ``(ch, cw, 3)`` uint8, the canvas's colours.
        mask: ``(ch, cw)`` bool, where the canvas covers.
        pose: Where the face is and how it is lit.
        samples: Samples along each side of a frame pixel; enough is about twice the canvas pixels that it spans.
    """
    size = mask.shape[0], mask.shape[1]
    matrix = quad_homographies(pose.corners[None], size)[0]
    back = np.linalg.inv(matrix)
    premultiplied = np.dstack([rgb * mask[..., None], mask * 255]).astype(np.float32)
    height, width = frame.shape[:2]
    hidden = np.zeros((height, width))
    x0, y0, x1, y1 = pose.occlusion_box
    hidden[y0:y1, x0:x1] = pose.occlusion / 255
    offsets = (np.arange(samples) + 0.5) / samples
    columns_x = (np.arange(width)[:, None, None] + offsets[None, None, :]) + np.zeros((1, samples, 1))
    grid = pose.gain.shape[1], pose.gain.shape[0]
    out = frame.copy()
    for y in range(height):
        rows_y = y + offsets[None, :, None] + np.zeros_like(columns_x)
        points = _canvas_points(back, matrix, columns_x.ravel(), rows_y.ravel())
        colour = bilinear(premultiplied, points - 0.5).reshape(width, -1, 4).mean(axis=1)
        centres = _canvas_points(back, matrix, np.arange(0.5, width), np.full(width, y + 0.5))
        cells = np.clip(centres * [grid[0] / size[1], grid[1] / size[0]] - 0.5, 0, [grid[0] - 1, grid[1] - 1])
        seen = 1 - hidden[y, :, None]
        share = colour[:, 3:] / 255 * seen
        value = frame[y] * (1 - share) + colour[:, :3] * bilinear(pose.gain, cells) * seen + pose.haze * share
        out[y] = np.where(colour[:, 3:] > 0, np.rint(np.clip(value, 0, 255)), frame[y]).astype(np.uint8)
    return out


def _canvas_points(back: F64, matrix: F64, x: F64, y: F64) -> F64:
    """Map frame points to the canvas; points that do not see its front land far outside."""
    mapped = back @ np.stack([x, y, np.ones_like(x)])
    points = (mapped[:2] / guarded(mapped[2])).T
    # A point behind the line at infinity would fold back onto the canvas with a weight of the wrong sign.
    weight = matrix[2, 0] * points[:, 0] + matrix[2, 1] * points[:, 1] + matrix[2, 2]
    points[(mapped[2] <= 0) | (weight <= 0)] = -1e9
    return points


def bilinear(image: F32, points: F64) -> F64:
    """Look up ``(m, 2)`` x, y in pixel indices of ``(h, w, c)``; outside the image everything is zero."""
    height, width = image.shape[:2]
    low = np.floor(points)
    part = points - low
    total = np.zeros((len(points), image.shape[2]))
    for down in (0, 1):
        for across in (0, 1):
            column, row = low[:, 0] + across, low[:, 1] + down
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = np.where(across, part[:, 0], 1 - part[:, 0]) * np.where(down, part[:, 1], 1 - part[:, 1])
            picked = image[np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int)]
            total += picked * (weight * inside)[:, None]
    return total
