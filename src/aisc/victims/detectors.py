"""Detectors as victims: frames in; boxes, classes and confidences out.

Whatever its design and its own classes, every detector answers in the classes of the driving track, in frame pixels,
after the same suppression of overlaps.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.errors import PlatformError
from aisc.victims.detector_heads import (
    Candidates,
    best_candidates,
    decode_anchors,
    decode_distances,
    decode_peaks,
)
from aisc.victims.detector_package import (
    CLASSES,
    DetectorDescription,
    DetectorPackage,
    HeadDescription,
    fill_detector,
    load_detector_package,
)
from aisc.victims.nms import class_wise_nms
from aisc.victims.torch_models import load_script

BATCH: Final = 8
"""Frames detected at once: results do not depend on how the caller groups them."""

Frames = NDArray[np.uint8]


class Detections(NamedTuple):
    """What a detector sees in one frame, surest first.

    Attributes:
        boxes: ``(k, 4)`` float32: left, top, right, bottom in frame pixels.
        labels: ``(k,)`` int64: places in :data:`aisc.victims.detector_package.CLASSES`.
        scores: ``(k,)`` float32 confidences in [0, 1].
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


class Detector(Protocol):
    """What an evaluation needs of a detector, wherever it runs."""

    @property
    def description(self) -> DetectorDescription:
        """Name, classes and thresholds."""
        ...

    def detect(self, frames: Frames) -> list[Detections]:
        """Detect in uint8 RGB frames ``(n, h, w, 3)``; one answer a frame, in order."""
        ...


Decoder = Callable[[object], list[Candidates]]
"""What a model gave for a batch of frames in, candidates of each frame out."""


Ask = Callable[[Iterable[Frames]], Iterator[object]]
"""Batches of frames in, what the model gives for each out, in order; it may look a few batches ahead."""


class BatchedDetector:
    """A detector whose model answers batches; all around the model is the same, here and far away."""

    def __init__(self, description: DetectorDescription, ask: Ask) -> None:
        """Wrap whatever runs the model."""
        self._description = description
        self._ask = ask
        self._decode = make_decoder(description.head)
        self._places = torch.tensor([CLASSES.index(name) if name else -1 for name in description.classes])

    @property
    def description(self) -> DetectorDescription:
        """Name, classes and thresholds."""
        return self._description

    def detect(self, frames: Frames) -> list[Detections]:
        """Detect in uint8 RGB frames ``(n, h, w, 3)``.

        Raises:
            PlatformError: DETECTOR_INPUT_INVALID or DETECTOR_OUTPUT_INVALID.
        """
        size = self._description.frame
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (*size, 3):
            raise PlatformError(
                "DETECTOR_INPUT_INVALID",
                f"{self._description.name} was given frames of {frames.dtype} {frames.shape}, not uint8 "
                f"(n, {size[0]}, {size[1]}, 3).",
                "Use scenes of the size that the detector was made for.",
            )
        found: list[Detections] = []
        starts = range(0, len(frames), BATCH)
        answers = self._ask(frames[start : start + BATCH] for start in starts)
        with torch.inference_mode():
            for start in starts:
                candidates = self._decode(next(answers))
                if len(candidates) != min(BATCH, len(frames) - start):
                    raise self._nonsense(f"{len(candidates)} answers to {min(BATCH, len(frames) - start)} frames")
                found += [self._finished(one) for one in candidates]
        return found

    def _finished(self, candidates: Candidates) -> Detections:
        """Map classes, suppress overlaps, apply the threshold."""
        if not (torch.isfinite(candidates.boxes).all() and torch.isfinite(candidates.scores).all()):
            raise self._nonsense("numbers that are not finite")
        if len(candidates.labels) and not 0 <= int(candidates.labels.min()) <= int(candidates.labels.max()) < len(
            self._places
        ):
            raise self._nonsense("a class that its description does not name")
        labels = self._places[candidates.labels]
        chosen = torch.nonzero((labels >= 0) & (candidates.scores >= self._description.confidence))[:, 0]
        boxes, scores, labels = candidates.boxes[chosen], candidates.scores[chosen], labels[chosen]
        kept = class_wise_nms(boxes, scores, labels, self._description.overlap)
        return Detections(boxes[kept].numpy(), labels[kept].numpy(), scores[kept].numpy())

    def _nonsense(self, what: str) -> PlatformError:
        return PlatformError(
            "DETECTOR_OUTPUT_INVALID",
            f"The model {self._description.name} answered {what}.",
            "Check the detector on clean scenes; the run can be repeated afterwards.",
        )


class LocalDetector(BatchedDetector):
    """A detector in this process."""

    def __init__(self, description: DetectorDescription, module: nn.Module) -> None:
        """Wrap a loaded model."""
        self._module = module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(description, self._answers)

    def _answers(self, batches: Iterable[Frames]) -> Iterator[object]:
        for batch in batches:
            with torch.inference_mode():
                # The view keeps the pixels where they are: this already is the layout that convolutions like.
                answer = self._module(torch.from_numpy(np.array(batch)).permute(0, 3, 1, 2).float())
            yield answer  # outside: a generator that rests inside the mode would leave it on for everyone else


def make_decoder(head: HeadDescription) -> Decoder:
    """Choose the decoder of a head; a model that gives something else is found out by its first answer."""

    def raw_maps(answer: object) -> Sequence[Tensor]:
        given = answer if isinstance(answer, list | tuple) else [answer]
        maps = [one for one in given if isinstance(one, Tensor) and one.ndim == 4]
        if not len(maps) == len(given) == len(head.strides):
            raise PlatformError(
                "DETECTOR_OUTPUT_INVALID", f"The model gives {len(given)} outputs, its head has {len(head.strides)}."
            )
        return [one.float() for one in maps]

    def decode(answer: object) -> list[Candidates]:
        if head.kind == "boxes":
            return _ready_boxes(answer)
        maps = raw_maps(answer)
        if head.kind == "anchors":
            boxes, scores = decode_anchors(maps, head.strides, head.anchors)
        elif head.kind == "distances":
            boxes, scores = decode_distances(maps, head.strides)
        else:
            boxes, scores = decode_peaks(maps, head.strides)
        return [best_candidates(one, score) for one, score in zip(boxes, scores, strict=True)]

    return decode


def _ready_boxes(answer: object) -> list[Candidates]:
    """Read a model that gives "boxes, labels, scores" for each frame: dictionaries, or triples of tensors."""
    found = []
    for one in answer if isinstance(answer, list | tuple) else ():
        parts = [one[name] for name in ("boxes", "labels", "scores")] if isinstance(one, dict) else list(one)
        if len(parts) != 3 or not all(isinstance(part, Tensor) for part in parts):
            raise PlatformError("DETECTOR_OUTPUT_INVALID", "The model gives no boxes, labels and scores.")
        boxes, labels, scores = parts
        if boxes.shape != (len(scores), 4) or labels.shape != scores.shape or scores.ndim != 1:
            raise PlatformError("DETECTOR_OUTPUT_INVALID", "The model's boxes, labels and scores do not go together.")
        found.append(Candidates(boxes.float(), labels.long(), scores.float()))
    return found


def open_detector(folder: Path) -> LocalDetector:
    """Load a detector's package and run its model in this process.

    Raises:
        UsageError: as :func:`aisc.victims.detector_package.load_detector_package` does, or VICTIM_WEIGHTS_INVALID.
    """
    return make_detector(load_detector_package(folder))


def make_detector(package: DetectorPackage) -> LocalDetector:
    """Run the model of a checked package in this process.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID.
    """
    description = package.description
    if description.format == "builtin":
        return LocalDetector(description, fill_detector(package))
    return LocalDetector(description, load_script(package.weights, package.folder))
