"""A transparent sheet to paint the side of a thing on, in metres from its lower left corner."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Paint = Sequence[float] | NDArray[np.float64]

PER_METRE: Final = 56
_SHIFT: Final = 4


class Sheet:
    """A picture ``(h, w, 4)`` with red, green, blue and opacity; y goes up."""

    def __init__(self, width: float, height: float, per_metre: float = PER_METRE) -> None:
        """Make an empty sheet of so many metres."""
        self.width, self.height, self.per_metre = width, height, per_metre
        rows, columns = max(2, round(height * per_metre)), max(2, round(width * per_metre))
        self.pixels: NDArray[np.uint8] = np.zeros((rows, columns, 4), np.uint8)

    def rect(self, left: float, low: float, right: float, high: float, paint: Paint, round_by: float = 0.0) -> None:
        """Fill a rectangle, its corners cut by so many metres."""
        r = round_by
        corners = [(left + r, low), (right - r, low), (right, low + r), (right, high - r), (right - r, high),
                   (left + r, high), (left, high - r), (left, low + r)]  # fmt: skip
        self.polygon(corners, paint)

    def polygon(self, corners: Sequence[tuple[float, float]], paint: Paint) -> None:
        """Fill a convex polygon."""
        points = np.array([self._pixel(x, y) for x, y in corners], np.int32)
        cv2.fillConvexPoly(self.pixels, points, _opaque(paint), cv2.LINE_AA, _SHIFT)

    def ellipse(self, x: float, y: float, across: float, up: float, paint: Paint) -> None:
        """Fill an ellipse with its half axes along the sheet."""
        axes = tuple(round(value * self.per_metre * (1 << _SHIFT)) for value in (across, up))
        cv2.ellipse(self.pixels, self._pixel(x, y), axes, 0, 0, 360, _opaque(paint), -1, cv2.LINE_AA, _SHIFT)

    def line(self, start: tuple[float, float], end: tuple[float, float], thick: float, paint: Paint) -> None:
        """Draw a line, ``thick`` metres wide."""
        width = max(1, round(thick * self.per_metre))
        first, last = self._pixel(*start), self._pixel(*end)
        cv2.line(self.pixels, first, last, _opaque(paint), width, cv2.LINE_AA, _SHIFT)

    def roughen(self, rng: np.random.Generator, strength: float) -> None:
        """Add dirt and unevenness of so many grey levels, and make the lower part a little darker."""
        rows, columns = self.pixels.shape[:2]
        small = rng.standard_normal((max(2, rows // 5), max(2, columns // 5), 1)).astype(np.float32)
        grain = cv2.resize(small, (columns, rows))[..., None] * strength
        shade = np.linspace(6, -10, rows, dtype=np.float32)[:, None, None]
        colours = self.pixels[..., :3] + grain + shade
        self.pixels[..., :3] = np.clip(colours, 0, 255).astype(np.uint8)

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        # OpenCV's coordinates name centres of pixels, ours their borders.
        across = (x * self.per_metre - 0.5) * (1 << _SHIFT)
        down = ((self.height - y) * self.per_metre - 0.5) * (1 << _SHIFT)
        return round(across), round(down)


def _opaque(paint: Paint) -> tuple[float, float, float, float]:
    return float(np.clip(paint[0], 0, 255)), float(np.clip(paint[1], 0, 255)), float(np.clip(paint[2], 0, 255)), 255.0
