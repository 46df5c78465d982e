"""Scene packs: the frames of a drive towards a target, and where its face is in each (docs/formats/scene-pack.md).

A pack is a folder with ``scene.json``, ``track.npz`` and ``frames.tar``; a set of packs is a folder of them with a
``dataset.json``. Every file is named with its SHA-256 by the one above it, so one digest names the whole set.
"""

import csv
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisc.errors import UsageError
from aisc.placement.geometry import check_corners
from aisc.placement.light import FacePose
from aisc.submission.findings import RuleBrokenError
from aisc.submission.png import decode_png

SET_FILE: Final = "dataset.json"
SCENE_FILE: Final = "scene.json"
TRACK_FILE: Final = "track.npz"
FRAMES_FILE: Final = "frames.tar"
TARGETS: Final[dict[str, tuple[str, ...]]] = {"truck": ("car", "truck", "bus"), "mannequin": ("person",)}
"""Classes whose detection means that the target was seen, per kind of target (RULES.md B)."""

_LARGEST_TRACK: Final = 256 << 20
_MOST_GAIN: Final = 16.0

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Target = Literal["truck", "mannequin"]
Progress = Callable[[int, int], None]
Fact = str | int | float | bool
SceneName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
FramesASecond = Annotated[float, Field(gt=0, le=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SceneDescription(_Strict):
    """The content of ``scene.json``.

    Attributes:
        format: Name and version of the format.
        name: The scene's name; its folder has the same.
        target: What the canvas is stuck on.
        role: ``scoring`` scenes show no other object of the target's classes; ``training`` scenes may.
        patched: Whether an example patch is on the target in these frames.
        frames: How many.
        fps: Frames a second.
        size: Height and width of a frame in pixels.
        files: SHA-256 of ``track.npz`` and ``frames.tar``.
        facts: What else is known: weather, recipe, seed, simulator.
    """

    format: Literal["scene-pack/1"] = "scene-pack/1"
    name: SceneName
    target: Target
    role: Literal["scoring", "training"]
    patched: bool = False
    frames: int = Field(ge=1, le=100_000)
    fps: FramesASecond
    size: tuple[Annotated[int, Field(ge=16, le=4320)], Annotated[int, Field(ge=16, le=7680)]]
    files: dict[Literal["track.npz", "frames.tar"], Sha256]
    facts: dict[str, Fact] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Give the classes whose detection counts against a patch."""
        return TARGETS[self.target]


class SceneHead(NamedTuple):
    """What a writer must know of a scene before it has the frames."""

    name: str
    target: Target
    role: Literal["scoring", "training"]
    fps: float
    patched: bool = False
    facts: Mapping[str, Fact] = MappingProxyType({})


class ScenePack:
    """An opened pack; frames are decoded when they are asked for, one at a time."""

    def __init__(self, folder: Path, description: SceneDescription, poses: tuple[FacePose, ...]) -> None:
        """Keep the parts; use :func:`open_scene`, which checks them."""
        self.folder, self.description, self.poses = folder, description, poses
        self._places: list[tuple[int, int]] | None = None

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.description.name

    def __len__(self) -> int:
        """Count the frames."""
        return self.description.frames

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Decode frames ``start`` to ``stop`` (half-open), each ``(h, w, 3)`` uint8 RGB, in order.

        Raises:
            UsageError: SCENE_FRAME naming the frame.
        """
        path = self.folder / FRAMES_FILE
        if self._places is None:
            self._places = _frame_places(path, len(self))
        with path.open("rb") as file:
            for number in range(start, len(self) if stop is None else stop):
                at, size = self._places[number]
                file.seek(at)
                yield _decoded(file.read(size), self.description.size, f"{path}, frame {number + 1}")


def open_scene(folder: Path) -> ScenePack:
    """Open a pack: its description and track are read and checked, the frames are not touched.

    Raises:
        UsageError: SCENE_MISSING, SCENE_DESCRIPTION, SCENE_CHECKSUM (of the track), SCENE_TRACK.
    """
    description = _read_description(folder)
    data = _read(folder / TRACK_FILE, _LARGEST_TRACK)
    _check_sum(folder / TRACK_FILE, hashlib.sha256(data).hexdigest(), description.files["track.npz"])
    return ScenePack(folder, description, _read_track(folder / TRACK_FILE, data, description))


def verify_scene(folder: Path, progress: Progress | None = None) -> SceneDescription:
    """Check a pack to the last pixel.

    Raises:
        UsageError: as :func:`open_scene`, SCENE_CHECKSUM (of the frames), SCENE_FRAMES, SCENE_FRAME.
    """
    pack = open_scene(folder)
    path = folder / FRAMES_FILE
    if not path.is_file():
        raise UsageError("SCENE_MISSING", f"{path} is not there.", "Copy the whole folder of the scene.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _check_sum(path, found, pack.description.files["frames.tar"])
    for number, _ in enumerate(pack.frames()):
        if progress is not None:
            progress(number + 1, len(pack))
    return pack.description


def write_scene(
    folder: Path, head: SceneHead, frames: Iterable[tuple[NDArray[np.uint8], FacePose]]
) -> SceneDescription:
    """Write a pack frame by frame; ``scene.json`` comes last, so that a half-written pack is none.

    Args:
        folder: A new folder.
        head: What the scene is.
        frames: ``(h, w, 3)`` uint8 RGB and the target's pose, in order; all gain grids have the same shape.

    Raises:
        UsageError: SCENE_EXISTS, SCENE_TRACK, SCENE_FRAMES.
    """
    if (folder / SCENE_FILE).exists():
        raise UsageError("SCENE_EXISTS", f"{folder} holds a scene already.", "Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    poses: list[FacePose] = []
    size: tuple[int, int] | None = None
    with tarfile.open(folder / FRAMES_FILE, "w", format=tarfile.USTAR_FORMAT) as archive:
        for pixels, pose in frames:
            if size not in (None, pixels.shape[:2]):
                raise UsageError("SCENE_FRAMES", f"{folder}: frames differ in size.", "Give all frames one size.")
            size = (pixels.shape[0], pixels.shape[1])
            poses.append(pose)
            _, data = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
            entry = tarfile.TarInfo(frame_name(len(poses)))
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data.tobytes()))
    if size is None:
        raise UsageError("SCENE_FRAMES", f"{folder}: the scene has no frame.", "Give at least one.")
    track = _packed_track(poses)
    (folder / TRACK_FILE).write_bytes(track)
    with (folder / FRAMES_FILE).open("rb") as file:
        sums: dict[Literal["track.npz", "frames.tar"], str] = {
            "track.npz": hashlib.sha256(track).hexdigest(),
            "frames.tar": hashlib.file_digest(file, "sha256").hexdigest(),
        }
    description = SceneDescription(
        name=head.name, target=head.target, role=head.role, patched=head.patched, frames=len(poses), fps=head.fps,
        size=size, files=sums, facts=dict(head.facts),
    )  # fmt: skip
    _read_track(folder / TRACK_FILE, track, description)
    (folder / SCENE_FILE).write_text(_pretty(description.model_dump(mode="json")))
    return description


def frame_name(number: int) -> str:
    """Give the name of a frame inside ``frames.tar``; the first is number 1.

    >>> frame_name(1)
    '00001.png'
    """
    return f"{number:05d}.png"


def write_set(folder: Path, facts: dict[str, object] | None = None) -> list[str]:
    """Write the ``dataset.json`` of a folder whose sub-folders are packs; gives their names.

    Raises:
        UsageError: SCENE_SET when there is none, or as :func:`open_scene`.
    """
    names = sorted(path.parent.name for path in folder.glob(f"*/{SCENE_FILE}"))
    if not names:
        raise UsageError("SCENE_SET", f"{folder} holds no scene pack.", f"A pack is a folder with {SCENE_FILE}.")
    sums = {}
    for name in names:
        _read_description(folder / name)
        sums[name] = hashlib.sha256((folder / name / SCENE_FILE).read_bytes()).hexdigest()
    (folder / SET_FILE).write_text(_pretty({"format": "scene-packs/1", "scenes": sums, **(facts or {})}))
    return names


def open_set(folder: Path) -> list[ScenePack]:
    """Open all packs of a set, in the order of their names.

    Raises:
        UsageError: SCENE_SET, SCENE_CHECKSUM, or as :func:`open_scene`.
    """
    path = folder / SET_FILE
    try:
        content = json.loads(path.read_bytes())
        scenes = dict(content["scenes"])
        if content["format"] != "scene-packs/1" or not scenes or not all(isinstance(k, str) for k in scenes):
            raise ValueError("it names no scene-packs/1")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError("SCENE_SET", f"{path} cannot be read: {error}.", "Make the set anew.") from error
    packs = []
    for name, expected in sorted(scenes.items()):
        if Path(name).name != name:
            raise UsageError("SCENE_SET", f"{path} names {name!r}, which is no folder of the set.", "Use plain names.")
        scene = _read(folder / name / SCENE_FILE, 1 << 20)
        _check_sum(folder / name / SCENE_FILE, hashlib.sha256(scene).hexdigest(), expected)
        packs.append(open_scene(folder / name))
    return packs


def verify_set(folder: Path, progress: Progress | None = None) -> list[SceneDescription]:
    """Check all packs of a set to the last pixel.

    Raises:
        UsageError: as :func:`open_set` and :func:`verify_scene`.
    """
    packs = open_set(folder)
    found = []
    for number, pack in enumerate(packs):
        found.append(verify_scene(pack.folder))
        if progress is not None:
            progress(number + 1, len(packs))
    return found


def import_scene(source: Path, folder: Path, head: SceneHead) -> SceneDescription:
    """Bring a recorded scene into the format.

    Args:
        source: A folder with ``corners.csv`` (one line a frame: x and y of the four corners), the frames as
            ``frames/*.png`` or as one video ``frames.mp4``, ``.mkv`` or ``.avi``, and, where known, ``light.csv`` (gain
            red, green, blue and haze red, green, blue a frame) and ``occlusion/`` with one gray PNG a frame.
        folder: A new folder.
        head: What the scene is.

    Raises:
        UsageError: SCENE_IMPORT naming what is wrong, or as :func:`write_scene`.
    """
    corners = _table(source / "corners.csv", 8).reshape(-1, 4, 2)
    light_file = source / "light.csv"
    light = _table(light_file, 6) if light_file.is_file() else np.tile([1.0, 1, 1, 0, 0, 0], (len(corners), 1))
    if len(light) != len(corners):
        raise _import_error(light_file, f"it has {len(light)} lines and corners.csv {len(corners)}")
    return write_scene(folder, head, _imported_frames(source, corners, light))


def import_set(source: Path, folder: Path, progress: Progress | None = None) -> list[str]:
    """Bring a folder of scenes into one set; gives their names.

    Args:
        source: A folder whose sub-folders are either packs already, or recordings as :func:`import_scene` reads them,
            with a ``head.json`` beside: ``target``, ``role``, ``fps`` and, where it is so, ``patched`` and ``facts``.
        folder: An empty folder.
        progress: Called with the number of scenes done and all.

    Raises:
        UsageError: SCENE_IMPORT, or as :func:`import_scene` and :func:`verify_scene`.
    """
    places = sorted(path for path in source.iterdir() if path.is_dir())
    for number, place in enumerate(places, start=1):
        if (place / SCENE_FILE).is_file():
            verify_scene(place)
            shutil.copytree(place, folder / place.name)
        else:
            import_scene(place, folder / place.name, _read_head(place))
        if progress is not None:
            progress(number, len(places))
    return write_set(folder, {"recipe": "imported"})


class _Head(_Strict):
    """The content of ``head.json``, and the name of its folder."""

    name: SceneName
    target: Target
    role: Literal["scoring", "training"]
    fps: FramesASecond
    patched: bool = False
    facts: dict[str, Fact] = {}


def _read_head(place: Path) -> SceneHead:
    """Read what a recording is, before any frame of it is."""
    path = place / "head.json"
    try:
        said = json.loads(path.read_bytes())
        if not isinstance(said, dict) or "name" in said:
            raise ValueError("it is no object of target, role and fps")
        return SceneHead(**_Head.model_validate(said | {"name": place.name}).model_dump())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _import_error(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise _import_error(path, f"it does not say target, role and fps ({error})") from error


def _imported_frames(
    source: Path, corners: NDArray[np.float64], light: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.uint8], FacePose]]:
    masks = sorted((source / "occlusion").glob("*.png"))
    if masks and len(masks) != len(corners):
        raise _import_error(source / "occlusion", f"it has {len(masks)} masks for {len(corners)} frames")
    count = 0
    for number, pixels in enumerate(_recorded_frames(source)):
        count = number + 1
        if count > len(corners):
            break
        box, cut = (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
        if masks:
            mask = cv2.imread(str(masks[number]), cv2.IMREAD_GRAYSCALE)
            if mask is None or mask.shape != pixels.shape[:2]:
                raise _import_error(masks[number], "it is no mask of the frame's size")
            left, top, width, height = cv2.boundingRect(mask)
            box = (left, top, left + width, top + height)
            cut = np.asarray(mask[top : top + height, left : left + width], np.uint8)
        gain = light[number, :3].reshape(1, 1, 3).astype(np.float32)
        yield pixels, FacePose(corners[number], gain, light[number, 3:].astype(np.float32), box, cut)
    if count != len(corners):
        seen = "more" if count > len(corners) else f"{count}"
        raise _import_error(source, f"it has {seen} frames for {len(corners)} lines of corners.csv")


def _recorded_frames(source: Path) -> Iterator[NDArray[np.uint8]]:
    pictures = sorted((source / "frames").glob("*.png"))
    for path in pictures:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise _import_error(path, "it cannot be decoded")
        yield np.asarray(image, np.uint8)
    if pictures:
        return
    videos = [path for kind in ("mp4", "mkv", "avi") if (path := source / f"frames.{kind}").is_file()]
    if not videos:
        raise _import_error(source, "there is neither frames/*.png nor frames.mp4, .mkv or .avi")
    capture = cv2.VideoCapture(str(videos[0]))
    try:
        while True:
            good, image = capture.read()
            if not good:
                return
            yield np.ascontiguousarray(image[..., ::-1], np.uint8)
    finally:
        capture.release()


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    try:
        with path.open(newline="") as file:
            lines = [line for line in csv.reader(file) if line]
        values = np.array([[float(cell) for cell in line] for line in lines], np.float64)
    except (OSError, ValueError) as error:
        raise _import_error(path, f"it cannot be read ({error})") from error
    if values.ndim != 2 or values.shape[1] != columns or not np.isfinite(values).all():
        raise _import_error(path, f"its lines are not {columns} finite numbers each")
    return values


def _import_error(path: Path, what: str) -> UsageError:
    return UsageError("SCENE_IMPORT", f"{path}: {what}.", "See docs/formats/scene-pack.md, section Import.")


def _read_description(folder: Path) -> SceneDescription:
    path = folder / SCENE_FILE
    data = _read(path, 1 << 20)
    try:
        description = SceneDescription.model_validate_json(data, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            "SCENE_DESCRIPTION", f"{path}: {field}: {first['msg']}.", "See docs/formats/scene-pack.md."
        ) from error
    if set(description.files) != {TRACK_FILE, FRAMES_FILE}:
        raise UsageError("SCENE_DESCRIPTION", f"{path}: files: it must name both files.", "Make the pack anew.")
    return description


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(
            "SCENE_MISSING", f"{path} cannot be read ({error.strerror}).", "Copy the whole folder of the scene."
        ) from error
    if len(data) > limit:
        raise UsageError("SCENE_TRACK", f"{path} has more than {limit} bytes.", "Make the pack anew.")
    return data


def _check_sum(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise UsageError(
            "SCENE_CHECKSUM", f"{path} has SHA-256 {found[:16]}…, the file above it names {expected[:16]}….",
            "The pack was damaged or changed: copy it again, or make it anew.",
        )  # fmt: skip


def _packed_track(poses: list[FacePose]) -> bytes:
    """Pack poses into the bytes of an ``.npz``; equal poses give equal bytes (no time stamps)."""
    if len({pose.gain.shape for pose in poses}) != 1:
        raise UsageError("SCENE_TRACK", "the frames' gain grids differ in shape.", "Use one grid for a scene.")
    arrays: dict[str, NDArray[Any]] = {
        "corners": np.stack([pose.corners for pose in poses]).astype("<f8"),
        "gain": np.stack([pose.gain for pose in poses]).astype("<f4"),
        "haze": np.stack([pose.haze for pose in poses]).astype("<f4"),
        "occlusion_boxes": np.array([pose.occlusion_box for pose in poses], "<i4"),
        "occlusion": np.concatenate([pose.occlusion.ravel() for pose in poses]).astype("u1"),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _read_track(path: Path, data: bytes, description: SceneDescription) -> tuple[FacePose, ...]:
    """Read and check a track; everything in it must fit the number and size of the frames."""
    n, (height, width) = description.frames, description.size
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            corners, gain, haze, boxes, cut = (
                file[name] for name in ("corners", "gain", "haze", "occlusion_boxes", "occlusion")
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError("SCENE_TRACK", f"{path} cannot be read: {error}.", "Make the pack anew.") from error

    def demand(good: bool, what: str) -> None:
        if not good:
            raise UsageError("SCENE_TRACK", f"{path}: {what}.", "See docs/formats/scene-pack.md.")

    demand(corners.shape == (n, 4, 2) and corners.dtype == np.float64, f"corners are not {n} x 4 x 2 float64")
    demand(gain.ndim == 4 and gain.shape[0] == n and gain.shape[3] == 3 and gain.dtype == np.float32 and gain.size > 0,
           "gain is not frames x rows x columns x 3 float32")  # fmt: skip
    demand(haze.shape == (n, 3) and haze.dtype == np.float32, f"haze is not {n} x 3 float32")
    demand(bool(np.isfinite(gain).all() and (gain >= 0).all() and (gain <= _MOST_GAIN).all()), "a gain is out of range")
    demand(bool(np.isfinite(haze).all() and (haze >= 0).all() and (haze <= 255).all()), "a haze is out of range")
    demand(boxes.shape == (n, 4) and boxes.dtype == np.int32, f"occlusion_boxes are not {n} x 4 int32")
    left, top, right, bottom = boxes.T.astype(np.int64)
    demand(bool(((left >= 0) & (left <= right) & (right <= width)).all()), "an occlusion box leaves the frame")
    demand(bool(((top >= 0) & (top <= bottom) & (bottom <= height)).all()), "an occlusion box leaves the frame")
    sizes = (right - left) * (bottom - top)
    demand(cut.ndim == 1 and cut.dtype == np.uint8 and len(cut) == sizes.sum(), "occlusion does not fill its boxes")
    check_corners(corners)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return tuple(
        FacePose(
            corners[k], gain[k], haze[k], (int(left[k]), int(top[k]), int(right[k]), int(bottom[k])),
            cut[ends[k] : ends[k + 1]].reshape(bottom[k] - top[k], right[k] - left[k]),
        )
        for k in range(n)
    )  # fmt: skip


def _frame_places(path: Path, count: int) -> list[tuple[int, int]]:
    """Find where each frame's bytes lie in the tar."""
    places = []
    try:
        with tarfile.open(path, "r:") as archive:
            for number, entry in enumerate(archive, start=1):
                if entry.name != frame_name(number) or not entry.isreg() or number > count:
                    raise UsageError(
                        "SCENE_FRAMES", f"{path} holds {entry.name!r} where {frame_name(number)} of {count} belongs.",
                        "Make the pack anew.",
                    )  # fmt: skip
                places.append((entry.offset_data, entry.size))
    except (OSError, tarfile.TarError) as error:
        raise UsageError("SCENE_FRAMES", f"{path} cannot be read: {error}.", "Make the pack anew.") from error
    if len(places) != count:
        raise UsageError("SCENE_FRAMES", f"{path} holds {len(places)} frames, {count} belong there.", "Make it anew.")
    return places


def _decoded(data: bytes, size: tuple[int, int], where: str) -> NDArray[np.uint8]:
    try:
        return decode_png(data, size)
    except RuleBrokenError as error:
        raise UsageError("SCENE_FRAME", f"{where}: {error.message}", "Make the pack anew.") from error


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
