"""What a scene does to a canvas stuck on its target: light, haze and things in front, per frame."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class FacePose(NamedTuple):
    """The target face in one frame.

    Attributes:
        corners: ``(4, 2)`` float64: x, y of the canvas's top left, top right, bottom right, bottom left corner.
        gain: ``(gh, gw, 3)`` float32: what canvas colours are multiplied by, on a coarse grid over the canvas. The
            grid's cells tile the canvas, their values hold at the cells' centres and are interpolated linearly between.
        haze: ``(3,)`` float32 grey levels that fog adds.
        occlusion_box: left, top, right, bottom (half-open) in frame pixels, where occluders may be.
        occlusion: ``(bottom - top, right - left)`` uint8: 255 where something in front hides the face.
    """

    corners: NDArray[np.float64]
    gain: NDArray[np.float32]
    haze: NDArray[np.float32]
    occlusion_box: tuple[int, int, int, int]
    occlusion: NDArray[np.uint8]


def plain_pose(corners: NDArray[np.float64]) -> FacePose:
    """Give a pose in which the canvas keeps its colours and nothing stands in front."""
    return FacePose(
        np.asarray(corners, np.float64), np.ones((1, 1, 3), np.float32), np.zeros(3, np.float32), (0, 0, 0, 0),
        np.zeros((0, 0), np.uint8),
    )  # fmt: skip


def occlusion_in(pose: FacePose, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Give the share of each pixel of ``box`` that occluders hide, ``(h, w)`` in [0, 1]."""
    left, top, right, bottom = box
    share = np.zeros((bottom - top, right - left), np.float32)
    x0, y0, x1, y1 = pose.occlusion_box
    a, b, c, d = max(left, x0), max(top, y0), min(right, x1), min(bottom, y1)
    if a < c and b < d:
        hidden = pose.occlusion[b - y0 : d - y0, a - x0 : c - x0]
        share[b - top : d - top, a - left : c - left] = hidden / np.float32(255)
    return share
