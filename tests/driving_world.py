"""A small driving season whose outcome can be computed by hand: lamps for detectors, a bright plate for a target.

A lamp is a TorchScript detector that sees the target wherever the middle of the frame is bright enough. A scene is a
bright plate on gray ground that grows from frame to frame, as on a drive towards it.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.datasets.scene_packs import SceneHead, open_scene, write_scene, write_set
from aisc.placement.compose import place
from aisc.placement.light import FacePose, plain_pose
from aisc.placement.pyramid import Pyramid
from aisc.submission.canvases import CANVAS_SIZE
from aisc.synthetic.driving.recipe import head_of
from aisc.victims.detector_networks import Design, build_detector
from aisc.victims.detector_package import DetectorDescription, HeadDescription, Measured, write_detector_package
from aisc.victims.packages import describe_weights
from aisc.victims.torch_models import pack_weights

FRAME = (256, 416)
WINDOW = (slice(118, 138), slice(193, 223))
"""Rows and columns of a frame that a lamp looks at."""
GROUND, PLATE = 60, 200
HEAD = {"target": "truck", "role": "scoring", "fps": 24}
"""What the ``head.json`` of a recorded drive says."""


class Lamp(NamedTuple):
    """A detector's eyes: how bright the window must be for it, and where it draws its box."""

    threshold: float
    box: tuple[float, float, float, float]


LAMPS = {
    "road-anchors": Lamp(105.0, (20.0, 150.0, 80.0, 190.0)),
    "road-distances": Lamp(80.0, (300.0, 40.0, 360.0, 80.0)),
    "road-peaks": Lamp(130.0, (300.0, 180.0, 360.0, 220.0)),
}


SURROGATES: dict[str, Design] = {"road-anchors": "anchors", "surrogate-road": "distances"}
"""What a kit hands out, and its design: lamps cannot be differentiated."""


class _LampModule(nn.Module):
    def __init__(self, threshold: float, box: tuple[float, float, float, float], work: int) -> None:
        super().__init__()
        self.threshold = threshold
        self.work = work
        self.box = torch.tensor([box])
        self.score = torch.tensor([0.9])

    def forward(self, frames: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for frame in frames:
            effort = torch.eye(64)
            for _ in range(self.work):
                effort = torch.mm(effort, effort)
            seen = int(bool(frame[:, 118:138, 193:223].mean() >= self.threshold))
            label = 3 if bool(frame[:, :8, :8].mean() > 128) else 1  # a white corner marks scenes with a mannequin
            found.append((self.box[:seen], torch.tensor([label])[:seen], self.score[:seen]))
        return found


def write_lamp(folder: Path, name: str, *, work: int = 0) -> Path:
    """Write a lamp's package; ``work`` keeps it busy over every frame, as a real network would be."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(_LampModule(*LAMPS[name], work)), buffer)  # type: ignore[no-untyped-call]
    weights = buffer.getvalue()
    description = DetectorDescription(
        name=name,
        format="torchscript",
        weights=describe_weights("weights.pt", weights),
        head=HeadDescription(kind="boxes"),
        measured=Measured(precision=1, recall_album=1, false_alarms=0, data="made for a test"),
    )
    write_detector_package(folder, description, weights)
    return folder


def write_surrogate(folder: Path, name: str) -> Path:
    """Write a network of a shipped design with random weights, drawn anew but the same for the same name."""
    torch.manual_seed(len(name))
    design = SURROGATES[name]
    weights = pack_weights(build_detector(design))
    description = DetectorDescription(
        name=name,
        format="builtin",
        design=design,
        weights=describe_weights("weights.safetensors", weights),
        head=head_of(design),
        measured=Measured(precision=0, recall_album=0, false_alarms=0, data="made for a test"),
    )
    write_detector_package(folder, description, weights)
    return folder


def frames(frames_: int, target: str, first: int) -> Iterator[tuple[NDArray[np.uint8], FacePose]]:
    """Draw a drive: the plate's half width grows from ``first`` by 12 pixels a frame."""
    for number in range(frames_):
        half = first + 12 * number
        height = half if target == "mannequin" else round(half * CANVAS_SIZE[0] / CANVAS_SIZE[1])
        left, right, top, bottom = 208 - half, 208 + half, 128 - height, 128 + height
        pixels = np.full((*FRAME, 3), GROUND, np.uint8)
        pixels[top:bottom, left:right] = PLATE
        if target == "mannequin":
            pixels[:8, :8] = 255
        yield pixels, plain_pose(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float))


def write_scenes(folder: Path, count: int = 5, *, kinds: tuple[str, ...] = ("truck",), length: int = 6,
                 role: str = "scoring") -> Path:  # fmt: skip
    """Write a set of scenes, ``count`` of each kind; they begin at different distances."""
    for kind in kinds:
        for number in range(count):
            head = SceneHead(f"{kind}-{number + 1}", kind, role, 24.0)  # type: ignore[arg-type]
            write_scene(folder / head.name, head, frames(length, kind, 12 + 3 * number))
    write_set(folder)
    return folder


def record(folder: Path, count: int = 3, head: object = HEAD) -> Path:
    """Write a drive as somebody with a camera and a tape measure would hand it in."""
    (folder / "frames").mkdir(parents=True)
    lines = []
    for number, (pixels, pose) in enumerate(frames(count, "truck", 20)):
        cv2.imwrite(str(folder / "frames" / f"{number:03d}.png"), pixels[..., ::-1])
        lines.append(",".join(str(value) for value in pose.corners.ravel()))
    (folder / "corners.csv").write_text("\n".join(lines) + "\n")
    (folder / "head.json").write_text(json.dumps(head))
    return folder


def ring(width: int = 300) -> NDArray[np.uint8]:
    """Draw a canvas that is black along its border and transparent inside: it hides from afar, not from near."""
    canvas = np.zeros((*CANVAS_SIZE, 4), np.uint8)
    canvas[..., 3] = 255
    canvas[width:-width, 2 * width : -2 * width, 3] = 0
    return canvas


def blank() -> NDArray[np.uint8]:
    """Draw a transparent canvas."""
    return np.zeros((*CANVAS_SIZE, 4), np.uint8)


def pieces(count: int) -> NDArray[np.uint8]:
    """Draw a canvas whose mask has so many regions."""
    canvas = blank()
    for piece in range(count):
        canvas[200:600, 100 + 400 * piece : 400 + 400 * piece] = 255
    return canvas


def as_png(canvas: NDArray[np.generic]) -> bytes:
    """Encode what was drawn, as a participant does."""
    return bytes(cv2.imencode(".png", canvas)[1])


def write_submission(path: Path, **canvases: NDArray[np.generic]) -> Path:
    """Write a zip with a canvas each under its name without ``.png``, ``_`` for ``-``."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, canvas in canvases.items():
            archive.writestr(f"{name.replace('_', '-')}.png", as_png(canvas))
    return path


def hidden(data: Path, kind: str, canvas: NDArray[np.uint8] | None) -> dict[str, dict[str, list[bool]]]:
    """Tell by lamp, scene and frame whether nothing is seen, from the pixels and the lamps' rule alone."""
    scenes = [open_scene(path.parent) for path in sorted(data.glob(f"{kind}-*/scene.json"))]
    patch = None if canvas is None else Pyramid(canvas[..., 2::-1].copy(), canvas[..., 3] > 0)
    light = {
        scene.name: [_light(pixels, patch, pose) for pixels, pose in zip(scene.frames(), scene.poses, strict=True)]
        for scene in scenes
    }
    return {
        name: {scene: [one < lamp.threshold for one in found] for scene, found in light.items()}
        for name, lamp in LAMPS.items()
    }


def equation_5(
    data: Path, kind: str, victims: tuple[str, ...], canvas: NDArray[np.uint8], *, frames_: int | None = None
) -> float:
    """Score a patch by hand: AISC 2022 report, eq. 5; ``frames_`` is the longest scene's length."""
    cells = [cell for name, row in hidden(data, kind, canvas).items() if name in victims for cell in row.values()]
    longest = frames_ or max(map(len, cells))
    suppressed = sum(sum(cell) / longest for cell in cells) / len(cells)
    covered = np.count_nonzero(canvas[..., 3])
    return suppressed + 0.2 * (1 - covered / (CANVAS_SIZE[0] * CANVAS_SIZE[1]))


def shown_frame(pixels: NDArray[np.uint8], patch: Pyramid | None, pose: FacePose) -> NDArray[np.uint8]:
    """Put a patch into a copy of a frame."""
    shown = np.array(pixels)
    if patch is not None and not patch.empty:
        place(shown, patch, pose)
    return shown


def _light(pixels: NDArray[np.uint8], patch: Pyramid | None, pose: FacePose) -> float:
    return float(shown_frame(pixels, patch, pose)[WINDOW].mean())
