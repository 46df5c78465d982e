"""Soft shapes on pixel grids: the brushes with which a face is painted.

Every function takes and gives float32 arrays that broadcast to `(n, h, w)`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.faces.parameters import Identity, Shot

Field = NDArray[np.floating[Any]]
"""float32 at run time; the wider type keeps scalar arithmetic checkable."""

_NOISE_SIDE = 256


class Columns:
    """Parameters of `n` pictures as `(n, 1, 1)` arrays, one attribute a parameter; colours are `(n, 3, 1, 1)`."""

    def __init__(self, rows: list[Identity] | list[Shot]) -> None:
        """Turn a list of named tuples into named columns."""
        for name in rows[0]._fields:
            values = np.array([getattr(row, name) for row in rows], dtype=np.float32)
            setattr(self, name, values.reshape((*values.shape, 1, 1)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - only reached for names that no parameter has
        raise AttributeError(name)


class Box(NamedTuple):
    """A soft rounded box: where its centre is and how far it reaches each way."""

    x: Any
    y: Any
    half_width: Any
    half_height: Any


def bump(distance: Field) -> Field:
    """Give a bell that is 1 at distance 0 and 0.37 at distance 1."""
    return np.exp(-np.square(distance))


def step(value: Field, softness: Any) -> Field:  # noqa: ANN401 - a number or an array
    """Rise from 0 to 1 around 0 within about `softness` on both sides."""
    t = np.clip(value / (2 * softness) + 0.5, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def blob(x: Field, y: Field, box: Box) -> Field:
    """Give a bell whose axes are the box's half sizes."""
    squares = np.square((x - box.x) / box.half_width) + np.square((y - box.y) / box.half_height)
    return np.asarray(np.exp(-squares))


def over(canvas: Field, colour: Any, cover: Field) -> Field:  # noqa: ANN401 - a number or an array
    """Paint a colour `(n, 3, 1, 1)` or picture `(n, 3, h, w)` in place where `cover`, `(n, h, w)`, is 1."""
    canvas += (colour - canvas) * cover[:, None]
    return canvas


def _make_noise() -> Field:
    """Make one tileable noise picture with zero mean and unit spread, smooth over about four cells."""
    rng = np.random.default_rng(20220)
    spectrum = np.fft.rfft2(rng.normal(size=(_NOISE_SIDE, _NOISE_SIDE)))
    fy = np.fft.fftfreq(_NOISE_SIDE)[:, None] * _NOISE_SIDE
    fx = np.fft.rfftfreq(_NOISE_SIDE)[None] * _NOISE_SIDE
    picture = np.fft.irfft2(spectrum * np.exp(-(fx**2 + fy**2) / (2 * 17.0**2)), s=(_NOISE_SIDE, _NOISE_SIDE))
    return np.asarray((picture - picture.mean()) / picture.std(), dtype=np.float32)


_NOISE = _make_noise()


def noise(x: Field, y: Field, seed: NDArray[np.int64]) -> Field:
    """Sample tileable noise at the cells `(x, y)`, elsewhere for each seed `(n,)`; no cell is interpolated."""
    column = (x.astype(np.int32) + (seed % 251)[:, None, None].astype(np.int32)) & (_NOISE_SIDE - 1)
    row = (y.astype(np.int32) + (seed // 251 % 253)[:, None, None].astype(np.int32)) & (_NOISE_SIDE - 1)
    return np.asarray(_NOISE[row, column])
