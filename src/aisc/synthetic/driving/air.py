"""What light, shade and fog make of a surface, and what falls through the air in front of it."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.placement.light import FacePose
from aisc.synthetic.driving.camera import FRAME, Camera
from aisc.synthetic.driving.ground import headlight_gain
from aisc.synthetic.driving.weather import Weather

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

NOTHING: Final = np.zeros((0, 0), np.uint8)
_FALL_LAYERS: Final = 6


class Shade(NamedTuple):
    """Shadows of trees that a moving thing passes through; waves along the road."""

    strength: float
    phases: tuple[float, float]

    def at(self, points: F64) -> F64:
        """Give the gain at ``(..., 3)`` points of the world."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        wave = np.sin(0.33 * z + 0.5 * x + 0.35 * y + self.phases[0]) * np.sin(0.11 * z + self.phases[1])
        return np.asarray(1 - self.strength / (1 + np.exp(-9 * (wave - 0.35))))


def lit_pose(
    corners: F64, quad: F64, shade: Shade, weather: Weather, camera: Camera, side: float, grid: tuple[int, int]
) -> FacePose:
    """Give the pose of a flat surface: where it is seen, and what light and fog do to it.

    Args:
        corners: ``(4, 2)`` in the frame.
        quad: ``(4, 3)`` in the world.
        shade: Shadows that lie on it.
        weather: Light and air.
        camera: Who looks.
        side: Gain of this side of a thing.
        grid: Rows and columns of the gain grid.
    """
    v = ((np.arange(grid[0]) + 0.5) / grid[0])[:, None, None]
    u = ((np.arange(grid[1]) + 0.5) / grid[1])[None, :, None]
    points = quad[0] * (1 - u) * (1 - v) + quad[1] * u * (1 - v) + quad[2] * u * v + quad[3] * (1 - u) * v
    depth = float(quad[:, 2].mean() - camera.z)
    through = float(np.exp(-weather.fog * depth))
    gain: F64 = shade.at(points)[..., None] * np.array(weather.light) * side
    if weather.headlights:
        beam = headlight_gain(weather, points[..., 0] - camera.x, np.full(points.shape[:2], depth))
        low = 1 / (1 + np.exp(2.2 * (points[..., 1] - 2.4)))
        gain = gain + np.multiply.outer(beam * low * 1.2, np.array([1.0, 0.97, 0.88]))
    haze = ((1 - through) * np.array(weather.low)).astype(np.float32)
    return FacePose(corners, (gain * through).astype(np.float32), haze, (0, 0, 0, 0), NOTHING)


class Veil(NamedTuple):
    """Pixels that something close to the lens covers: flat indices, opacity in [0, 1], one colour."""

    pixels: NDArray[np.intp]
    opacity: F32
    colour: tuple[float, float, float]

    def draw(self, frame: NDArray[np.uint8]) -> None:
        """Draw over a frame."""
        flat = frame.reshape(-1, 3)
        share = self.opacity[:, None]
        mixed = flat[self.pixels] * (1 - share) + np.array(self.colour, np.float32) * share
        flat[self.pixels] = (mixed + 0.5).astype(np.uint8)

    def hide(self, hidden: F32) -> None:
        """Add what is covered to a map of the hidden share of each pixel."""
        flat = hidden.reshape(-1)
        flat[self.pixels] = 1 - (1 - flat[self.pixels]) * (1 - self.opacity)


def falling(rng: np.random.Generator, weather: Weather) -> tuple[Veil, ...]:
    """Make layers of rain or snow to be shown in turns; none when nothing falls."""
    if weather.fall == "nothing":
        return ()
    colour = (206.0, 212.0, 218.0) if weather.fall == "rain" else (240.0, 243.0, 246.0)
    layers = []
    for _ in range(_FALL_LAYERS):
        mask = np.zeros(FRAME, np.uint8)
        for x, y, near in rng.random((70 if weather.fall == "rain" else 110, 3)) * [FRAME[1], FRAME[0], 1]:
            strength = 30 + 60 * near
            if weather.fall == "rain":
                end = (round(x + 3 * near + 1), round(y + 7 + 14 * near))
                cv2.line(mask, (round(x), round(y)), end, strength, 1, cv2.LINE_AA)
            else:
                at = (round(x * 8), round(y * 8))
                cv2.circle(mask, at, round((0.5 + 1.3 * near**3) * 8), strength * 1.6, -1, cv2.LINE_AA, 3)
        layers.append(_veil(mask, colour))
    return tuple(layers)


def wiper(seconds: float, light: float) -> Veil:
    """Give the wiper of the windscreen, which crosses the view every second or so."""
    turn = 0.5 - 0.5 * np.cos(2 * np.pi * seconds / 1.7)
    angle = np.pi * (1.02 - 0.86 * turn)
    foot = np.array([FRAME[1] * 0.46, FRAME[0] * 1.22])
    start, end = (foot + length * np.array([np.cos(angle), -np.sin(angle)]) for length in (90.0, 300.0))
    mask = np.zeros(FRAME, np.uint8)
    first, last = ((int(point[0] * 16), int(point[1] * 16)) for point in (start, end))
    cv2.line(mask, first, last, 235.0, 7, cv2.LINE_AA, 4)
    return _veil(mask, (26 * light, 27 * light, 30 * light))


def _veil(mask: NDArray[np.uint8], colour: tuple[float, float, float]) -> Veil:
    pixels = np.flatnonzero(mask)
    return Veil(pixels, mask.reshape(-1)[pixels].astype(np.float32) * np.float32(1 / 255), colour)
