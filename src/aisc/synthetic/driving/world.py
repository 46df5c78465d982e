"""A stretch of road with everything on and beside it, and the car that drives along it."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from aisc.synthetic.driving import scenery as flats
from aisc.synthetic.driving.air import Shade, Veil, falling
from aisc.synthetic.driving.backdrop import Backdrop
from aisc.synthetic.driving.camera import Camera
from aisc.synthetic.driving.ground import LANE, Ground
from aisc.synthetic.driving.people import paint_person
from aisc.synthetic.driving.things import Label, Thing, person, scenery, vehicle
from aisc.synthetic.driving.vehicles import paint_bus, paint_car, paint_truck
from aisc.synthetic.driving.weather import WEATHERS, Weather, WeatherName

Rng = np.random.Generator

_PAINTERS: Final = {"car": paint_car, "bus": paint_bus}


class Drive(NamedTuple):
    """How the own car moves.

    Attributes:
        speed: Metres a second.
        sway: Metres to either side.
        turn: Pixels to either side.
        pace: Sways a second.
        phase: Where in a sway it starts, in radians.
    """

    speed: float
    sway: float
    turn: float
    pace: float
    phase: float

    def camera(self, seconds: float) -> Camera:
        """Give the camera at a time."""
        angle = 2 * np.pi * self.pace * seconds + self.phase
        return Camera(
            x=self.sway * float(np.sin(angle)), z=self.speed * seconds, shift=self.turn * float(np.sin(1.7 * angle))
        )


@dataclass(frozen=True, slots=True)
class World:
    """All that a frame is drawn from.

    Attributes:
        weather: Light and air.
        ground: The road.
        backdrop: Sky and skyline.
        things: Everything that stands or drives.
        drive: The own car.
        shade: Shadows along the road.
        fall: Layers of rain or snow.
        wipes: Whether the wiper runs.
    """

    weather: Weather
    ground: Ground
    backdrop: Backdrop
    things: tuple[Thing, ...]
    drive: Drive
    shade: Shade
    fall: tuple[Veil, ...]
    wipes: bool


def build_world(rng: Rng, weather: WeatherName, drive: Drive, things: tuple[Thing, ...], reach: float) -> World:
    """Build a road with scenery on both sides, up to ``reach`` metres ahead, around the things given."""
    air = WEATHERS[weather]
    lanes = int(rng.integers(0, 3)), int(rng.integers(0, 2))
    camera = drive.camera(0)
    sides = roadside(rng, lanes, reach)
    shade = Shade(air.shade * 0.6, (float(rng.uniform(0, 6)), float(rng.uniform(0, 6))))
    fall = falling(rng, air)
    return World(
        air, Ground(rng, air, camera, lanes), Backdrop(rng, air, camera), things + sides, drive, shade, fall,
        air.fall == "rain",
    )  # fmt: skip


def roadside(rng: Rng, lanes: tuple[int, int], reach: float) -> tuple[Thing, ...]:
    """Set scenery along both kerbs."""
    weights = np.array([weight for _, weight, _ in flats.SCENERY])
    kinds = [flats.SCENERY[k] for k in rng.choice(len(weights), 10, p=weights / weights.sum())]
    painted = [(painter(rng), off) for painter, _, off in kinds]
    found = []
    for sign, count in ((-1, lanes[0]), (1, lanes[1])):
        kerb = LANE * (0.5 + count) + 0.9
        z = rng.uniform(4, 14)
        while z < reach:
            flat, off = painted[rng.integers(len(painted))]
            away = kerb + off + rng.exponential(2.5)
            found.append(scenery(flat, sign * away, z, rng.uniform(-0.3, 0.3)))
            z += rng.uniform(3, 13)
    return tuple(found)


def traffic(rng: Rng, count: int, reach: float, speed: float = 0.0) -> tuple[Thing, ...]:
    """Set vehicles and people on the road and beside it, none on top of another."""
    placed: list[Thing] = []
    for _ in range(count * 4):
        if len(placed) == count:
            break
        kind: Label = ("car", "truck", "bus", "person")[int(rng.choice(4, p=[0.36, 0.22, 0.12, 0.30]))]
        thing = _random_thing(rng, kind, reach, speed)
        gap = 3.0 if kind == "person" else 10.0
        if all(abs(other.x - thing.x) > 2.6 or abs(other.z - thing.z) > gap for other in placed):
            placed.append(thing)
    return tuple(placed)


def _random_thing(rng: Rng, kind: Label, reach: float, speed: float) -> Thing:
    if kind == "person":
        # Smaller things are seen from less far away.
        return person(paint_person(rng, rng.random() < 0.25), rng.uniform(-6, 6), rng.uniform(4.5, reach * 0.55),
                      0.0, rng.uniform(-0.4, 0.4))  # fmt: skip
    lane = int(rng.integers(-2, 3))
    front = lane < 0 and rng.random() < 0.6
    x = lane * LANE + rng.uniform(-0.5, 0.5)
    z = rng.uniform(6.5, reach) if rng.random() < 0.7 else rng.uniform(6.5, reach * 0.5)
    way = rng.uniform(-0.1, 0.1) if rng.random() < 0.85 else rng.uniform(-0.5, 0.5)
    painted = paint_truck(rng, None, front) if kind == "truck" else _PAINTERS[kind](rng, front)
    return vehicle(kind, painted, x, z, -speed if front else speed, way)
