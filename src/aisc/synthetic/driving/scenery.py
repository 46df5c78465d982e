"""What stands along a road and is none of the classes: trees, houses, signs, boards, containers, posts."""

from collections.abc import Callable
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.noise import octaves
from aisc.synthetic.driving.sheet import Sheet
from aisc.synthetic.driving.vehicles import colour


class Flat(NamedTuple):
    """A flat picture that stands upright.

    Attributes:
        width: Metres.
        height: Metres.
        pixels: RGBA uint8.
        low: Metres between the road and its lower edge.
    """

    width: float
    height: float
    pixels: NDArray[np.uint8]
    low: float = 0.0


def paint_tree(rng: np.random.Generator) -> Flat:
    """Paint a tree with a ragged crown."""
    width, height = rng.uniform(3, 6), rng.uniform(5, 10)
    sheet = Sheet(width, height, 22)
    sheet.line((width / 2, 0), (width / 2, height * 0.6), 0.3, (74, 60, 48))
    rows, columns = sheet.pixels.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns]
    far = ((x / columns - 0.5) / 0.5) ** 2 + ((y / rows - 0.38) / 0.38) ** 2
    ragged = octaves(rng, (rows, columns), 8, 4)
    crown = np.clip((0.8 + 0.16 * ragged - far) * 8, 0, 1)[..., None]
    green = rng.uniform((44, 70, 28), (110, 116, 56)) * (1 + 0.22 * octaves(rng, (rows, columns), 6, 4)[..., None])
    mixed = sheet.pixels.astype(np.float64)
    mixed[..., :3] = mixed[..., :3] * (1 - crown) + np.clip(green, 0, 255) * crown
    mixed[..., 3:] = np.maximum(mixed[..., 3:], 255 * crown)
    return Flat(width, height, mixed.astype(np.uint8))


def paint_house(rng: np.random.Generator) -> Flat:
    """Paint the front of a house with rows of windows."""
    width, height = rng.uniform(7, 14), rng.uniform(5, 13)
    sheet = Sheet(width, height, 18)
    wall = rng.uniform((120, 100, 86), (216, 206, 190))
    sheet.rect(0, 0, width, height, wall)
    pane = np.array([60, 70, 82.0]) if rng.random() < 0.8 else np.array([150, 140, 100.0])
    for low in np.arange(1.0, height - 1.6, 2.9):
        for left in np.arange(0.8, width - 1.2, rng.uniform(1.9, 2.6)):
            sheet.rect(left, low, left + 1.1, low + 1.4, pane * rng.uniform(0.7, 1.3))
    sheet.rect(0, height - 0.35, width, height, wall * 0.55)
    sheet.roughen(rng, 6)
    return Flat(width, height, sheet.pixels)


def paint_sign(rng: np.random.Generator) -> Flat:
    """Paint a traffic sign on a post."""
    sheet = Sheet(0.8, 3.0, 60)
    sheet.line((0.4, 0), (0.4, 2.4), 0.07, (128, 130, 134))
    kind = rng.integers(3)
    if kind == 0:
        sheet.ellipse(0.4, 2.6, 0.36, 0.36, (196, 32, 36))
        sheet.ellipse(0.4, 2.6, 0.25, 0.25, (232, 232, 228))
    elif kind == 1:
        sheet.polygon([(0.03, 2.25), (0.77, 2.25), (0.4, 2.95)], (200, 36, 38))
        sheet.polygon([(0.18, 2.34), (0.62, 2.34), (0.4, 2.74)], (232, 230, 222))
    else:
        sheet.rect(0.06, 2.2, 0.74, 2.92, (36, 74, 160), 0.04)
        sheet.rect(0.22, 2.4, 0.58, 2.72, (230, 230, 230))
    return Flat(0.8, 3.0, sheet.pixels)


def paint_board(rng: np.random.Generator) -> Flat:
    """Paint an advertising board of random shapes: it looks like a patch and is no vehicle."""
    width, height = rng.uniform(2.2, 4.2), rng.uniform(1.3, 2.6)
    total = height + 1.4
    sheet = Sheet(width, total, 36)
    for x in (0.3, width - 0.3):
        sheet.line((x, 0), (x, 1.6), 0.1, (92, 92, 96))
    sheet.rect(0, 1.4, width, total, (60, 60, 62))
    cells = rng.integers(0, 256, (int(rng.integers(1, 7)), int(rng.integers(1, 9)), 3)).astype(np.uint8)
    inner = sheet.pixels[4 : int(height * 36) - 4, 4:-4, :3]
    way = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_LINEAR
    inner[:] = cv2.resize(cells, (inner.shape[1], inner.shape[0]), interpolation=way)
    return Flat(width, total, sheet.pixels)


def paint_container(rng: np.random.Generator) -> Flat:
    """Paint a container or shed: a box like a truck's, with neither wheels nor lights."""
    width, height = rng.uniform(2.2, 5), rng.uniform(2.1, 2.9)
    sheet = Sheet(width, height, 40)
    wall = colour(rng)
    sheet.rect(0, 0, width, height, wall)
    for left in np.arange(0.1, width, 0.24):
        sheet.rect(left, 0.1, left + 0.1, height - 0.1, wall * 0.8)
    sheet.roughen(rng, 6)
    return Flat(width, height, sheet.pixels)


def paint_post(rng: np.random.Generator) -> Flat:
    """Paint a bollard, a bin or a hydrant: as tall as a child and no person."""
    height = rng.uniform(0.7, 1.7)
    width = rng.uniform(0.16, 0.5)
    sheet = Sheet(width, height, 60)
    paint = colour(rng)
    sheet.rect(0, 0, width, height, paint, width * 0.2)
    sheet.rect(0, height * 0.6, width, height * 0.75, paint * 0.4 + 120)
    sheet.roughen(rng, 5)
    return Flat(width, height, sheet.pixels)


def paint_lamp(rng: np.random.Generator) -> Flat:
    """Paint a street lamp."""
    height = rng.uniform(6, 9)
    sheet = Sheet(1.8, height, 26)
    grey = np.full(3, rng.uniform(80, 130))
    sheet.line((0.2, 0), (0.2, height - 0.15), 0.14, grey)
    sheet.line((0.2, height - 0.15), (1.5, height - 0.1), 0.1, grey)
    sheet.rect(1.1, height - 0.25, 1.75, height - 0.08, (214, 208, 180))
    return Flat(1.8, height, sheet.pixels)


def paint_bush(rng: np.random.Generator) -> Flat:
    """Paint a bush."""
    tree = paint_tree(rng)
    rows = tree.pixels.shape[0]
    crown = tree.pixels[: int(rows * 0.75)]
    return Flat(rng.uniform(1, 2.6), rng.uniform(0.6, 1.6), np.ascontiguousarray(crown))


SCENERY: Final[tuple[tuple[Callable[[np.random.Generator], Flat], float, float], ...]] = (
    (paint_tree, 0.30, 2.5),
    (paint_house, 0.14, 7.0),
    (paint_sign, 0.10, 0.6),
    (paint_board, 0.10, 2.4),
    (paint_container, 0.08, 2.6),
    (paint_post, 0.10, 0.6),
    (paint_lamp, 0.08, 0.8),
    (paint_bush, 0.10, 1.0),
)
"""Painter, how often it is taken, and how many metres at least its middle stands off the kerb."""
