"""The pinhole camera behind the windscreen; metres in, pixels out."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FRAME: Final = (256, 416)
"""Height and width of a frame in pixels."""
NEAREST: Final = 1.5
"""Metres in front of the lens before which nothing is drawn."""


class Camera(NamedTuple):
    """Where the camera is and how it sees; it looks along z, x is to the right, y up from the road.

    Attributes:
        x: Metres right of the middle of the own lane.
        z: Metres along the road.
        height: Metres above the road.
        focal: Focal length in pixels.
        horizon: Row of the horizon in pixels.
        shift: Pixels by which a turn of the head moves everything to the right.
    """

    x: float = 0.0
    z: float = 0.0
    height: float = 1.45
    focal: float = 340.0
    horizon: float = 112.0
    shift: float = 0.0

    def project(self, points: F64) -> F64:
        """Project ``(..., 3)`` points in metres to ``(..., 2)`` x, y in pixels; depths are kept off zero."""
        depth = np.maximum(points[..., 2] - self.z, 1e-3)
        across = FRAME[1] / 2 + self.shift + self.focal * (points[..., 0] - self.x) / depth
        down = self.horizon + self.focal * (self.height - points[..., 1]) / depth
        return np.stack([across, down], axis=-1)
