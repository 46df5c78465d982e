"""Victims on a Triton server, behind the contracts of those in this process.

Only the pass through the network happens there; preparation, mirror images, lengths, decoding, suppression of overlaps
and thresholds are the very code that runs around a model of this process.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aisc.adapters.triton_link import Endpoint, Patience, TritonLink
from aisc.adapters.triton_model import TritonModel
from aisc.victims.package import VictimDescription, read_description
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
            PlatformError: VICTIM_DIFFERS; VICTIM_OUTPUT_INVALID; VICTIMS_FAILED.
            TransientError: VICTIMS_UNAVAILABLE.
        """
        description = read_description(folder)
        model = TritonModel(self._link, name or description.name, description.digest, BATCH)
        return TritonVerifier(description, model)

    def open_detector(self, folder: Path, name: str | None = None) -> "TritonDetector":
        """Give the served detector of a package; arguments and errors as for a verifier."""
        from aisc.adapters.triton_detector import open_detector  # brings torch, which verifiers do without

        return open_detector(self._link, folder, name)

    def close(self) -> None:
        """Hang up."""
        self._link.client.close()
