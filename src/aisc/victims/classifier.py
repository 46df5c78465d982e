"""Face classifiers: pictures in, logits out, and what they say: who it is, or which attributes are seen.

In-process implementations of one contract: torch for built-in networks and TorchScript, onnxruntime for ONNX. torch is
imported only when it is asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError
from aisc.victims.classifier_package import ClassifierDescription, ClassifierPackage, Task, load_classifier_package
from aisc.victims.verifier import BATCH, Forward, Pictures, check_pictures, onnx_forward, prepare

Logits = NDArray[np.float32]


class FaceClassifier(Protocol):
    """What an evaluation needs of a classifier, wherever it runs."""

    @property
    def description(self) -> ClassifierDescription:
        """Name, task and all that was declared."""
        ...

    def logits(self, images: Pictures) -> Logits:
        """Give float32 `(n, outputs)` for uint8 RGB pictures `(n, 112, 112, 3)`."""
        ...


def answers(task: Task, logits: Logits) -> NDArray[np.int64]:
    """Give what logits say, as defences are asked to write it.

    Returns:
        `(n, 1)`: the number of the likeliest person, of equal ones the lowest; or `(n, attributes)`: 1 where a logit is
        above 0, else 0.

    >>> answers("reid", np.array([[0.1, 2.0, 0.3]], np.float32)).tolist()
    [[1]]
    >>> answers("attributes", np.array([[0.1, -2.0, 0.0]], np.float32)).tolist()
    [[1, 0, 0]]
    """
    if task == "reid":
        return np.asarray(logits.argmax(axis=1, keepdims=True), np.int64)
    return np.asarray(logits > 0, np.int64)


class LocalClassifier:
    """A classifier in this process; batches and checks are the same for every format."""

    def __init__(self, description: ClassifierDescription, forward: Forward) -> None:
        """Wrap the forward pass of a loaded model."""
        self._description = description
        self._forward = forward

    @property
    def description(self) -> ClassifierDescription:
        """Name, task and all that was declared."""
        return self._description

    def logits(self, images: Pictures) -> Logits:
        """Give float32 `(n, outputs)` for uint8 RGB pictures `(n, 112, 112, 3)`.

        Raises:
            PlatformError: VICTIM_INPUT_INVALID or VICTIM_OUTPUT_INVALID.
        """
        check_pictures(self.description.name, images)
        found = np.empty((len(images), self.description.outputs), np.float32)
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            found[start : start + BATCH] = self._checked(self._forward(prepare(batch, self.description.input)), batch)
        return found

    def _checked(self, logits: Logits, batch: Pictures) -> Logits:
        if logits.shape != (len(batch), self.description.outputs) or not np.isfinite(logits).all():
            raise PlatformError(
                "VICTIM_OUTPUT_INVALID",
                f"{self.description.name} answered {logits.shape} to {len(batch)} pictures, or a number that is none; "
                f"{self.description.outputs} finite logits belong to each.",
                "Check the classifier's package; the run can be repeated afterwards.",
            )
        return logits


def open_classifier(folder: Path) -> LocalClassifier:
    """Load a package and run its model in this process.

    Raises:
        UsageError: as `load_classifier_package` does, or VICTIM_WEIGHTS_INVALID when the file is no such model.
    """
    return make_classifier(load_classifier_package(folder))


def make_classifier(package: ClassifierPackage) -> LocalClassifier:
    """Run the model of a checked package in this process."""
    if package.description.format == "onnx":
        return LocalClassifier(package.description, onnx_forward(package.weights, package.folder))
    models = import_module("aisc.victims.classifier_models")
    return LocalClassifier(package.description, models.package_forward(package))
