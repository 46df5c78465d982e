"""Sky, clouds and the far skyline: too far away to move, apart from a turn of the head."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.camera import FRAME, Camera
from aisc.synthetic.driving.noise import octaves
from aisc.synthetic.driving.weather import Weather

_MARGIN: Final = 60


class Backdrop:
    """A picture a little wider than the frame that is drawn behind everything."""

    def __init__(self, rng: np.random.Generator, weather: Weather, camera: Camera) -> None:
        """Paint sky and skyline."""
        size = (int(camera.horizon) + 2, FRAME[1] + 2 * _MARGIN)
        height = np.linspace(0, 1, size[0])[:, None, None]
        sky = np.array(weather.zenith) * (1 - height**1.3) + np.array(weather.low) * height**1.3
        clouds = octaves(rng, (size[0] * 2, size[1]), 4, 6)[: size[0]]
        cover = 1 / (1 + np.exp(-2 * (clouds[..., None] - rng.uniform(-0.6, 0.9))))
        picture = sky + cover * weather.clouds * np.array([1, 0.98, 0.95])
        for distance in (900.0, 450.0, 200.0):
            _add_ridge(rng, picture, weather, distance)
        self._picture = np.clip(picture, 0, 255).astype(np.uint8)

    def draw(self, frame: NDArray[np.uint8], camera: Camera) -> None:
        """Draw the backdrop into the top of a frame."""
        rows = self._picture.shape[0]
        move = np.array([[1, 0, camera.shift - _MARGIN], [0, 1, 0]], np.float64)
        cv2.warpAffine(
            self._picture, move, (FRAME[1], rows), dst=frame[:rows], flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip


def _add_ridge(rng: np.random.Generator, picture: NDArray[np.float64], weather: Weather, distance: float) -> None:
    """Paint hills, woods or a town along the horizon, paler the farther away."""
    rows, columns = picture.shape[:2]
    tall = rng.uniform(8, 26) * (450 / distance) ** 0.25
    if rng.random() < 0.4:
        edges = np.sort(rng.choice(columns, 24, replace=False))
        line = tall * rng.uniform(0.3, 1.5, 25)[np.searchsorted(edges, np.arange(columns))]
    else:
        waves = octaves(rng, (8, columns), 4, 1)[0] * 0.25
        line = tall * np.clip(0.75 + waves + octaves(rng, (64, columns), 32, 2)[0] * 0.06, 0.15, 2)
    through = np.exp(-weather.fog * distance)
    colour = rng.uniform((48, 66, 48), (100, 100, 96)) * np.array(weather.light)
    colour = colour * through + np.array(weather.low) * (1 - through)
    below = np.clip(np.arange(rows)[:, None] - (rows - 2 - line[None]), 0, 1)[..., None]
    grain = octaves(rng, (rows, columns), 12, 3)[..., None] * 5 * through
    picture[:] = picture * (1 - below) + (colour + grain) * below
    if weather.headlights and distance < 500:
        lit = (rng.random((rows, columns)) < 0.012) & (below[..., 0] == 1)
        picture[lit] = (210, 180, 110)
