"""People and mannequins, painted as the camera sees them."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.sheet import Sheet
from aisc.synthetic.driving.vehicles import colour

_PER_METRE: Final = 110
WIDTH: Final = 1.1
"""Metres of a person's sheet, arms included."""


class PersonSprites(NamedTuple):
    """A person in two layers, so that arms may hang in front of what is stuck on the chest.

    Attributes:
        height: Metres.
        figure: All but the arms that are in front, RGBA uint8.
        arms: The arms alone on a sheet of the same size.
    """

    height: float
    figure: NDArray[np.uint8]
    arms: NDArray[np.uint8]


def paint_person(rng: np.random.Generator, mannequin: bool = False) -> PersonSprites:
    """Paint a person, or a mannequin, which is a bit broader and stands straight."""
    height = 1.82 if mannequin else rng.uniform(1.5, 1.9)
    u = height / 1.8
    middle = WIDTH / 2
    skin = np.array([206, 168, 142.0]) * rng.uniform(0.45, 1.08)
    shirt, trousers, hair = colour(rng), colour(rng) * 0.7, np.array([60, 44, 34.0]) * rng.uniform(0.4, 2.6)
    shoulder = (0.25 if mannequin else rng.uniform(0.19, 0.24)) * u
    stride = 0.1 if mannequin else rng.uniform(0.04, 0.26)
    swing = 0.08 if mannequin else rng.uniform(0.02, 0.2)
    figure, arms = Sheet(WIDTH, height, _PER_METRE), Sheet(WIDTH, height, _PER_METRE)
    hip, neck = 0.88 * u, 1.48 * u
    for sign in (-1, 1):
        foot = middle + sign * stride * u
        figure.line((middle + sign * 0.09 * u, hip), (foot, 0.1 * u), 0.15 * u, trousers * (1 if sign > 0 else 0.86))
        figure.ellipse(foot + 0.02, 0.05 * u, 0.09 * u, 0.05 * u, (34, 30, 28))
    figure.polygon(
        [(middle - shoulder, neck - 0.03), (middle - 0.17 * u, hip - 0.03), (middle + 0.17 * u, hip - 0.03),
         (middle + shoulder, neck - 0.03), (middle + 0.08, neck + 0.03), (middle - 0.08, neck + 0.03)], shirt,
    )  # fmt: skip
    figure.rect(middle - 0.05 * u, neck, middle + 0.05 * u, neck + 0.12 * u, skin * 0.9)
    figure.ellipse(middle, 1.67 * u, 0.095 * u, 0.125 * u, skin)
    if mannequin:
        figure.ellipse(middle, 1.72 * u, 0.1 * u, 0.08 * u, hair)
    else:
        figure.ellipse(middle, (1.70 if rng.random() < 0.5 else 1.66) * u, 0.1 * u, 0.1 * u, hair)
    for sign in (-1, 1):
        top, elbow = (middle + sign * (shoulder + 0.02), neck - 0.07), (middle + sign * (shoulder + swing), 1.16 * u)
        hand = (middle + sign * (shoulder + swing * 1.2), 0.92 * u)
        arms.line(top, elbow, 0.1 * u, shirt * 0.88)
        arms.line(elbow, hand, 0.085 * u, shirt * 0.88 if rng.random() < 0.6 else skin)
        arms.ellipse(hand[0], hand[1] - 0.03, 0.045 * u, 0.06 * u, skin)
    for sheet in (figure, arms):
        sheet.roughen(rng, 3)
    return PersonSprites(height, figure.pixels, arms.pixels)
