"""A detector's package: a folder with ``detector.json`` beside its weights."""

import io
from pathlib import Path
from typing import Final, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from aisc.errors import UsageError
from aisc.victims.builtin import builtin_names
from aisc.victims.detector_networks import build_detector
from aisc.victims.packages import Package, PackageDescription, PackageKind, Share, Strict
from aisc.victims.torch_models import filled

DESCRIPTION: Final = "detector.json"
CLASSES: Final = ("car", "truck", "bus", "person")
"""The classes of the driving track."""


class HeadDescription(Strict):
    """How the model's answer is read.

    Attributes:
        kind: ``anchors`` (YOLOv3), ``distances`` (FCOS), ``peaks`` (CenterNet) or ``boxes``: boxes, labels and scores.
        strides: Frame pixels per cell of each map; none for ``boxes``.
        anchors: Width and height in pixels of the anchors of each map, for ``anchors`` alone.
    """

    kind: Literal["anchors", "distances", "peaks", "boxes"]
    strides: tuple[int, ...] = ()
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()

    @model_validator(mode="after")
    def _parts_go_with_the_kind(self) -> "HeadDescription":
        if (self.kind == "boxes") != (not self.strides):
            raise ValueError("strides belong to every kind but boxes")
        if len(self.anchors) != (len(self.strides) if self.kind == "anchors" else 0):
            raise ValueError("anchors belong to the kind anchors, one group a stride")
        return self


class Measured(Strict):
    """What the detector does on clean scenes that it never saw.

    Attributes:
        recall: Share of the target's frames in which it is seen, per scene.
        precision: Share of detections that are right, over a test album.
        recall_album: Share of clearly visible objects of a test album that are found.
        false_alarms: Detections of nothing, a frame of the album.
        data: Where the figures come from.
    """

    recall: dict[str, Share] = Field(default_factory=dict)
    precision: Share
    recall_album: Share
    false_alarms: float = Field(ge=0)
    data: str = Field(min_length=1, max_length=400)


class DetectorDescription(PackageDescription):
    """The content of ``detector.json``."""

    version: Literal[1] = 1
    task: Literal["object-detection"] = "object-detection"
    format: Literal["builtin", "torchscript"]
    design: Literal["anchors", "distances", "peaks"] | None = None
    frame: tuple[int, int] = (256, 416)
    head: HeadDescription
    classes: tuple[Literal["car", "truck", "bus", "person", ""], ...] = CLASSES
    """The track's class of each of the model's own classes; an empty name drops that class."""
    confidence: Share = 0.5
    overlap: Share = 0.5
    measured: Measured

    @model_validator(mode="after")
    def _design_goes_with_builtin(self) -> "DetectorDescription":
        if (self.format == "builtin") != (self.design is not None):
            raise ValueError("design belongs to the format builtin, and to it alone")
        return self


DetectorPackage = Package[DetectorDescription]
"""A detector's folder, its description and the checked bytes of its weights."""


def load_detector_package(folder: Path) -> DetectorPackage:
    """Read a package and check its weights; raises as `PackageKind.load` does."""
    return _kind().load(folder)


def read_detector_description(folder: Path) -> DetectorDescription:
    """Read and check ``detector.json`` without touching the weights; raises as `PackageKind.read` does."""
    return _kind().read(folder)


def write_detector_package(folder: Path, description: DetectorDescription, weights: bytes) -> DetectorPackage:
    """Write a package and read it back."""
    return _kind().write(folder, description, weights)


def _kind() -> PackageKind[DetectorDescription]:
    shipped = f"Name the folder of a detector's package; shipped are {', '.join(builtin_names('detector'))}."
    return PackageKind(DetectorDescription, DESCRIPTION, "detector", shipped, "Write the package anew.")


def fill_detector(package: DetectorPackage) -> nn.Module:
    """Build a built-in detector with the package's weights, in float32 and evaluation mode.

    Raises:
        UsageError: VICTIM_NOT_BUILTIN or VICTIM_WEIGHTS_INVALID.
    """
    design = package.description.design
    if design is None:
        raise UsageError(
            "VICTIM_NOT_BUILTIN", f"{package.folder} is no built-in detector.", "Name one that ships with aisc."
        )
    return filled(lambda: build_detector(design), package.weights, package.folder)


def export_detector(package: DetectorPackage, target: Path) -> None:
    """Write a built-in detector as one TorchScript file for participants: frames ``(n, 3, h, w)`` in, raw maps out."""
    example = torch.zeros(1, 3, *package.description.frame)
    module = torch.jit.trace(fill_detector(package), example, check_trace=False)  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(buffer.getvalue())
