"""A picture of an attack's work: images as they were given, as they came back, and the change between them."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError

Image = NDArray[np.uint8]

_GAIN: Final = 16
"""Grey levels on the sheet for one of change: the largest that the rules allow just fits."""
_COLUMNS: Final = 3
_GAP: Final = 8
_CAPTION: Final = 20
_HEADS: Final = ("given", "returned", f"change x {_GAIN}")
_PAPER, _INK, _SOFT, _ALARM = (255, 255, 255), (26, 28, 32), (92, 96, 105), (178, 34, 34)
_STRIPE: Final = 12


def draw_attack_sheet(
    names: Sequence[str], outcomes: Sequence[str], counted: NDArray[np.bool_], originals: Image, altered: Image
) -> bytes:
    """Draw one row of three pictures an image, three images side by side.

    Args:
        names: File names of the shown images, at least one.
        outcomes: What became of each.
        counted: `(n,)` bool: the image counts; one that does not is crossed out, for nothing of it was used.
        originals: uint8 RGB `(n, h, w, 3)`.
        altered: The same shape; where an image does not count, it is not looked at.

    Returns:
        A PNG: given, returned, and 128 plus sixteen times the change.

    Raises:
        PlatformError: ``CONTACT_SHEET`` when it cannot be encoded.
    """
    rows = zip(names, outcomes, counted.tolist(), originals, altered, strict=True)
    tiles = [_tile(name, outcome, before, after if used else None) for name, outcome, used, before, after in rows]
    columns = min(_COLUMNS, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    lines = [np.concatenate(tiles[at : at + columns], axis=1) for at in range(0, len(tiles), columns)]
    head = np.concatenate([_head(originals.shape[2])] * columns, axis=1)
    done, encoded = cv2.imencode(".png", np.concatenate([head, *lines])[..., ::-1])
    if not done:
        raise PlatformError("CONTACT_SHEET", "OpenCV did not encode the contact sheet as PNG.")
    return encoded.tobytes()


def _head(width: int) -> Image:
    """Name the three pictures of an image."""
    strip = np.full((_CAPTION + _GAP, 3 * width + 2 * _GAP, 3), _PAPER, np.uint8)
    for place, text in enumerate(_HEADS):
        _write(strip, text, _GAP + place * width, _SOFT)
    return strip


def _tile(name: str, outcome: str, before: Image, after: Image | None) -> Image:
    if after is None:
        back = change = _crossed_out(before.shape)
    else:
        back = after
        change = (128 + _GAIN * (after.astype(np.int16) - before)).clip(0, 255).astype(np.uint8)
    pictures = np.concatenate([before, back, change], axis=1)
    tile = np.ascontiguousarray(np.pad(pictures, ((_CAPTION, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255))
    words = outcome.replace("_", " ")
    text = f"{name}  {words}" if after is not None else f"{name}  {words}: skipped, right for the defence"
    _write(tile, text, _GAP, _INK if after is not None else _ALARM)
    return tile


def _crossed_out(shape: tuple[int, ...]) -> Image:
    """Give light stripes from corner to corner: no picture, and none that was lost on the way."""
    rows, columns = np.indices(shape[:2])
    stripe = (rows + columns) // (_STRIPE // 2) % 2
    return np.repeat(np.where(stripe, 236, 214)[..., None], 3, axis=2).astype(np.uint8)


def _write(picture: Image, text: str, x: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, (x, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
