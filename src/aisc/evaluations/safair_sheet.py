"""A picture of an attack's work: images as they were given, as they came back, and the change between them."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError

_GAIN: Final = 16
"""Grey levels on the sheet for one of change: the largest that the rules allow just fits."""
_COLUMNS: Final = 3
_GAP: Final = 8
_CAPTION: Final = 18


def draw_attack_sheet(
    names: Sequence[str], outcomes: Sequence[str], originals: NDArray[np.uint8], altered: NDArray[np.uint8]
) -> bytes:
    """Draw one row of three pictures an image, three images side by side.

    Args:
        names: File names of the shown images.
        outcomes: What became of each.
        originals: uint8 RGB `(n, h, w, 3)`.
        altered: The same shape; where an image does not count, the original stands in.

    Returns:
        A PNG: given, returned, and 128 plus sixteen times the change.

    Raises:
        PlatformError: ``CONTACT_SHEET`` when it cannot be encoded.
    """
    tiles = [
        _tile(name, outcome, before, after)
        for name, outcome, before, after in zip(names, outcomes, originals, altered, strict=True)
    ]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.concatenate(tiles[at : at + _COLUMNS], axis=1) for at in range(0, len(tiles), _COLUMNS)]
    done, encoded = cv2.imencode(".png", np.concatenate(rows)[..., ::-1])
    if not done:
        raise PlatformError("CONTACT_SHEET", "OpenCV did not encode the contact sheet as PNG.")
    return encoded.tobytes()


def _tile(name: str, outcome: str, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    change = (128 + _GAIN * (after.astype(np.int16) - before)).clip(0, 255).astype(np.uint8)
    pictures = np.pad(
        np.concatenate([before, after, change], axis=1), ((_CAPTION, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255
    )
    tile = np.ascontiguousarray(pictures)
    cv2.putText(tile, f"{name}  {outcome}", (_GAP, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (32, 28, 26), 1, cv2.LINE_AA)
    return tile
