"""Frames to teach and to test detectors on: many roads, a few moments of each, with the truth about every object."""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.driving.camera import FRAME
from aisc.synthetic.driving.people import paint_person
from aisc.synthetic.driving.render import render
from aisc.synthetic.driving.things import LABELS, Thing, person, vehicle
from aisc.synthetic.driving.vehicles import paint_bus, paint_car, paint_truck
from aisc.synthetic.driving.weather import WEATHERS, WeatherName
from aisc.synthetic.driving.world import Drive, World, build_world, traffic

OBJECT: Final = np.dtype([("frame", "<i4"), ("label", "<i4"), ("box", "<f4", 4), ("visible", "<f4")])
_REACH: Final = 62.0


class AlbumSpec(NamedTuple):
    """Which frames: ``worlds`` roads with ``moments`` frames each; ``use`` keeps training and test apart."""

    seed: int
    use: str
    worlds: int
    moments: int


class Album(NamedTuple):
    """Frames and what is in them.

    Attributes:
        frames: ``(n, h, w, 3)`` uint8 RGB, perhaps on disk.
        objects: ``(m,)`` of :data:`OBJECT`: frame number, class number, left, top, right, bottom, visible share.
    """

    frames: NDArray[np.uint8]
    objects: NDArray[np.void]


def render_album(
    spec: AlbumSpec, folder: Path, jobs: int = 1, report: Callable[[int, int], None] | None = None
) -> Album:
    """Render an album into a folder, or open the one that is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{spec.use}-{spec.seed}-{spec.worlds}x{spec.moments}"
    frames_path, objects_path = folder / f"{name}.npy", folder / f"{name}-objects.npy"
    if not objects_path.exists():
        shape = (spec.worlds * spec.moments, *FRAME, 3)
        frames = np.lib.format.open_memmap(frames_path, mode="w+", dtype=np.uint8, shape=shape)
        found = []
        with ProcessPoolExecutor(jobs) as pool:
            worlds = ((spec, number) for number in range(spec.worlds))
            for number, (pixels, objects) in enumerate(pool.map(_render_world, worlds, chunksize=4)):
                frames[number * spec.moments : (number + 1) * spec.moments] = pixels
                objects["frame"] += number * spec.moments
                found.append(objects)
                if report is not None:
                    report(number + 1, spec.worlds)
        frames.flush()
        part = objects_path.with_suffix(".part.npy")
        np.save(part, np.concatenate(found))
        part.replace(objects_path)
    return Album(np.load(frames_path, mmap_mode="r"), np.load(objects_path))


def describe(spec: AlbumSpec) -> str:
    """Say in one line where an album comes from."""
    return "synthetic road frames " + json.dumps(spec._asdict(), sort_keys=True)


def _render_world(task: tuple[AlbumSpec, int]) -> tuple[NDArray[np.uint8], NDArray[np.void]]:
    spec, number = task
    use = sum(ord(letter) << (8 * place) for place, letter in enumerate(spec.use[:4]))
    rng = np.random.default_rng([spec.seed, use, number])
    world = random_world(rng, number)
    frames = np.empty((spec.moments, *FRAME, 3), np.uint8)
    found = []
    for moment in range(spec.moments):
        frame = render(world, rng.uniform(0, 3.2))
        frames[moment] = frame.pixels
        found += [(moment, LABELS.index(seen.label), seen.box, seen.visible) for seen in frame.seen]
    return frames, np.array(found, OBJECT)


def random_world(rng: np.random.Generator, number: int) -> World:
    """Build a road: every other one with dense traffic, the rest with one object ahead in the own lane."""
    weather: WeatherName = tuple(WEATHERS)[number % len(WEATHERS)]
    drive = Drive(rng.uniform(3, 12), rng.uniform(0, 0.8), rng.uniform(0, 8), rng.uniform(0.05, 0.3), rng.uniform(0, 6))
    if number % 2:
        things = traffic(rng, int(rng.integers(4, 10)), _REACH)
    else:
        things = (
            _one_ahead(rng, drive),
            *(traffic(rng, int(rng.integers(0, 3)), _REACH) if rng.random() < 0.4 else ()),
        )
    return build_world(rng, weather, drive, things, _REACH + 30)


def _one_ahead(rng: np.random.Generator, drive: Drive) -> Thing:
    """Set one object into the own lane, near enough to be met within the moments shown."""
    kind = rng.random()
    x = rng.uniform(-1.2, 1.2)
    if kind < 0.45:
        # Person sizes shrink fast with distance: start nearer.
        z = drive.speed * 2.4 + rng.uniform(4.5, 18)
        return person(paint_person(rng, rng.random() < 0.6), x, z, 0.0, rng.uniform(-0.3, 0.3))
    z = drive.speed * 2.4 + rng.uniform(6, 34)
    yaw = rng.uniform(-0.15, 0.15)
    if kind < 0.85:
        return vehicle("truck", paint_truck(rng), x, z, 0.0, yaw)
    if kind < 0.93:
        return vehicle("car", paint_car(rng), x, z, 0.0, yaw)
    return vehicle("bus", paint_bus(rng), x, z, 0.0, yaw)
