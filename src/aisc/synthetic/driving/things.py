"""Things in the world: flat painted panels in metres, joined to vehicles, people and scenery."""

from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.people import WIDTH as PERSON_WIDTH
from aisc.synthetic.driving.people import PersonSprites
from aisc.synthetic.driving.scenery import Flat
from aisc.synthetic.driving.vehicles import VehicleSprites

F64 = NDArray[np.float64]
Label = Literal["car", "truck", "bus", "person"]

LABELS: Final[tuple[Label, ...]] = ("car", "truck", "bus", "person")
"""The classes of detectors, in the order of their numbers."""
CANVAS_METRES: Final = (1.26, 2.79)
"""Height and width of the canvas on the truck: a pixel is a millimetre."""
CHEST_METRES: Final = (0.46, 0.46)
"""Height and width of the face on the mannequin; the canvas is stretched to it."""


class Panel(NamedTuple):
    """A flat picture in a thing's own coordinates: x right, y up, z away from the camera.

    Attributes:
        sprite: The picture.
        quad: ``(4, 3)`` metres: top left, top right, bottom right, bottom left as seen from outside.
        shade: Gain of this side, for the sun does not reach all alike.
    """

    sprite: Pyramid
    quad: F64
    shade: float = 1.0


class Thing(NamedTuple):
    """Something that stands or drives.

    Attributes:
        panels: In the order they are drawn.
        x: Metres to the right of the own lane's middle, of the point that its coordinates start from.
        z: Metres along the road at time 0.
        speed: Metres a second along the road.
        yaw: Turn to the left in radians.
        label: Its class, ``None`` for scenery.
        shadow: Width and length in metres of its shadow on the road.
        face: ``(4, 3)`` metres: where a canvas is stuck, ``None`` on all but the target.
        face_after: Number of panels that are drawn before the canvas.
    """

    panels: tuple[Panel, ...]
    x: float
    z: float
    speed: float = 0.0
    yaw: float = 0.0
    label: Label | None = None
    shadow: tuple[float, float] = (0.0, 0.0)
    face: F64 | None = None
    face_after: int = 0

    def points(self, local: F64, seconds: float) -> F64:
        """Move ``(..., 3)`` points of the thing's own coordinates into the world."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x = self.x + cos * local[..., 0] - sin * local[..., 2]
        z = self.z + self.speed * seconds + sin * local[..., 0] + cos * local[..., 2]
        return np.stack([x, local[..., 1], z], axis=-1)


def upright(width: float, low: float, high: float, z: float = 0.0, middle: float = 0.0) -> F64:
    """Give the corners of an upright rectangle that faces the camera."""
    left, right = middle - width / 2, middle + width / 2
    return np.array([[left, high, z], [right, high, z], [right, low, z], [left, low, z]])


def vehicle(label: Label, sprites: VehicleSprites, x: float, z: float, speed: float, yaw: float = 0.0) -> Thing:
    """Build a box vehicle: the near side and both flanks, of which the camera sees one at most."""
    width, height, length = sprites.body
    half = width / 2
    side = Pyramid.of_sprite(sprites.side)
    mirrored = Pyramid.of_sprite(np.ascontiguousarray(sprites.side[:, ::-1]))
    right = np.array([[half, height, 0], [half, height, length], [half, 0, length], [half, 0, 0]])
    left = np.array([[-half, height, length], [-half, height, 0], [-half, 0, 0], [-half, 0, length]])
    panels = (
        Panel(side, right, 0.8), Panel(mirrored, left, 0.7),
        Panel(Pyramid.of_sprite(sprites.near), upright(width, 0, height)),
    )  # fmt: skip
    return Thing(panels, x, z, speed, yaw, label, (width + 0.3, length + 0.4))


def target_truck(sprites: VehicleSprites, x: float, z: float, speed: float, yaw: float) -> Thing:
    """Build the truck with the canvas on its back."""
    truck = vehicle("truck", sprites, x, z, speed, yaw)
    middle = (0.98 + sprites.body.height - 0.08) / 2
    face = upright(CANVAS_METRES[1], middle - CANVAS_METRES[0] / 2, middle + CANVAS_METRES[0] / 2, -0.01)
    return truck._replace(face=face, face_after=len(truck.panels))


def person(sprites: PersonSprites, x: float, z: float, speed: float = 0.0, yaw: float = 0.0) -> Thing:
    """Build a person who faces the camera."""
    quad = upright(PERSON_WIDTH, 0, sprites.height)
    panels = tuple(Panel(Pyramid.of_sprite(pixels), quad) for pixels in (sprites.figure, sprites.arms))
    return Thing(panels, x, z, speed, yaw, "person", (0.6, 0.5))


def target_mannequin(sprites: PersonSprites, x: float, z: float, yaw: float) -> Thing:
    """Build the mannequin with the canvas on its chest, behind its arms."""
    middle = 1.18 * sprites.height / 1.8
    face = upright(CHEST_METRES[1], middle - CHEST_METRES[0] / 2, middle + CHEST_METRES[0] / 2, -0.01)
    return person(sprites, x, z, 0.0, yaw)._replace(face=face, face_after=1)


def scenery(flat: Flat, x: float, z: float, yaw: float = 0.0) -> Thing:
    """Build a flat thing that belongs to no class."""
    quad = upright(flat.width, flat.low, flat.low + flat.height)
    return Thing((Panel(Pyramid.of_sprite(flat.pixels), quad),), x, z, 0.0, yaw, None, (flat.width * 0.7, 0.6))
