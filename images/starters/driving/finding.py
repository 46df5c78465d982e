"""Find the target's face without being told: from the order of frames, or from two videos."""

import cv2
import numpy as np


def pinhole_corners(first: np.ndarray, last: np.ndarray, frames: int) -> np.ndarray:
    """Give the corners (n, 4, 2) of all frames from those of the first and the last.

    Under an even approach the distance falls in a line, and a pinhole camera makes sizes the inverse of distance. All
    points move away from one point, so where the centre is follows from the size too.
    """
    width_first, width_last = (np.linalg.norm(c[1] - c[0]) for c in (first, last))
    share = np.linspace(0, 1, frames)
    width = 1 / ((1 - share) / width_first + share / width_last)
    part = ((width - width_first) / (width_last - width_first))[:, None]
    centre = first.mean(0) * (1 - part) + last.mean(0) * part
    shapes = (first - first.mean(0)) / width_first, (last - last.mean(0)) / width_last
    shape = shapes[0] * (1 - part[..., None]) + shapes[1] * part[..., None]
    return centre[:, None] + shape * width[:, None, None]


def difference_corners(clean: np.ndarray, patched: np.ndarray, least: int = 12) -> np.ndarray | None:
    """Give the corners (4, 2) of what differs between two frames (h, w, 3) of one moment; ``None`` for nothing."""
    differs = (cv2.absdiff(clean, patched).max(axis=2) > least).astype(np.uint8)
    differs = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(differs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    hull = cv2.convexHull(max(outlines, key=cv2.contourArea))
    for slack in np.arange(0.01, 0.3, 0.01):
        quad = cv2.approxPolyDP(hull, slack * cv2.arcLength(hull, True), True)
        if len(quad) <= 4:
            break
    if len(quad) != 4:
        quad = cv2.boxPoints(cv2.minAreaRect(hull))
    return _ordered(quad.reshape(4, 2).astype(float))


def _ordered(quad: np.ndarray) -> np.ndarray:
    """Sort corners to top left, top right, bottom right, bottom left, and move them from pixel centres to borders."""
    middle = quad.mean(0)
    angles = np.arctan2(quad[:, 1] - middle[1], quad[:, 0] - middle[0])
    quad = quad[np.argsort(angles)]
    quad = np.roll(quad, -int(np.argmin(quad.sum(1))), axis=0)
    return quad + 0.5 + np.sign(quad - middle) * 0.5
