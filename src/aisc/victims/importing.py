"""Taking in an organizer's own model: TorchScript or ONNX, with a declared preprocessing, checked and calibrated.

A TorchScript file is loaded by torch's interpreter and an ONNX file by onnxruntime: organizers import models that they
trust; nothing that a participant sends comes this way.
"""

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from aisc.errors import PlatformError, UsageError
from aisc.victims.calibration import DEFAULT_FALSE_ACCEPT_RATE, UNMEASURED, LabelledFaces, Rule, calibrate
from aisc.victims.package import (
    SIDE,
    InputDescription,
    VictimDescription,
    VictimPackage,
    WeightsDescription,
    write_package,
)
from aisc.victims.verifier import Forward, LocalVerifier, Pictures, onnx_forward, prepare

ImportedFormat = Literal["torchscript", "onnx"]

_SUFFIXES: dict[str, ImportedFormat] = {
    ".pt": "torchscript",
    ".pth": "torchscript",
    ".ts": "torchscript",
    ".onnx": "onnx",
}
_CANARY_SEED = 7
_TOLERANCE = 1e-4


class Declaration(NamedTuple):
    """What the organizer says of a model."""

    name: str
    input: InputDescription = InputDescription()
    mirror: bool = True
    rule: Rule = "false-accept-rate"
    false_accept_rate: float = DEFAULT_FALSE_ACCEPT_RATE


def import_victim(model: Path, declaration: Declaration, faces: LabelledFaces, folder: Path) -> VictimPackage:
    """Load a model file, ask it about a canary, calibrate it and write a victim package into `folder`.

    The canary is a batch of noise: the answer must be finite rows of one length that is not zero, differ between
    pictures, and be the same when asked again and when the batch is asked picture by picture.

    Raises:
        UsageError: VICTIM_FILE_MISSING, VICTIM_FORMAT_UNKNOWN, VICTIM_WEIGHTS_INVALID, VICTIM_CANARY_FAILED,
            VICTIM_DECLARATION_INVALID or one of the threshold's codes.
    """
    kind = _format(model)
    try:
        weights = model.read_bytes()
    except OSError as error:
        raise UsageError(
            "VICTIM_FILE_MISSING", f"{model} cannot be read ({error.strerror}).", "Give the path of the model's file."
        ) from error
    if kind == "onnx":
        forward = onnx_forward(weights, model)
    else:
        models = import_module("aisc.victims.torch_models")
        forward = models.module_forward(models.load_script(weights, model))
    dim = ask_canary(model, forward, declaration.input)
    file = WeightsDescription(file="model" + model.suffix.lower(), sha256=hashlib.sha256(weights).hexdigest())
    draft = _describe(declaration, kind, file, dim)
    try:
        threshold, record = calibrate(
            LocalVerifier(draft, forward), faces, declaration.rule, declaration.false_accept_rate
        )
    except PlatformError as error:  # here the model is the operator's input, not yet a part of the platform
        raise _refuse(model, error.message) from error
    return write_package(folder, draft.model_copy(update={"threshold": threshold, "calibration": record}), weights)


def ask_canary(model: Path, forward: Forward, declared: InputDescription) -> int:
    """Check a model's answers on noise; give the embedding's length.

    Raises:
        UsageError: VICTIM_CANARY_FAILED.
    """
    noise: Pictures = np.random.default_rng(_CANARY_SEED).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    try:
        first, again = forward(prepare(noise, declared)), forward(prepare(noise, declared))
        single = np.concatenate([forward(prepare(noise[k : k + 1], declared)) for k in range(len(noise))])
    except Exception as error:  # each runtime raises its own types when shapes or types do not fit
        raise _refuse(model, f"it raised {type(error).__name__} on a batch of four pictures, or on one") from error
    if first.ndim != 2 or len(first) != len(noise) or first.dtype != np.float32 or first.shape[1] < 2:
        raise _refuse(model, f"it answered {first.dtype} {first.shape} to four pictures, not float32 (4, dim)")
    lengths = np.linalg.norm(first, axis=1)
    if not (np.isfinite(lengths).all() and (lengths > 1e-6).all()):
        raise _refuse(model, "its embeddings are not finite, or have no length")
    if not np.array_equal(first, again):
        raise _refuse(model, "it answered the same pictures differently a second time")
    if not np.allclose(first, single, rtol=_TOLERANCE, atol=_TOLERANCE * float(lengths.max())):
        raise _refuse(model, "its answer to a picture depends on the others in the batch")
    if np.allclose(first, first[:1]):
        raise _refuse(model, "it answered four different pictures with one embedding")
    return int(first.shape[1])


def _format(model: Path) -> ImportedFormat:
    try:
        return _SUFFIXES[model.suffix.lower()]
    except KeyError:
        raise UsageError(
            "VICTIM_FORMAT_UNKNOWN",
            f"{model} ends in {model.suffix or 'nothing'}, not in {', '.join(sorted(_SUFFIXES))}.",
            "Save the model as TorchScript (.pt) or ONNX (.onnx).",
        ) from None


def _describe(declaration: Declaration, kind: ImportedFormat, file: WeightsDescription, dim: int) -> VictimDescription:
    """Give the description before its calibration, which `import_victim` puts in before it writes."""
    try:
        return VictimDescription(
            name=declaration.name, format=kind, weights=file, input=declaration.input, mirror=declaration.mirror,
            dim=dim, threshold=0.0, calibration=UNMEASURED,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            "VICTIM_DECLARATION_INVALID",
            f"victim {declaration.name!r}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}.",
            "Names are lower-case letters, digits and hyphens, at most 40.",
        ) from error


def _refuse(model: Path, what: str) -> UsageError:
    return UsageError(
        "VICTIM_CANARY_FAILED",
        f"{model} does not behave as an embedding network: {what}.",
        "Check the declared input (colours, layout, mean, scale) and export the model in evaluation mode.",
    )
