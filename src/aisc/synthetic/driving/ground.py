"""The road: a tile that repeats along the way, seen row by row at the sharpness that each row can show."""

from itertools import pairwise
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.camera import FRAME, Camera
from aisc.synthetic.driving.noise import octaves
from aisc.synthetic.driving.weather import Weather

F32 = NDArray[np.float32]

_PER_METRE: Final = 20
_HALF_WIDTH: Final = 28.0
_PERIOD: Final = 24.0
LANE: Final = 3.6
"""Width of a lane in metres."""


class _Band(NamedTuple):
    rows: slice
    texture: F32
    across: F32
    along: F32
    per_metre: tuple[float, float]
    depth: F32


class Ground:
    """A road with its verges, ready to be drawn from any place along it."""

    def __init__(self, rng: np.random.Generator, weather: Weather, camera: Camera, lanes: tuple[int, int]) -> None:
        """Paint the tile and prepare the rows; ``lanes`` counts those left and right of the own lane."""
        tile = _tile(rng, weather, lanes)
        top = int(np.floor(camera.horizon)) + 1
        rows = np.arange(top, FRAME[0], dtype=np.float64) + 0.5
        depth = camera.focal * camera.height / (rows - camera.horizon)
        self._top = top
        self._bands = _bands(tile, rows, depth, camera)
        self._gain, self._haze = _air(weather, depth, camera)

    def draw(self, frame: NDArray[np.uint8], camera: Camera) -> None:
        """Draw the road into a frame ``(h, w, 3)``, from below the horizon down."""
        for band in self._bands:
            across = band.across + (camera.x - camera.shift * band.depth / camera.focal) * band.per_metre[0]
            period = np.float32(_PERIOD * band.per_metre[1])
            along = np.mod(band.along + np.float32((camera.z % _PERIOD) * band.per_metre[1]), period)
            across = np.broadcast_to(across, (across.shape[0], FRAME[1])).astype(np.float32)
            along = np.broadcast_to(along, across.shape).astype(np.float32)
            seen = cv2.remap(band.texture, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            rows = slice(band.rows.start - self._top, band.rows.stop - self._top)
            frame[band.rows] = np.clip(seen * self._gain[rows] + self._haze[rows], 0, 255).astype(np.uint8)


def _tile(rng: np.random.Generator, weather: Weather, lanes: tuple[int, int]) -> F32:
    """Paint one period of road and verge, ``(period, width, 3)`` in pixels of 1/20 m."""
    size = (int(_PERIOD * _PER_METRE), int(2 * _HALF_WIDTH * _PER_METRE))
    x = (np.arange(size[1]) + 0.5) / _PER_METRE - _HALF_WIDTH
    z = (np.arange(size[0]) + 0.5) / _PER_METRE
    left, right = -LANE * (0.5 + lanes[0]), LANE * (0.5 + lanes[1])
    snowy = weather.fall == "snow"
    asphalt = rng.uniform(78, 112) + np.array([0, 1, 4.0]) + (28 if snowy else 0)
    verge = np.array([214, 218, 224.0]) if snowy else rng.uniform((62, 84, 38), (124, 126, 76))
    rough = octaves(rng, size, 6, 7)[..., None]
    tile = np.where(((x > left - 0.5) & (x < right + 0.5))[None, :, None], asphalt + 6 * rough, verge + 15 * rough)
    kerb = ((x > left - 0.75) & (x < left - 0.5)) | ((x > right + 0.5) & (x < right + 0.75))
    tile[:, kerb] = 140 + 8 * rough[:, kerb]
    wheels = np.exp(-(((np.abs(np.mod(x - LANE / 2, LANE) - LANE / 2) - 0.8) / 0.35) ** 2))
    tile -= (10 * wheels * ((x > left) & (x < right)))[None, :, None]
    paint = rng.uniform(175, 225)
    for number in range(-lanes[0], lanes[1] + 2):
        edge = number in (-lanes[0], lanes[1] + 1)
        line = np.abs(x - LANE * (number - 0.5)) < 0.09
        dashed = np.ones_like(z, bool) if edge else np.mod(z, 12) < 5
        tile[np.ix_(dashed, line)] = paint
    _add_shadows(rng, tile, weather)
    return np.asarray(np.clip(tile, 0, 255), np.float32)


def _add_shadows(rng: np.random.Generator, tile: NDArray[np.float64], weather: Weather) -> None:
    """Darken blotches, as the crowns of trees do."""
    crowns = octaves(rng, (tile.shape[0], tile.shape[1]), 3, 4)
    tile *= 1 - weather.shade * 0.5 / (1 + np.exp(-6 * (crowns[..., None] - 1.2)))


def _bands(tile: F32, rows: NDArray[np.float64], depth: NDArray[np.float64], camera: Camera) -> list[_Band]:
    """Group rows that can share one shrunken copy of the tile."""
    along = np.clip(np.log2(depth**2 / (camera.focal * camera.height) * _PER_METRE), 0, 8).astype(int)
    across = np.clip(np.log2(depth / camera.focal * _PER_METRE), 0, 5).astype(int)
    starts = [0, *(np.flatnonzero(np.diff(along) | np.diff(across)) + 1), len(rows)]
    columns = np.arange(FRAME[1]) + 0.5 - FRAME[1] / 2
    bands = []
    for start, end in pairwise(starts):
        shrink = (1 << int(across[start]), 1 << int(along[start]))
        size = (tile.shape[1] // shrink[0], max(2, tile.shape[0] // shrink[1]))
        small = cv2.resize(tile, size, interpolation=cv2.INTER_AREA)
        per_metre = (size[0] / (2 * _HALF_WIDTH), size[1] / _PERIOD)
        z = depth[start:end, None]
        texture = np.concatenate([small, small[:1]])  # the row behind the last one is the first
        first = int(rows[0] - 0.5)
        bands.append(
            _Band(
                slice(first + start, first + end), texture,
                ((columns * z / camera.focal + _HALF_WIDTH) * per_metre[0] - 0.5).astype(np.float32),
                (z * per_metre[1] - 0.5).astype(np.float32), per_metre, z.astype(np.float32),
            )
        )  # fmt: skip
    return bands


def _air(weather: Weather, depth: NDArray[np.float64], camera: Camera) -> tuple[F32, F32]:
    """Give what light and fog do to each pixel of the road: gain and haze, ``(rows, w, 3)`` and ``(rows, 1, 3)``."""
    through = np.exp(-weather.fog * depth)[:, None, None]
    x = (np.arange(FRAME[1]) + 0.5 - FRAME[1] / 2)[None] * depth[:, None] / camera.focal
    gain = np.array(weather.ground) + headlight_gain(weather, x, depth[:, None])[..., None] * [1.0, 0.97, 0.88]
    return (gain * through).astype(np.float32), ((1 - through) * np.array(weather.low)).astype(np.float32)


def headlight_gain(weather: Weather, x: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how much the own headlights add at ``x`` metres to the right and ``depth`` ahead."""
    if not weather.headlights:
        return np.zeros(np.broadcast(x, depth).shape)
    spread = np.exp(-((x / (1.6 + 0.13 * depth)) ** 2))
    return np.asarray(weather.headlights * spread * 0.75 / (1 + (depth / 32) ** 2))
