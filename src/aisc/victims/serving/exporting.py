"""From a victim's package to what a model server runs: one file, the shapes of question and answers, and a canary.

The server sees what stands between preparation and decoding: pictures as the model's file wants them in, raw embeddings
or raw maps out. All the rest is the caller's code, the same one as in this process.
"""

import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.errors import PlatformError, UsageError
from aisc.victims.builtin import kind_of
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_package import ClassifierPackage, load_classifier_package
from aisc.victims.detector_package import DetectorPackage, fill_detector, load_detector_package
from aisc.victims.detectors import BATCH as FRAMES
from aisc.victims.package import SIDE, InputDescription, VictimPackage, load_package
from aisc.victims.torch_models import load_network, load_script
from aisc.victims.verifier import BATCH as PICTURES
from aisc.victims.verifier import onnx_forward, prepare

Array = NDArray[np.uint8] | NDArray[np.float32]
Answer = NDArray[np.float32]
CANARY_SEED = 11
CANARIES = 2
TOLERANCE = 1e-4
"""Largest difference between a served answer and the packaged network's, relative to its largest number."""
_OPSET = 17


class TensorShape(NamedTuple):
    """A tensor of a model, without its first dimension, the batch."""

    name: str
    dtype: Literal["uint8", "float32"]
    dims: tuple[int, ...]


class ServedModel(NamedTuple):
    """All that a server needs of one victim.

    Attributes:
        digest: The package's name by content.
        runtime: What runs ``weights``.
        weights: An ONNX or TorchScript file.
        batch: Most pictures or frames in one request.
        question: What goes in.
        answers: What comes out, in order.
        canary: A small batch of noise, as it goes in.
        expected: What the packaged network itself answers to the canary.
    """

    digest: str
    runtime: Literal["onnx", "torchscript"]
    weights: bytes
    batch: int
    question: TensorShape
    answers: tuple[TensorShape, ...]
    canary: Array
    expected: tuple[Answer, ...]


class _FromGreyLevels(nn.Module):
    """A network that takes grey levels as a picture holds them: uint8 `(n, h, w, 3)`, a quarter of the bytes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        answer: Tensor | tuple[Tensor, ...] = self.network(pictures.permute(0, 3, 1, 2).float())
        return answer


def serve_package(folder: Path) -> ServedModel:
    """Make the package of a face verifier, a detector or a classifier ready to be served.

    Raises:
        UsageError: as the packages' readers do; SERVING_HEAD for a detector that gives ready boxes.
        PlatformError: SERVING_EXPORT when the exported file does not answer as the network does.
    """
    kind = kind_of(folder)
    if kind == "detector":
        return serve_detector(load_detector_package(folder))
    if kind == "classifier":
        return serve_classifier(load_classifier_package(folder))
    return serve_verifier(load_package(folder))


def plain_grey_levels(declared: InputDescription) -> bool:
    """Tell whether a model takes RGB or BGR grey levels unchanged, channel by channel: then bytes say it all."""
    return (declared.mean, declared.scale, declared.layout) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "nchw")


def serve_verifier(package: VictimPackage) -> ServedModel:
    """Export a face verifier: built-in and TorchScript networks as ONNX, an ONNX file as it is."""
    builtin = package.description.format == "builtin"
    return _serve_pictures(
        package, lambda: load_network(package) if builtin else load_script(package.weights, package.folder)
    )


def serve_classifier(package: ClassifierPackage) -> ServedModel:
    """Export a face classifier in the same way; the server gives its logits."""
    return _serve_pictures(package, lambda: load_classifier(package))


def _serve_pictures(package: VictimPackage | ClassifierPackage, load: Callable[[], nn.Module]) -> ServedModel:
    """Export what takes aligned faces, as its package declares its input."""
    declared = package.description.input
    noise = np.random.default_rng(CANARY_SEED).integers(0, 256, (CANARIES, SIDE, SIDE, 3), dtype=np.uint8)
    prepared = np.ascontiguousarray(prepare(noise, declared))
    if package.description.format == "onnx":
        expected = [onnx_forward(package.weights, package.folder)(prepared)]
        return _served(package.digest, _onnx_runner(package.weights, 1), PICTURES, prepared, expected)
    network = load()
    with torch.inference_mode():
        expected = _as_list(network(torch.from_numpy(prepared)))
    if plain_grey_levels(declared):
        question: Array = np.ascontiguousarray(prepared.transpose(0, 2, 3, 1).astype(np.uint8))
        return _exported(package.digest, _FromGreyLevels(network), PICTURES, question, expected)
    return _exported(package.digest, network, PICTURES, prepared, expected)


def serve_detector(package: DetectorPackage) -> ServedModel:
    """Export a detector; the server gives its raw maps."""
    description = package.description
    if description.head.kind == "boxes":
        raise UsageError(
            "SERVING_HEAD",
            f"{package.folder} gives ready boxes, as many as it finds, which a model server cannot batch.",
            "Export the network without its decoding, as one of the heads anchors, distances or peaks.",
        )
    size = (CANARIES, *description.frame, 3)
    noise = np.random.default_rng(CANARY_SEED).integers(0, 256, size, dtype=np.uint8)
    network = (
        fill_detector(package) if description.format == "builtin" else load_script(package.weights, package.folder)
    )
    with torch.inference_mode():
        answer = network(torch.from_numpy(noise).permute(0, 3, 1, 2).float())
    return _exported(package.digest, _FromGreyLevels(network), FRAMES, noise, _as_list(answer))


def _exported(
    digest: str, network: nn.Module, batch: int, question: Array, expected: Sequence[Answer]
) -> ServedModel:  # fmt: skip
    """Give the network as ONNX, or as TorchScript where it cannot be said in ONNX or would answer differently."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor")  # sizes are constants here: only the batch varies
        # Traced first: the exporter takes no Python module that holds a TorchScript one.
        traced = torch.jit.trace(network.eval(), torch.from_numpy(question), check_trace=False)  # type: ignore[no-untyped-call]
    try:
        return _served(digest, _as_onnx(traced, question, len(expected)), batch, question, expected)
    except Exception:
        # Exporter and runtime raise whatever they like about what they do not know; a script is checked all the same.
        file = io.BytesIO()
        torch.jit.save(traced, file)
        return _served(digest, _script_runner(file.getvalue(), len(expected)), batch, question, expected)


def _as_onnx(traced: nn.Module, question: Array, answers: int) -> "_Runner":
    names = _names(answers)
    axes = {name: {0: "n"} for name in ["pictures", *names]}
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns that it is the older one; the newer needs onnxscript
        torch.onnx.export(
            traced, (torch.from_numpy(question),), file.name, dynamo=False, opset_version=_OPSET,
            input_names=["pictures"], output_names=names, dynamic_axes=axes,
        )  # fmt: skip
        return _onnx_runner(Path(file.name).read_bytes(), answers)


class _Runner(NamedTuple):
    """A file, opened: its runtime, the names of what goes in and out, and a pass."""

    runtime: Literal["onnx", "torchscript"]
    weights: bytes
    taken: str
    given: list[str]
    run: Callable[[Array], list[Answer]]


def _onnx_runner(weights: bytes, answers: int) -> _Runner:
    """Open an ONNX file; an organizer's own keeps its names."""
    import onnxruntime  # a TorchScript victim does not need it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a canary is no work for more
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    taken, given = session.get_inputs()[0].name, [one.name for one in session.get_outputs()][:answers]
    return _Runner("onnx", weights, taken, given, lambda question: list(session.run(given, {taken: question})))


def _script_runner(weights: bytes, answers: int) -> _Runner:
    module = torch.jit.load(io.BytesIO(weights), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def run(question: Array) -> list[Answer]:
        with torch.inference_mode():
            return _as_list(module(torch.from_numpy(question)))

    return _Runner("torchscript", weights, "pictures", _names(answers), run)


def _as_list(answer: Tensor | Sequence[Tensor]) -> list[Answer]:
    return [one.float().numpy() for one in ([answer] if isinstance(answer, Tensor) else answer)]


def _names(answers: int) -> list[str]:
    return ["answer"] if answers == 1 else [f"answer{number}" for number in range(answers)]


def _served(
    digest: str, runner: _Runner, batch: int, question: Array, expected: Sequence[Answer]
) -> ServedModel:  # fmt: skip
    """Describe a file that answers the canary as the network does, in a batch and one by one.

    Raises:
        PlatformError: SERVING_EXPORT.
    """
    together = runner.run(question)
    singles = [runner.run(question[number : number + 1]) for number in range(len(question))]
    for place, right in enumerate(expected):
        bound = TOLERANCE * max(1.0, float(np.abs(right).max()))
        for found in (together[place], np.concatenate([single[place] for single in singles])):
            if found.shape != right.shape or not float(np.abs(found - right).max()) <= bound:
                raise PlatformError(
                    "SERVING_EXPORT",
                    f"The victim {digest[:12]} answers differently once exported as {runner.runtime}.",
                    "Use it in this process, or export the network to ONNX by hand and import that file.",
                )
    shape = TensorShape(runner.taken, "uint8" if question.dtype == np.uint8 else "float32", tuple(question.shape[1:]))
    answers = tuple(
        TensorShape(name, "float32", tuple(one.shape[1:])) for name, one in zip(runner.given, expected, strict=True)
    )
    return ServedModel(digest, runner.runtime, runner.weights, batch, shape, answers, question, tuple(expected))
