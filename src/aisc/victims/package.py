"""A victim package: a folder with `victim.json` beside its weights; docs/formats/victims.md describes it."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from aisc.victims.packages import (
    Name,
    Package,
    PackageDescription,
    PackageKind,
    Sha256,
    Share,
    Strict,
    WeightsDescription,
)

__all__ = [
    "DESCRIPTION", "SIDE", "Calibration", "InputDescription", "Name", "NetworkDescription", "Share",
    "VictimDescription", "VictimPackage", "WeightsDescription", "load_package", "read_description", "write_package",
]  # fmt: skip

DESCRIPTION = "victim.json"
SIDE = 112

Triple = tuple[float, float, float]


class NetworkDescription(Strict):
    """Which built-in network the weights fill."""

    family: Literal["residual", "squeeze", "plain", "dense", "mixer"]
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int]
    dim: int = Field(ge=8, le=2048)


class InputDescription(Strict):
    """What the model's file expects of a picture: `(pixel - mean) * scale`, pixels in [0, 255]."""

    size: Literal[112] = 112
    colours: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (1.0, 1.0, 1.0)


class Calibration(Strict):
    """How the threshold came about: clean pairs of people unseen in training."""

    rule: Literal["false-accept-rate", "best-accuracy"]
    target_false_accept_rate: Share | None = None
    false_accept_rate: Share
    true_accept_rate: Share
    best_accuracy: Share
    genuine_pairs: int = Field(ge=1)
    impostor_pairs: int = Field(ge=1)
    data: str = Field(min_length=1, max_length=400)
    data_sha256: Sha256

    @model_validator(mode="after")
    def _target_goes_with_its_rule(self) -> "Calibration":
        if (self.rule == "false-accept-rate") != (self.target_false_accept_rate is not None):
            raise ValueError("target_false_accept_rate belongs to the rule false-accept-rate, and to it alone")
        return self


class VictimDescription(PackageDescription):
    """The content of `victim.json`."""

    version: Literal[1] = 1
    task: Literal["face-verification"] = "face-verification"
    format: Literal["builtin", "torchscript", "onnx"]
    architecture: NetworkDescription | None = None
    input: InputDescription = InputDescription()
    mirror: bool
    dim: int = Field(ge=2, le=4096)
    threshold: float = Field(ge=-1, le=1)
    calibration: Calibration

    @model_validator(mode="after")
    def _architecture_goes_with_builtin(self) -> "VictimDescription":
        if (self.format == "builtin") != (self.architecture is not None):
            raise ValueError("architecture belongs to the format builtin, and to it alone")
        if self.architecture is not None and self.architecture.dim != self.dim:
            raise ValueError("dim must equal architecture.dim")
        return self


VictimPackage = Package[VictimDescription]
"""A victim's folder, its description and the checked bytes of its weights."""

_KIND: Final = PackageKind(
    VictimDescription, DESCRIPTION, "victim",
    where="Name a victim that ships with aisc, or a folder that `aisc victims train` or `import` has written.",
    again="See docs/formats/victims.md, or write the package anew with `aisc victims import`.",
)  # fmt: skip


def read_description(folder: Path) -> VictimDescription:
    """Read and check `victim.json` without touching the weights; raises as `PackageKind.read` does."""
    return _KIND.read(folder)


def load_package(folder: Path) -> VictimPackage:
    """Read a package and check its weights; raises as `PackageKind.load` does."""
    return _KIND.load(folder)


def write_package(folder: Path, description: VictimDescription, weights: bytes) -> VictimPackage:
    """Write a package and read it back."""
    return _KIND.write(folder, description, weights)
