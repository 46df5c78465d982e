"""A canvas in several sizes, each the exact area average of the full one, made when first asked for."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_STEPS_A_HALVING: Final = 2


class Level(NamedTuple):
    """One size of a canvas.

    Attributes:
        pixels: ``(h, w, 4)`` uint8: RGB already multiplied by the mask, and the mask as 0 to 255.
        scale: Canvas pixels per level pixel, along x and along y.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]


class Pyramid:
    """A canvas and its smaller copies; width and height shrink independently, for a face may be seen at a slant."""

    def __init__(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        """Join colours ``(h, w, 3)`` and mask ``(h, w)``; colours outside the mask do not matter."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or mask.shape != rgb.shape[:2]:
            raise ValueError(f"a canvas has (h, w, 3) colours and an (h, w) mask, not {rgb.shape} and {mask.shape}")
        opaque = mask.astype(np.uint8) * np.uint8(255)
        self._levels: dict[tuple[int, int], NDArray[np.uint8]] = {
            (0, 0): np.dstack([cv2.bitwise_and(rgb, rgb, mask=opaque), opaque])
        }

    @classmethod
    def of_sprite(cls, rgba: NDArray[np.uint8]) -> "Pyramid":
        """Take a picture ``(h, w, 4)`` whose alpha is a share, not a mask; its colours are multiplied here."""
        self = cls.__new__(cls)
        alpha = rgba[..., 3:].astype(np.float32) / 255
        self._levels = {(0, 0): np.dstack([(rgba[..., :3] * alpha + 0.5).astype(np.uint8), rgba[..., 3]])}
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the full canvas."""
        height, width = self._levels[0, 0].shape[:2]
        return height, width

    @property
    def empty(self) -> bool:
        """Whether the mask covers nothing."""
        return not self._levels[0, 0][..., 3].any()

    def same_as(self, other: "Pyramid") -> bool:
        """Whether both look the same wherever they are placed."""
        return bool(np.array_equal(self._levels[0, 0], other._levels[0, 0]))

    def level(self, across: float, down: float) -> Level:
        """Give the smallest copy whose pixels are no longer than so many canvas pixels along x and y."""
        height, width = self.size
        key = (_rung(down, height), _rung(across, width))
        if key not in self._levels:
            self._levels[key] = self._shrunk(key)
        pixels = self._levels[key]
        return Level(pixels, (width / pixels.shape[1], height / pixels.shape[0]))

    def _shrunk(self, key: tuple[int, int]) -> NDArray[np.uint8]:
        height, width = self.size
        target = (_length(width, key[1]), _length(height, key[0]))
        return np.asarray(cv2.resize(self._levels[0, 0], target, interpolation=cv2.INTER_AREA), np.uint8)


def _rung(pixels: float, length: int) -> int:
    """Give the number of steps by which a side may shrink so that its pixels are at most ``pixels`` long."""
    if not pixels > 1:
        return 0
    rung = int(np.log2(min(pixels, length)) * _STEPS_A_HALVING)
    return rung if length / _length(length, rung) <= pixels else max(rung - 1, 0)


def _length(length: int, rung: int) -> int:
    """Give the side after ``rung`` steps, rounded up: its pixels are never longer than the step allows."""
    return max(1, int(np.ceil(length / 2 ** (rung / _STEPS_A_HALVING))))
