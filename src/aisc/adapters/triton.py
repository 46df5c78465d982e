"""Victims on a Triton server, behind the contracts of those in this process.

Only the pass through the network happens there; preparation, mirror images, lengths, decoding, suppression of overlaps
and thresholds are the very code that runs around a model of this process.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aisc.adapters.triton_endpoint import Endpoint
from aisc.adapters.triton_link import Patience, TritonLink
from aisc.adapters.triton_model import TritonModel
from aisc.victims.classifier import LocalClassifier
from aisc.victims.classifier_package import ClassifierDescription, read_classifier_description
from aisc.victims.package import VictimDescription, read_description
from aisc.victims.packages import PackageDescription
from aisc.victims.verifier import BATCH, BatchedVerifier

if TYPE_CHECKING:
    from aisc.adapters.triton_detector import TritonDetector


class TritonVerifier(BatchedVerifier):
    """A face verifier on a server."""

    def __init__(self, description: VictimDescription, model: TritonModel) -> None:
        """Wrap a served model."""
        self._model = model
        super().__init__(description, self._answers)

    def _answers(self, batches: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        return (answer for answer, *_ in self._model.ask(batches))


class TritonClassifier(LocalClassifier):
    """A face classifier on a server."""

    def __init__(self, description: ClassifierDescription, model: TritonModel) -> None:
        """Wrap a served model."""
        self._model = model
        super().__init__(description, self._answer)

    def _answer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        ((logits, *_),) = self._model.ask([batch])
        return np.asarray(logits, np.float32)


class TritonVictims:
    """The victims of one server; each is checked against its package's digest when it is opened."""

    def __init__(self, endpoint: Endpoint, patience: Patience | None = None) -> None:
        """Make a line to the server; nothing is sent yet."""
        self._link = TritonLink(endpoint, patience or Patience())

    def open_verifier(self, folder: Path, name: str | None = None) -> TritonVerifier:
        """Give the served face verifier of a package.

        Args:
            folder: The package; its weights are not read.
            name: What the server calls it, if not by the package's own name.

        Raises:
            UsageError: as the package's reader does.
            PlatformError: VICTIM_DIFFERS; VICTIM_NOT_SERVED; VICTIM_OUTPUT_INVALID; VICTIMS_FAILED.
            TransientError: VICTIMS_UNAVAILABLE.
        """
        description = read_description(folder)
        return TritonVerifier(description, self._model(description, name, BATCH))

    def open_classifier(self, folder: Path, name: str | None = None) -> TritonClassifier:
        """Give the served classifier of a package; arguments and errors as for a verifier."""
        description = read_classifier_description(folder)
        return TritonClassifier(description, self._model(description, name, BATCH))

    def open_detector(self, folder: Path, name: str | None = None) -> "TritonDetector":
        """Give the served detector of a package; arguments and errors as for a verifier."""
        # Not at the top: they bring torch, which the others do without.
        from aisc.adapters.triton_detector import TritonDetector
        from aisc.victims.detector_package import read_detector_description
        from aisc.victims.detectors import BATCH as FRAMES

        description = read_detector_description(folder)
        return TritonDetector(description, self._model(description, name, FRAMES))

    def close(self) -> None:
        """Hang up."""
        self._link.client.close()

    def _model(self, description: PackageDescription, name: str | None, batch: int) -> TritonModel:
        return TritonModel(self._link, name or description.name, description.digest, batch)
