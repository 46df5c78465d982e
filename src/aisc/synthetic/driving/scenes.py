"""The scenes of the driving track: five with a truck and five with a mannequin to score, others to train on."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.datasets.scene_packs import SceneDescription, SceneHead, Target, write_scene, write_set
from aisc.placement.light import FacePose
from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.people import paint_person
from aisc.synthetic.driving.render import render
from aisc.synthetic.driving.things import Thing, target_mannequin, target_truck
from aisc.synthetic.driving.vehicles import Body, paint_truck
from aisc.synthetic.driving.weather import WeatherName
from aisc.synthetic.driving.world import Drive, World, build_world, traffic

FRAMES: Final = 240
FPS: Final = 24.0
CANVAS: Final = (1260, 2790)
"""Height and width of a patch canvas in pixels."""
_TRUCK: Final = Body(2.95, 3.1, 7.5)

SceneSet = Literal["truck", "mannequin", "training"]

_WEATHERS: Final[dict[SceneSet, tuple[WeatherName, ...]]] = {
    "truck": ("clear", "overcast", "dusk", "rain", "night"),
    "mannequin": ("clear", "overcast", "snow", "fog", "dusk"),
    "training": ("clear", "overcast", "dusk", "rain", "fog"),
}


class SceneSpec(NamedTuple):
    """What tells one scene from another.

    Attributes:
        name: Its name.
        target: Truck or mannequin.
        role: Scoring or training.
        weather: Light and air.
        start: Metres to the target in the first frame.
        end: Metres to the target in the last frame.
        aside: Metres that the target stands to the right of the own lane's middle.
        yaw: The target's turn to the left in radians.
        speed: The target's own speed in metres a second.
        patched: Whether the example patch is on it.
        seed: Of all that is drawn at random.
    """

    name: str
    target: Target
    role: Literal["scoring", "training"]
    weather: WeatherName
    start: float
    end: float
    aside: float
    yaw: float
    speed: float
    patched: bool
    seed: int


def scene_specs(kind: SceneSet, seed: int = 2022) -> list[SceneSpec]:
    """List the scenes of a set.

    ``truck`` and ``mannequin`` are five scoring scenes each; ``training`` is five drives behind a truck, each once
    without and once with the example patch, frame by frame the same.
    """
    weathers: tuple[WeatherName, ...] = _WEATHERS[kind]
    if kind == "training":
        drives = [
            SceneSpec(f"drive-{n + 1}", "truck", "training", weather, 38.0, 10.0, (0.3, -0.3, 0.1, -0.2, 0.2)[n],
                      (0.04, -0.06, 0.0, 0.08, -0.03)[n], (0, 6, 0, 4, 8)[n], False, seed + 100 + n)
            for n, weather in enumerate(weathers)
        ]  # fmt: skip
        return [
            drive._replace(name=f"{drive.name}-{'patched' if patched else 'clean'}", patched=patched)
            for drive in drives for patched in (False, True)
        ]  # fmt: skip
    far, near = (40.0, 9.0) if kind == "truck" else (17.0, 4.6)
    return [
        SceneSpec(f"{kind}-{n + 1}-{weather}", kind, "scoring", weather, far - 2 * n, near + 0.3 * n,
                  (0.2, -0.5, 0.6, 0.0, -0.3)[n], (0.0, 0.09, -0.07, 0.05, -0.1)[n],
                  (0, 5, 8, 0, 3)[n] if kind == "truck" else 0, False, seed + (0 if kind == "truck" else 50) + n)
        for n, weather in enumerate(weathers)
    ]  # fmt: skip


def build_scene(spec: SceneSpec, frames: int = FRAMES) -> World:
    """Build the world of a scene: the target closes in evenly, from ``start`` to ``end`` over the frames."""
    rng = np.random.default_rng([spec.seed, 7])
    seconds = max(frames - 1, 1) / FPS
    closing = (spec.start - spec.end) / seconds
    drive = Drive(spec.speed + closing, rng.uniform(0.05, 0.25), rng.uniform(0.5, 3), 0.11, rng.uniform(0, 6))
    target = _target(spec, rng)
    others: tuple[Thing, ...] = ()
    if spec.role == "training":
        around = traffic(rng, 7, 70.0, spec.speed)
        others = tuple(thing for thing in around if _leaves_room(thing, target))
    return build_world(rng, spec.weather, drive, (target, *others), 60 + drive.speed * seconds)


def _target(spec: SceneSpec, rng: np.random.Generator) -> Thing:
    if spec.target == "truck":
        return target_truck(paint_truck(rng, _TRUCK), spec.aside, spec.start, spec.speed, spec.yaw)
    return target_mannequin(paint_person(rng, mannequin=True), spec.aside, spec.start, spec.yaw)


def _leaves_room(thing: Thing, target: Thing) -> bool:
    """Tell whether a thing stays out of the way between the own car and the target."""
    return abs(thing.x - target.x) > 2.9


def scene_frames(
    spec: SceneSpec, frames: int = FRAMES, canvas: Pyramid | None = None
) -> Iterator[tuple[NDArray[np.uint8], FacePose]]:
    """Render a scene: pixels and the target's pose, frame by frame."""
    world = build_scene(spec, frames)
    patch = (canvas or example_canvas()) if spec.patched else None
    for number in range(frames):
        frame = render(world, number / FPS, patch)
        if frame.pose is None:
            raise ValueError(f"{spec.name}: the target is out of view in frame {number + 1}")
        yield frame.pixels, frame.pose


def make_scenes(
    folder: Path, kinds: Sequence[SceneSet], *, seed: int = 2022, frames: int = FRAMES, jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[SceneDescription]:  # fmt: skip
    """Render the scenes of one or several kinds into a folder and write its ``dataset.json``.

    Raises:
        UsageError: SCENE_EXISTS when a scene of another recipe lies there.
    """
    specs = [spec for kind in kinds for spec in scene_specs(kind, seed)]
    found = []
    with ProcessPoolExecutor(jobs) as pool:
        tasks = [pool.submit(make_scene, folder / spec.name, spec, frames) for spec in specs]
        for number, task in enumerate(tasks):
            found.append(task.result())
            if progress is not None:
                progress(number + 1, len(specs))
    write_set(folder, {"recipe": f"synthetic {' and '.join(kinds)}", "seed": seed})
    return found


def make_scene(folder: Path, spec: SceneSpec, frames: int = FRAMES) -> SceneDescription:
    """Render one scene into a pack."""
    facts: dict[str, str | int | float | bool] = {
        "recipe": "synthetic", "weather": spec.weather, "seed": spec.seed, "start_m": spec.start, "end_m": spec.end,
    }  # fmt: skip
    head = SceneHead(spec.name, spec.target, spec.role, FPS, spec.patched, facts)
    return write_scene(folder, head, scene_frames(spec, frames))


def example_canvas(seed: int = 5) -> Pyramid:
    """Make the example patch of the training scenes: bright blotches over the whole canvas."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 11, 3)).astype(np.uint8)
    rgb = cv2.resize(coarse, (CANVAS[1], CANVAS[0]), interpolation=cv2.INTER_CUBIC)
    return Pyramid(np.asarray(rgb, np.uint8), np.ones(CANVAS, bool))
