"""A detector on a Triton server: raw maps from there, boxes made here by the code of this process's detectors."""

from collections.abc import Iterable, Iterator

import torch

from aisc.adapters.triton_model import TritonModel
from aisc.victims.detector_package import DetectorDescription
from aisc.victims.detectors import BatchedDetector, Frames


class TritonDetector(BatchedDetector):
    """A detector on a server."""

    def __init__(self, description: DetectorDescription, model: TritonModel) -> None:
        """Wrap a served model."""
        self._model = model
        super().__init__(description, self._answers)

    def _answers(self, batches: Iterable[Frames]) -> Iterator[object]:
        return ([torch.from_numpy(one) for one in maps] for maps in self._model.ask(batches))
