"""A detector on a Triton server: raw maps from there, boxes made here by the code of this process's detectors."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from aisc.adapters.triton_link import TritonLink
from aisc.adapters.triton_model import TritonModel
from aisc.victims.detector_package import DetectorDescription, read_detector_description
from aisc.victims.detectors import BATCH, BatchedDetector, Frames


class TritonDetector(BatchedDetector):
    """A detector on a server."""

    def __init__(self, description: DetectorDescription, model: TritonModel) -> None:
        """Wrap a served model."""
        self._model = model
        super().__init__(description, self._answers)

    def _answers(self, batches: Iterable[Frames]) -> Iterator[object]:
        return ([torch.from_numpy(one) for one in maps] for maps in self._model.ask(batches))


def open_detector(link: TritonLink, folder: Path, name: str | None) -> TritonDetector:
    """Give the served detector of a package, as ``TritonVictims.open_detector`` promises."""
    description = read_detector_description(folder)
    return TritonDetector(description, TritonModel(link, name or description.name, description.digest, BATCH))
