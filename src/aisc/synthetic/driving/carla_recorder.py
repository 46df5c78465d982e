"""Record a scene pack with the CARLA simulator's Python client.

Thin on purpose: the simulator decides what the world looks like, and :mod:`aisc.datasets.scene_packs` how a pack is
written. Only the projection of the target's face lies here, and it is tested without the simulator; the recording
itself needs a running server and the client (``pip install carla``) and is not.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.scene_packs import SceneDescription, SceneHead, write_scene
from aisc.errors import UsageError
from aisc.placement.light import FacePose, plain_pose

F64 = NDArray[np.float64]


class Recording(NamedTuple):
    """What is recorded.

    Attributes:
        host: Where the server runs.
        port: Its port.
        own_car: Role name of the actor that the camera is mounted on.
        target: Role name of the actor that the canvas is stuck on.
        face: ``(4, 3)`` metres in the target's coordinates (x forward, y right, z up): top left, top right, bottom
            right, bottom left corner as seen from behind.
        size: Height and width of a frame in pixels.
        field_of_view: Horizontal, in degrees.
        frames: How many.
        fps: Frames a second of the simulator's fixed step.
    """

    host: str
    port: int
    own_car: str
    target: str
    face: F64
    size: tuple[int, int] = (256, 416)
    field_of_view: float = 63.0
    frames: int = 240
    fps: float = 24.0


def record_scene(folder: Path, head: SceneHead, recording: Recording) -> SceneDescription:
    """Drive the simulator step by step and write what its camera sees.

    The scene's own script moves the actors. Light is left as it is rendered (gain 1) and occluders are not known to the
    client; both can be added afterwards by ``import_scene``.

    Raises:
        UsageError: CARLA_MISSING when the client is not installed, CARLA_ACTOR when an actor is not in the world.
    """
    try:
        carla = import_module("carla")
    except ImportError as error:
        raise UsageError(
            "CARLA_MISSING", "the CARLA client is not installed.", "Install it: `pip install 'aisc[carla]'`."
        ) from error
    return write_scene(folder, head, _recorded(carla, recording))


def _recorded(carla: Any, recording: Recording) -> Iterator[tuple[NDArray[np.uint8], FacePose]]:  # noqa: ANN401

    world = carla.Client(recording.host, recording.port).get_world()
    settings = world.get_settings()
    kept = settings.synchronous_mode, settings.fixed_delta_seconds
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 1 / recording.fps
    world.apply_settings(settings)
    own, target = (_actor(world, name) for name in (recording.own_car, recording.target))
    blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
    for name, value in zip(("image_size_y", "image_size_x"), recording.size, strict=True):
        blueprint.set_attribute(name, str(value))
    blueprint.set_attribute("fov", str(recording.field_of_view))
    mount = carla.Transform(carla.Location(x=1.5, z=1.45))
    camera = world.spawn_actor(blueprint, mount, attach_to=own)
    images: Queue[Any] = Queue()
    camera.listen(images.put)
    try:
        for _ in range(recording.frames):
            number = world.tick()
            image = images.get(timeout=30)
            while image.frame < number:
                image = images.get(timeout=30)
            pixels = np.frombuffer(image.raw_data, np.uint8).reshape(*recording.size, 4)[..., 2::-1]
            corners = project_face(
                np.array(target.get_transform().get_matrix()), np.array(camera.get_transform().get_inverse_matrix()),
                recording.face, recording.size, recording.field_of_view,
            )  # fmt: skip
            yield np.ascontiguousarray(pixels), plain_pose(corners)
    finally:
        camera.destroy()
        settings.synchronous_mode, settings.fixed_delta_seconds = kept
        world.apply_settings(settings)


def _actor(world: Any, role: str) -> Any:  # noqa: ANN401 - the client has no types
    for actor in world.get_actors():
        if actor.attributes.get("role_name") == role:
            return actor
    raise UsageError("CARLA_ACTOR", f"no actor has the role name {role!r}.", "Start the scene's script first.")


def project_face(target: F64, camera: F64, face: F64, size: tuple[int, int], field_of_view: float) -> F64:
    """Project a face into a frame; the simulator's axes are x forward, y right, z up.

    Args:
        target: ``(4, 4)``, from the target's coordinates to the world.
        camera: ``(4, 4)``, from the world to the camera's coordinates.
        face: ``(4, 3)`` metres in the target's coordinates.
        size: Height and width of a frame in pixels.
        field_of_view: Horizontal, in degrees.

    Returns:
        ``(4, 2)`` x, y in frame pixels.

    >>> ahead = np.eye(4); ahead[0, 3] = 10
    >>> project_face(ahead, np.eye(4), np.array([[0.0, 1, 1]] * 4), (100, 200), 90)[0].tolist()
    [110.0, 40.0]
    """
    points = np.concatenate([face, np.ones((4, 1))], axis=1) @ (camera @ target).T
    focal = size[1] / (2 * np.tan(np.radians(field_of_view) / 2))
    depth = np.maximum(points[:, 0], 1e-3)
    return np.stack([size[1] / 2 + focal * points[:, 1] / depth, size[0] / 2 - focal * points[:, 2] / depth], axis=1)
