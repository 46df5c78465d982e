"""A picture of a submission to the face track: each original beside its adversarial image, changed regions outlined."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError
from aisc.leaderboard.result import ImageTable

Image = NDArray[np.uint8]

SHEET_IMAGES = 24

_SCALE = 2
_COLUMNS = 4
_MARGIN, _GAP, _BETWEEN, _CAPTION, _HEADER = 28, 26, 6, 44, 76
# Grey levels and colours are BGR; the two outlines differ in lightness too, so they can be told apart without colour.
_PAPER, _INK, _SOFT, _EMPTY = (248, 251, 252), (32, 28, 26), (105, 96, 92), (226, 232, 234)
_KEPT, _BROKEN = (255, 255, 90), (70, 60, 255)


class Tile(NamedTuple):
    """One image of the sheet.

    Attributes:
        name: File name.
        original: ``(h, w, 3)`` uint8 RGB.
        adversarial: The same shape, ``None`` where the submission has no readable image.
        status: What the pixel rule says of it.
        legal: The image counts.
        patches: Regions by the rule's connectivity, -1 without an image.
        area: Changed pixels, -1 without an image.
    """

    name: str
    original: Image
    adversarial: Image | None
    status: str
    legal: bool
    patches: int
    area: int


def sheet_of(
    images: ImageTable, originals: Image, adversarial: Image, *, title: str, connectivity: Literal[4, 8]
) -> bytes:
    """Draw the first ``SHEET_IMAGES`` images of a submission.

    Args:
        images: The rules' verdict on every image.
        originals: ``(n, h, w, 3)`` uint8 RGB, images that the team was given.
        adversarial: The same shape; the rows of unreadable images are ignored.
        title: One line for the head.
        connectivity: 4 or 8, as the rule counts regions.

    Returns:
        A PNG.

    Raises:
        PlatformError: ``BUNDLE_TABLE`` for pictures that do not match the table.
    """
    count = min(SHEET_IMAGES, len(images.names))
    if originals.shape != adversarial.shape or len(originals) < count:
        raise PlatformError("BUNDLE_TABLE", "the pictures do not match the image table.")
    tiles = [
        Tile(
            name=images.names[index],
            original=np.asarray(originals[index], np.uint8),
            adversarial=np.asarray(adversarial[index], np.uint8) if images.area_px[index] >= 0 else None,
            status=images.status[index],
            legal=bool(images.legal[index]),
            patches=int(images.patches[index]),
            area=int(images.area_px[index]),
        )
        for index in range(count)
    ]
    return draw_contact_sheet(tiles, title=title, connectivity=connectivity)


def draw_contact_sheet(tiles: Sequence[Tile], *, title: str, connectivity: int) -> bytes:
    """Draw tiles in a grid: original on the left, adversarial on the right, its changed regions outlined.

    Args:
        tiles: At least one; all images of one size.
        title: One line for the head; characters outside of ASCII are shown as ``?``.
        connectivity: 4 or 8, as the rule counts regions.

    Returns:
        A PNG.

    Raises:
        PlatformError: ``CONTACT_SHEET`` when it cannot be encoded.
    """
    height, width = (side * _SCALE for side in tiles[0].original.shape[:2])
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    pair = 2 * width + _BETWEEN
    across = pair + _GAP
    sheet = np.full(
        (
            _HEADER + rows * (height + _CAPTION + _GAP) + _MARGIN,
            2 * _MARGIN + columns * across - _GAP,
            3,
        ),
        _PAPER,
        dtype=np.uint8,
    )
    _write(sheet, title, (_MARGIN, 34), size=0.6, colour=_INK)
    legend = "left: original, right: submitted; changed regions outlined (cyan: within the rule, red: not)"
    _write(sheet, legend, (_MARGIN, 54), size=0.42, colour=_SOFT)
    for index, tile in enumerate(tiles):
        down, right = divmod(index, columns)
        top = _HEADER + down * (height + _CAPTION + _GAP)
        left = _MARGIN + right * across
        sheet[top : top + height, left : left + width] = _enlarged(tile.original)
        sheet[top : top + height, left + pair - width : left + pair] = _adversarial_side(tile, connectivity)
        _caption(sheet, tile, (left, top + height), pair)
    done, encoded = cv2.imencode(".png", sheet)
    if not done:
        raise PlatformError("CONTACT_SHEET", "OpenCV did not encode the contact sheet as PNG.")
    return encoded.tobytes()


def regions(original: Image, adversarial: Image, *, connectivity: int) -> NDArray[np.int32]:
    """Label the changed regions: a pixel has changed when any channel differs.

    Args:
        original: ``(h, w, 3)`` uint8.
        adversarial: The same shape.
        connectivity: 4 or 8.

    Returns:
        ``(h, w)`` int32, 0 where nothing changed, else the region's number from 1.
    """
    changed = (original != adversarial).any(axis=2).astype(np.uint8)
    return np.asarray(cv2.connectedComponents(changed, connectivity=connectivity)[1], dtype=np.int32)


def _adversarial_side(tile: Tile, connectivity: int) -> Image:
    if tile.adversarial is None:
        blank = np.full_like(_enlarged(tile.original), 0)
        blank[:] = _EMPTY
        _write(blank, "no image", (12, blank.shape[0] // 2 + 5), size=0.5, colour=_SOFT)
        return blank
    labels = regions(tile.original, tile.adversarial, connectivity=connectivity)
    return _outlined(_enlarged(tile.adversarial), labels, _KEPT if tile.legal else _BROKEN)


def _outlined(picture: Image, labels: NDArray[np.int32], colour: tuple[int, int, int]) -> Image:
    """Draw a line of one sheet pixel around each region, outside of it: a region of single pixels stays visible."""
    changed = (labels > 0).astype(np.uint8)
    large = changed.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    around = (large == 0) & cv2.dilate(large, np.ones((3, 3), np.uint8)).astype(bool)
    drawn = picture.copy()
    drawn[around] = colour
    return drawn


def _enlarged(picture: Image) -> Image:
    large = picture[..., ::-1].repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    return np.ascontiguousarray(large)


def _caption(sheet: Image, tile: Tile, corner: tuple[int, int], width: int) -> None:
    left, top = corner
    _write(sheet, tile.name, (left, top + 18), size=0.46, colour=_INK)
    if tile.area >= 0:
        share = tile.area / (tile.original.shape[0] * tile.original.shape[1])
        many = "region" if tile.patches == 1 else "regions"
        text = f"{tile.patches} {many}, {tile.area} px, {share:.1%}"
        _write(sheet, text, (left + width, top + 18), size=0.46, colour=_SOFT, from_right=True)
    _write(sheet, tile.status, (left, top + 36), size=0.42, colour=_SOFT if tile.legal else (50, 40, 200))


def _write(
    sheet: Image,
    text: str,
    at: tuple[int, int],
    *,
    size: float,
    colour: tuple[int, int, int],
    from_right: bool = False,
) -> None:
    plain = text.encode("ascii", "replace").decode()
    if from_right:
        (wide, _), _ = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        at = (at[0] - wide, at[1])
    cv2.putText(sheet, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
