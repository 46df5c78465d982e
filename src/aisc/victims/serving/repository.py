"""The model repository of a Triton server: a folder a victim, with its weights, its configuration and its canary.

A model's version is its package's digest, cut to what Triton takes for a version. Every request names it, so a server
that holds another victim of the same name answers "not found", never with another victim's scores.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import jinja2

from aisc.errors import UsageError
from aisc.victims.builtin import kind_of
from aisc.victims.classifier_package import read_classifier_description
from aisc.victims.detector_package import read_detector_description
from aisc.victims.package import read_description
from aisc.victims.packages import PackageDescription
from aisc.victims.serving.exporting import TOLERANCE, ServedModel, serve_package
from aisc.victims.serving.versions import version_of

Device = Literal["cpu", "gpu"]
CANARY = "canary.json"
INSTANCES = 2
"""Processes a model runs in."""
_HERE = Path(__file__).parent
_READERS: Final[Mapping[str, Callable[[Path], PackageDescription]]] = {
    "verifier": read_description,
    "detector": read_detector_description,
    "classifier": read_classifier_description,
}
_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}
_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}


class Written(NamedTuple):
    """One model of a repository."""

    name: str
    version: int
    digest: str
    runtime: Literal["onnx", "torchscript"]


def packages_by_name(folders: Iterable[Path]) -> dict[str, Path]:
    """Sort packages by the names in their descriptions, which is how callers ask for them; equal ones go once.

    Raises:
        UsageError: SERVING_NAMES when two different packages have one name; as the packages' readers do.
    """
    found: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for folder in folders:
        described = _READERS[kind_of(folder)](folder)
        if digests.setdefault(described.name, described.digest) != described.digest:
            raise UsageError(
                "SERVING_NAMES",
                f"{found[described.name]} and {folder} are different victims that are both called {described.name}.",
                "Change the name in the description of one of them, import it again, and name it in the season file.",
            )
        found.setdefault(described.name, folder)
    return found


def write_model_repository(packages: Mapping[str, Path], target: Path, *, device: Device = "cpu") -> list[Written]:
    """Write the repository of some victims; a repository that is there already is replaced when the new one is whole.

    Args:
        packages: Folders of face verifiers, detectors and classifiers, by the names that they are served under.
        target: The repository's folder.
        device: ``cpu`` for the Python backend with onnxruntime, ``gpu`` for Triton's own ONNX backend on a GPU; a
            victim that cannot be said in ONNX runs as TorchScript in the Python backend on either.

    Returns:
        What was written, by name.

    Raises:
        UsageError: SERVING_TARGET when the folder holds something else; as the packages' readers do; SERVING_HEAD.
        PlatformError: SERVING_EXPORT.
    """
    if target.exists() and any(not (folder / "config.pbtxt").is_file() for folder in target.iterdir()):
        raise UsageError(
            "SERVING_TARGET",
            f"{target} holds something that is no model repository.",
            "Name an empty folder, a repository to be replaced, or one that does not exist.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".repository-") as scratch:
        made = Path(scratch, "made")
        made.mkdir(mode=0o755)
        written = [_write_model(name, serve_package(folder), made / name, device) for name, folder in packages.items()]
        if target.exists():
            target.rename(Path(scratch, "replaced"))
        made.rename(target)
    return sorted(written)


def _write_model(name: str, model: ServedModel, folder: Path, device: Device) -> Written:
    version = version_of(model.digest)
    place, warmup = folder / str(version), folder / "warmup"
    place.mkdir(parents=True)
    warmup.mkdir()
    weights = "model.onnx" if model.runtime == "onnx" else "model.pt"
    (place / weights).write_bytes(model.weights)
    native = device == "gpu" and model.runtime == "onnx"
    if not native:
        shutil.copyfile(_HERE / "model.py", place / "model.py")
    _write_canary(name, version, model, warmup)
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(  # noqa: S701 - no HTML
        (_HERE / "config.pbtxt.j2").read_text(encoding="utf-8")
    )
    text = template.render(
        name=name, version=version, instances=INSTANCES, model=model, weights=weights, device=device, types=_TYPES,
        backend="onnxruntime" if native else "python", sha256=hashlib.sha256(model.weights).hexdigest(),
    )  # fmt: skip
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    return Written(name, version, model.digest, model.runtime)


def _write_canary(name: str, version: int, model: ServedModel, folder: Path) -> None:
    """Write the question and the packaged network's answers as raw little-endian numbers beside their description."""
    (folder / "canary").write_bytes(model.canary.tobytes())
    for answer, expected in zip(model.answers, model.expected, strict=True):
        (folder / f"{answer.name}.expected").write_bytes(expected.astype("<f4").tobytes())
    content = {
        "model": name,
        "version": str(version),
        "digest": model.digest,
        "tolerance": TOLERANCE,
        "instances": INSTANCES,
        "question": {
            "name": model.question.name,
            "datatype": _DATATYPES[model.question.dtype],
            "shape": list(model.canary.shape),
        },
        "answers": [
            {"name": answer.name, "shape": list(expected.shape)}
            for answer, expected in zip(model.answers, model.expected, strict=True)
        ],
    }
    (folder / CANARY).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
