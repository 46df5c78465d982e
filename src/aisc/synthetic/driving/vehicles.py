"""Trucks, cars and buses, painted from behind, from the front and from the side."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.sheet import Sheet

F64 = NDArray[np.float64]

_TYRE = (24, 24, 26)
_GLASS = (44, 54, 64)
_DARK = (38, 38, 42)


class Body(NamedTuple):
    """The measures of a vehicle in metres."""

    width: float
    height: float
    length: float


class VehicleSprites(NamedTuple):
    """The visible sides of a vehicle.

    Attributes:
        body: Its measures.
        near: The side that faces the camera, RGBA uint8.
        side: The right side as seen from the right, RGBA uint8; the left side mirrors it.
    """

    body: Body
    near: NDArray[np.uint8]
    side: NDArray[np.uint8]


def colour(rng: np.random.Generator) -> F64:
    """Draw a car paint: often white, grey or black, else a muted colour."""
    if rng.random() < 0.55:
        return np.full(3, rng.choice([225.0, 190.0, 150.0, 90.0, 48.0])) + rng.uniform(-12, 12) + rng.uniform(-4, 4, 3)
    bright = np.array([[168, 34, 32], [34, 62, 140], [30, 92, 62], [196, 164, 52], [110, 66, 40], [62, 120, 168.0]])
    return np.asarray(bright[rng.integers(len(bright))] + rng.uniform(-20, 20, 3))


def paint_truck(rng: np.random.Generator, body: Body | None = None, front: bool = False) -> VehicleSprites:
    """Paint a box truck."""
    body = body or Body(rng.uniform(2.4, 2.95), rng.uniform(2.7, 3.5), rng.uniform(6, 9))
    box, cab = colour(rng), colour(rng)
    near = _truck_front(rng, body, box, cab) if front else _truck_rear(rng, body, box)
    side = Sheet(body.length, body.height, 40)
    side.rect(0, 0.95, body.length - 1.9, body.height, box * 0.8)
    side.rect(body.length - 1.8, 0.5, body.length, body.height * 0.86, cab * 0.8, 0.2)
    side.rect(body.length - 1.2, body.height * 0.52, body.length - 0.2, body.height * 0.78, _GLASS)
    side.rect(0, 0.7, body.length - 1.8, 0.95, _DARK)
    for place in (1.2, 2.2, body.length - 1.0):
        side.ellipse(place, 0.48, 0.48, 0.48, _TYRE)
    side.roughen(rng, 4)
    return VehicleSprites(body, near, side.pixels)


def _truck_rear(rng: np.random.Generator, body: Body, box: F64) -> NDArray[np.uint8]:
    w, h = body.width, body.height
    sheet = Sheet(w, h)
    for x in (0.12, w - 0.62):
        sheet.rect(x, 0.0, x + 0.5, 0.75, _TYRE, 0.08)
    sheet.rect(0.1, 0.42, w - 0.1, 0.8, _DARK)
    sheet.rect(0.0, 0.92, w, h, box * 0.55, 0.03)
    sheet.rect(0.06, 0.98, w - 0.06, h - 0.08, box)
    sheet.rect(w / 2 - 0.02, 0.98, w / 2 + 0.02, h - 0.08, box * 0.6)
    for x in (w / 2 - 0.3, w / 2 + 0.26):
        sheet.rect(x, 1.0, x + 0.04, h - 0.12, box * 0.72)
    if rng.random() < 0.3:
        low = rng.uniform(1.1, h - 0.9)
        sheet.rect(0.06, low, w - 0.06, low + rng.uniform(0.1, 0.4), colour(rng))
    sheet.rect(0.0, 0.78, w, 0.94, np.array([70, 70, 74]))
    for x in (0.1, w - 0.42):
        sheet.rect(x, 0.62, x + 0.32, 0.78, (190, 28, 24))
        sheet.rect(x + 0.22, 0.62, x + 0.32, 0.78, (220, 130, 40))
    for x in (0.08, w - 0.2):
        sheet.rect(x, h - 0.1, x + 0.12, h - 0.03, (200, 40, 30))
    sheet.rect(w / 2 - 0.28, 0.5, w / 2 + 0.28, 0.63, (208, 208, 196))
    stripe = 0.3
    for number in range(int(w / stripe)):
        shade = (206, 50, 40) if number % 2 else (222, 218, 206)
        sheet.rect(number * stripe + 0.02, 0.8, number * stripe + stripe + 0.02, 0.92, shade)
    sheet.roughen(rng, 4)
    return sheet.pixels


def _truck_front(rng: np.random.Generator, body: Body, box: F64, cab: F64) -> NDArray[np.uint8]:
    w, h = body.width, body.height
    sheet = Sheet(w, h)
    for x in (0.12, w - 0.5):
        sheet.rect(x, 0, x + 0.38, 0.6, _TYRE, 0.06)
    sheet.rect(0, 1.3, w, h, box * 0.9)
    sheet.rect(0.08, 0.35, w - 0.08, h * 0.86, cab, 0.15)
    sheet.rect(0.2, h * 0.5, w - 0.2, h * 0.78, _GLASS, 0.1)
    sheet.rect(0.5, 0.75, w - 0.5, h * 0.42, _DARK, 0.06)
    for x in (0.2, w - 0.6):
        sheet.rect(x, 0.5, x + 0.4, 0.72, (240, 236, 214))
    sheet.rect(w / 2 - 0.26, 0.4, w / 2 + 0.26, 0.52, (208, 208, 196))
    sheet.roughen(rng, 4)
    return sheet.pixels


def paint_car(rng: np.random.Generator, front: bool = False) -> VehicleSprites:
    """Paint a passenger car."""
    body = Body(rng.uniform(1.7, 1.95), rng.uniform(1.4, 1.75), rng.uniform(3.9, 4.8))
    w, h, paint = body.width, body.height, colour(rng)
    near = Sheet(w, h, 72)
    for x in (0.1, w - 0.34):
        near.rect(x, 0, x + 0.24, 0.45, _TYRE, 0.05)
    cabin = [(0.12, h * 0.56), (0.28, h - 0.06), (0.4, h), (w - 0.4, h), (w - 0.28, h - 0.06), (w - 0.12, h * 0.56)]
    near.polygon(cabin, paint * 0.86)
    near.polygon([(0.24, h * 0.6), (0.38, h - 0.12), (w - 0.38, h - 0.12), (w - 0.24, h * 0.6)], _GLASS)
    near.rect(0.0, 0.26, w, h * 0.6, paint, 0.1)
    near.rect(0.02, 0.24, w - 0.02, 0.48, paint * 0.6 if rng.random() < 0.6 else np.array(_DARK), 0.06)
    if front:
        near.rect(0.4, 0.5, w - 0.4, h * 0.46, _DARK, 0.04)
        lamps: tuple[float, float, float] = (242, 240, 224)
    else:
        near.line((0.2, h * 0.46), (w - 0.2, h * 0.46), 0.02, paint * 0.65)
        lamps = (196, 24, 24)
    for x in (0.05, w - 0.37):
        near.rect(x, h * 0.44, x + 0.32, h * 0.55, lamps, 0.03)
    near.rect(w / 2 - 0.26, 0.44, w / 2 + 0.26, 0.55, (206, 206, 196))
    near.roughen(rng, 3)
    return VehicleSprites(body, near.pixels, _car_side(rng, body, paint))


def _car_side(rng: np.random.Generator, body: Body, paint: F64) -> NDArray[np.uint8]:
    n, h = body.length, body.height
    side = Sheet(n, h, 40)
    tail = 0.06 if rng.random() < 0.5 else 0.2
    side.polygon([(n * tail, h * 0.58), (n * (tail + 0.12), h), (n * 0.62, h), (n * 0.8, h * 0.58)], paint * 0.72)
    panes = [(n * (tail + 0.05), h * 0.6), (n * (tail + 0.14), h * 0.93), (n * 0.6, h * 0.93), (n * 0.75, h * 0.6)]
    side.polygon(panes, _GLASS)
    side.rect(0, 0.24, n, h * 0.6, paint * 0.8, 0.12)
    for place in (n * 0.18, n * 0.82):
        side.ellipse(place, 0.32, 0.33, 0.32, _TYRE)
        side.ellipse(place, 0.32, 0.17, 0.17, (120, 120, 124))
    side.roughen(rng, 3)
    return side.pixels


def paint_bus(rng: np.random.Generator, front: bool = False) -> VehicleSprites:
    """Paint a city bus."""
    body = Body(2.55, rng.uniform(2.9, 3.2), rng.uniform(9, 12))
    w, h, n, paint = body.width, body.height, body.length, colour(rng)
    near = Sheet(w, h)
    for x in (0.14, w - 0.5):
        near.rect(x, 0, x + 0.36, 0.5, _TYRE, 0.06)
    near.rect(0, 0.3, w, h, paint, 0.18)
    near.rect(0.16, h * 0.52 if not front else h * 0.36, w - 0.16, h * 0.84, _GLASS, 0.1)
    near.rect(0.5, h * 0.87, w - 0.5, h * 0.95, (28, 26, 20))
    near.rect(0.8, h * 0.885, w - 0.8, h * 0.935, (226, 150, 40))
    if not front:
        for low in np.arange(0.7, h * 0.46, 0.13):
            near.line((0.5, low), (w - 0.5, low), 0.03, paint * 0.5)
    for x in (0.08, w - 0.34):
        near.rect(x, 0.55, x + 0.26, 0.95, (238, 236, 220) if front else (190, 26, 24), 0.04)
    near.rect(0, 0.3, w, 0.46, _DARK, 0.05)
    near.rect(w / 2 - 0.26, 0.5, w / 2 + 0.26, 0.62, (206, 206, 196))
    near.roughen(rng, 4)
    side = Sheet(n, h, 36)
    side.rect(0, 0.3, n, h, paint * 0.8, 0.1)
    for left in np.arange(0.4, n - 1.3, 1.35):
        side.rect(left, h * 0.48, left + 1.2, h * 0.84, _GLASS)
    for place in (n * 0.2, n * 0.82):
        side.ellipse(place, 0.46, 0.46, 0.46, _TYRE)
    side.roughen(rng, 4)
    return VehicleSprites(body, near.pixels, side.pixels)
