"""A victim package: a folder with `victim.json` beside its weights; docs/formats/victims.md describes it.

A package is checked where it is read: the description by a schema, the weights by their SHA-256. Its digest names the
victim in scores, so that a result is bound to the very weights and threshold that gave it.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aisc.errors import UsageError
from aisc.identity import digest as content_digest

DESCRIPTION = "victim.json"
SIDE = 112

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
Triple = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkDescription(_Strict):
    """Which built-in network the weights fill."""

    family: Literal["residual", "squeeze", "plain", "dense", "mixer"]
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int]
    dim: int = Field(ge=8, le=2048)


class InputDescription(_Strict):
    """What the model's file expects of a picture: `(pixel - mean) * scale`, pixels in [0, 255]."""

    size: Literal[112] = 112
    colours: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (1.0, 1.0, 1.0)


class WeightsDescription(_Strict):
    """The file of weights and what it must hash to."""

    file: FileName
    sha256: Sha256


class Calibration(_Strict):
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


class VictimDescription(_Strict):
    """The content of `victim.json`."""

    version: Literal[1] = 1
    name: Name
    task: Literal["face-verification"] = "face-verification"
    format: Literal["builtin", "torchscript", "onnx"]
    architecture: NetworkDescription | None = None
    weights: WeightsDescription
    input: InputDescription = InputDescription()
    mirror: bool
    dim: int = Field(ge=2, le=4096)
    threshold: float = Field(ge=-1, le=1)
    calibration: Calibration
    recipe: dict[str, Any] = {}

    @model_validator(mode="after")
    def _architecture_goes_with_builtin(self) -> "VictimDescription":
        if (self.format == "builtin") != (self.architecture is not None):
            raise ValueError("architecture belongs to the format builtin, and to it alone")
        if self.architecture is not None and self.architecture.dim != self.dim:
            raise ValueError("dim must equal architecture.dim")
        return self

    @property
    def digest(self) -> str:
        """Give the SHA-256 of this description in canonical JSON, which names the weights by theirs."""
        return content_digest(self.model_dump(mode="json", exclude_none=True))


class VictimPackage:
    """A victim's folder, its description and the checked bytes of its weights."""

    def __init__(self, folder: Path, description: VictimDescription, weights: bytes) -> None:
        """Keep the three; use `load_package`, which checks them."""
        self.folder = folder
        self.description = description
        self.weights = weights

    @property
    def digest(self) -> str:
        """Give the name of the victim by content."""
        return self.description.digest


def read_description(folder: Path) -> VictimDescription:
    """Read and check `victim.json` without touching the weights.

    Raises:
        UsageError: VICTIM_MISSING or VICTIM_DESCRIPTION_INVALID.
    """
    path = folder / DESCRIPTION
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(
            "VICTIM_MISSING",
            f"{path} cannot be read ({error.strerror}).",
            "Name a victim that ships with aisc, or a folder that `aisc victims train` or `import` has written.",
        ) from error
    try:
        return VictimDescription.model_validate_json(text, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            "VICTIM_DESCRIPTION_INVALID",
            f"{path}: {field}: {first['msg']}.",
            "See docs/formats/victims.md, or write the package anew with `aisc victims import`.",
        ) from error


def load_package(folder: Path) -> VictimPackage:
    """Read a package and check that its weights are those that its description names.

    Raises:
        UsageError: VICTIM_MISSING, VICTIM_DESCRIPTION_INVALID, VICTIM_WEIGHTS_MISSING or VICTIM_WEIGHTS_CHANGED.
    """
    description = read_description(folder)
    path = folder / description.weights.file
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise UsageError(
            "VICTIM_WEIGHTS_MISSING",
            f"{path} cannot be read ({error.strerror}).",
            "Copy the whole folder of the victim, with its weights.",
        ) from error
    found = hashlib.sha256(weights).hexdigest()
    if found != description.weights.sha256:
        raise UsageError(
            "VICTIM_WEIGHTS_CHANGED",
            f"{path} has SHA-256 {found}, but {DESCRIPTION} names {description.weights.sha256}.",
            "Take the weights that were calibrated, or import and calibrate these as a new victim.",
        )
    return VictimPackage(folder, description, weights)


def write_package(folder: Path, description: VictimDescription, weights: bytes) -> VictimPackage:
    """Write a package; weights first, so that a description never names a file that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / description.weights.file).write_bytes(weights)
    text = json.dumps(description.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return load_package(folder)
