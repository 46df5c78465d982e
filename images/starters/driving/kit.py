"""Read the kit of the driving track, and write a submission.

A kit is a folder with ``stage.json``, ``scenes/`` (training packs, docs/formats/scene-pack.md) and ``detectors/``: each
detector one TorchScript file beside a ``.json`` that says how its answer is read.
"""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from aisc.datasets.scene_packs import ScenePack, open_set
from aisc.placement.light import FacePose
from aisc.victims.detector_heads import decode_anchors, decode_distances, decode_peaks

CANVAS = (1260, 2790)
CLASSES = ("car", "truck", "bus", "person")


class WhiteBox:
    """A detector with gradients."""

    def __init__(self, script: Path) -> None:
        self.name = script.stem
        self.module = torch.jit.load(str(script), map_location="cpu").eval()
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self.head = json.loads(script.with_suffix(".json").read_text())

    def confidences(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give boxes (n, m, 4), confidences (n, m, classes) and, apart from the class, objectness (n, m)."""
        maps = list(self.module(frames))
        strides = self.head["strides"]
        if self.head["kind"] == "anchors":
            boxes, scores = decode_anchors(maps, strides, self.head["anchors"])
            per_anchor = 5 + scores.shape[2]
            objectness = torch.cat(
                [one.unflatten(1, (-1, per_anchor))[:, :, 4].flatten(2).transpose(1, 2).flatten(1) for one in maps], 1
            )
            return boxes, scores, torch.sigmoid(objectness)
        decode = decode_distances if self.head["kind"] == "distances" else decode_peaks
        boxes, scores = decode(maps, strides)
        return boxes, scores, scores.amax(2)


class Shot(NamedTuple):
    """One frame to train on: pixels (3, h, w) in [0, 255] and the face's pose."""

    pixels: torch.Tensor
    pose: FacePose


class Kit(NamedTuple):
    """What was handed out."""

    stage: str
    canvases: list[str]
    scenes: list[ScenePack]
    detectors: list[WhiteBox]


def read_kit(folder: Path) -> Kit:
    """Open a kit; frames are decoded later."""
    stage = json.loads((folder / "stage.json").read_text())
    detectors = [WhiteBox(path) for path in sorted((folder / "detectors").glob("*.pt"))]
    return Kit(stage["stage"], stage["canvases"], open_set(folder / "scenes"), detectors)


def clean_scenes(kit: Kit, target: str) -> list[ScenePack]:
    """Give the scenes without a patch on the target."""
    return [pack for pack in kit.scenes if pack.description.target == target and not pack.description.patched]


def read_shots(pack: ScenePack, every: int, corners: np.ndarray | None = None, first: int = 0) -> list[Shot]:
    """Decode every ``every``-th frame; ``corners`` (n, 4, 2) take the place of those that the pack knows."""
    shots = []
    for number in range(first, len(pack), every):
        pose = pack.poses[number]
        if corners is not None:
            pose = pose._replace(corners=corners[number])
        pixels = next(pack.frames(number, number + 1))
        shots.append(Shot(torch.from_numpy(pixels).permute(2, 0, 1).float(), pose))
    return shots


def write_submission(path: Path, canvases: dict[str, np.ndarray]) -> None:
    """Write RGBA canvases (1260, 2790, 4) into a zip, by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, pixels in canvases.items():
            _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
            archive.writestr(name, data.tobytes())


def canvas_pixels(colours: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """Enlarge a patch (3, r, c) in [0, 255] and a mask (1, r', c') to a canvas."""
    large = torch.nn.functional.interpolate(colours[None], CANVAS, mode="bilinear")[0]
    alpha = torch.nn.functional.interpolate(mask[None], CANVAS, mode="nearest")[0] * 255
    return torch.cat([large, alpha]).clamp(0, 255).round().byte().permute(1, 2, 0).contiguous().numpy()
