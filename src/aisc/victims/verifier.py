"""Face verifiers: pictures in, embeddings out, and the decision whether two show the same person.

In-process implementations of one contract: torch for built-in networks and TorchScript, onnxruntime for ONNX. torch is
imported by the first only when it is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError, UsageError
from aisc.victims.package import SIDE, InputDescription, VictimDescription, VictimPackage, load_package

BATCH = 64
"""Pictures embedded at once: enough to fill two cores, little memory, and results that do not depend on the caller."""

Pictures = NDArray[np.uint8]
Embeddings = NDArray[np.float32]
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Prepared pictures of one batch in, raw embeddings `(n, dim)` out."""
Ask = Callable[[Iterable[NDArray[np.float32]]], Iterator[NDArray[np.float32]]]
"""Prepared batches in, raw embeddings of each out, in order; it may look a few batches ahead."""


class FaceVerifier(Protocol):
    """What an evaluation needs of a victim, wherever it runs."""

    @property
    def description(self) -> VictimDescription:
        """Name, threshold and all that was declared."""
        ...

    def embed(self, images: Pictures) -> Embeddings:
        """Embed uint8 RGB pictures `(n, 112, 112, 3)` as float32 `(n, dim)` of length 1."""
        ...


def similarity(first: Embeddings, second: Embeddings) -> NDArray[np.float64]:
    """Give the cosine of each pair of rows, `(n,)` in [-1, 1], summed in float64."""
    return np.asarray(np.einsum("nd,nd->n", first.astype(np.float64), second.astype(np.float64)))


def decide(first: Embeddings, second: Embeddings, threshold: float) -> NDArray[np.bool_]:
    """Tell for each pair of rows whether it passes for the same person: cosine at or above the threshold."""
    return similarity(first, second) >= threshold


def same_person(verifier: FaceVerifier, first: Pictures, second: Pictures) -> NDArray[np.bool_]:
    """Ask a verifier about pairs of pictures, each `(n, 112, 112, 3)`; gives `(n,)` bool."""
    return decide(verifier.embed(first), verifier.embed(second), verifier.description.threshold)


class BatchedVerifier:
    """A verifier whose model answers batches; all around the model is the same for every format, here and far away."""

    def __init__(self, description: VictimDescription, ask: Ask) -> None:
        """Wrap whatever runs the model."""
        self._description = description
        self._ask = ask

    @property
    def description(self) -> VictimDescription:
        """Name, threshold and all that was declared."""
        return self._description

    def embed(self, images: Pictures) -> Embeddings:
        """Embed uint8 RGB pictures `(n, 112, 112, 3)` as float32 `(n, dim)` of length 1.

        Raises:
            PlatformError: VICTIM_INPUT_INVALID or VICTIM_OUTPUT_INVALID.
        """
        check_pictures(self.description.name, images)
        result = np.empty((len(images), self.description.dim), dtype=np.float32)
        answers = self._ask(self._batches(images))
        for start in range(0, len(images), BATCH):
            batch = result[start : start + BATCH]
            batch[:] = self._checked(next(answers), len(batch))
            if self.description.mirror:
                batch += self._checked(next(answers), len(batch))
                batch /= np.linalg.norm(batch, axis=1, keepdims=True)
        return result

    def _batches(self, images: Pictures) -> Iterator[NDArray[np.float32]]:
        """Prepare batch after batch when it is wanted, each followed by its mirror images where they are declared."""
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            yield prepare(batch, self.description.input)
            if self.description.mirror:
                yield prepare(batch[:, :, ::-1], self.description.input)

    def _checked(self, raw: NDArray[np.float32], count: int) -> Embeddings:
        """Bring the rows of an answer to length 1; a model that answers nonsense must not score as a refusal."""
        if raw.shape != (count, self.description.dim) or raw.dtype != np.float32:
            raise self._nonsense(f"{raw.dtype} {raw.shape}, not float32 {(count, self.description.dim)}")
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 1e-12).all()):
            raise self._nonsense("embeddings that are not finite or have no length")
        return cast(Embeddings, raw / lengths)

    def _nonsense(self, what: str) -> PlatformError:
        return PlatformError(
            "VICTIM_OUTPUT_INVALID",
            f"The model {self.description.name} answered {what}.",
            "Check the victim with `aisc victims calibrate`; the run can be repeated afterwards.",
        )


class LocalVerifier(BatchedVerifier):
    """A verifier in this process."""

    def __init__(self, description: VictimDescription, forward: Forward) -> None:
        """Wrap the forward pass of a loaded model."""
        super().__init__(description, lambda batches: (np.asarray(forward(batch)) for batch in batches))


def check_pictures(victim: str, images: Pictures) -> None:
    """Refuse what is not uint8 RGB `(n, 112, 112, 3)`: a model might answer it all the same.

    Raises:
        PlatformError: VICTIM_INPUT_INVALID.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        raise PlatformError(
            "VICTIM_INPUT_INVALID",
            f"{victim} was given pictures of {images.dtype} {images.shape}, not uint8 (n, {SIDE}, {SIDE}, 3).",
        )


def prepare(images: Pictures, declared: InputDescription) -> NDArray[np.float32]:
    """Bring uint8 RGB pictures into the declared form: order of colours, mean and scale, layout."""
    batch = images[..., ::-1] if declared.colours == "bgr" else images
    values = batch.astype(np.float32)
    # Without this, a model that wants plain grey levels would pay two passes over memory for nothing.
    if declared.mean != (0.0, 0.0, 0.0) or declared.scale != (1.0, 1.0, 1.0):
        values = (values - np.array(declared.mean, np.float32)) * np.array(declared.scale, np.float32)
    if declared.layout == "nchw":
        values = values.transpose(0, 3, 1, 2)
    return values


def open_verifier(folder: Path) -> LocalVerifier:
    """Load a victim package and run its model in this process.

    Raises:
        UsageError: as `load_package` does, or VICTIM_WEIGHTS_INVALID when the file is no such model.
    """
    return make_verifier(load_package(folder))


def make_verifier(package: VictimPackage) -> LocalVerifier:
    """Run the model of a checked package in this process."""
    if package.description.format == "onnx":
        return LocalVerifier(package.description, onnx_forward(package.weights, package.folder))
    # Not at the top: a step that only asks ONNX victims must not pay for torch.
    models = import_module("aisc.victims.torch_models")
    return LocalVerifier(package.description, models.package_forward(package))


def onnx_forward(model: bytes, origin: Path) -> Forward:
    """Make a forward pass from the bytes of an ONNX model with one input and, first, the embedding as output.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID.
    """
    import onnxruntime  # as above: only ONNX victims pay for it

    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own types, all of them straight from Exception
        raise invalid_weights(origin, "ONNX", error) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        raise invalid_weights(origin, "ONNX", ValueError(f"it has {len(inputs)} inputs instead of one"))

    def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        (result,) = session.run([outputs[0].name], {inputs[0].name: np.ascontiguousarray(batch)})
        return cast(NDArray[np.float32], result)

    return forward


def invalid_weights(origin: Path, kind: str, error: Exception) -> UsageError:
    """Say that a file is not the model that it was declared to be."""
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return UsageError(
        "VICTIM_WEIGHTS_INVALID",
        f"{origin}: the weights cannot be loaded as {kind} ({reason}).",
        "Give the file in the format that the package declares.",
    )
