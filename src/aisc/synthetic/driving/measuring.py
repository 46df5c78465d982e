"""How good a detector is: over an album of frames, and over the clean scenes of a competition."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisc.datasets.scene_packs import ScenePack
from aisc.synthetic.driving.album import Album
from aisc.synthetic.driving.losses import Truth
from aisc.synthetic.driving.training import frame_truths
from aisc.victims.detector_networks import CLASSES as CLASS_COUNT
from aisc.victims.detector_networks import Design
from aisc.victims.detector_package import CLASSES, DetectorDescription
from aisc.victims.detectors import BATCH, Detections, Detector, LocalDetector
from aisc.victims.nms import pairwise_iou

_MATCH: Final = 0.4
_FAR_BELOW: Final = 0.1
_VEHICLES: Final = frozenset({0, 1, 2})


class AlbumFigures(NamedTuple):
    """Figures over an album; cars, trucks and buses may be mistaken for each other, for scoring counts them alike.

    Attributes:
        recall: Share of the objects that count which are found.
        precision: Share of detections that are right.
        false_alarms: Wrong detections a frame.
    """

    recall: float
    precision: float
    false_alarms: float


def measure_album(detector: Detector, album: Album) -> AlbumFigures:
    """Compare detections with the truth: a detection is right when it overlaps an object by 0.4 or more."""
    hits, right, made, objects = 0, 0, 0, 0
    truths = frame_truths(album)
    for start in range(0, len(album.frames), BATCH):
        frames = np.asarray(album.frames[start : start + BATCH])
        for seen, truth in zip(detector.detect(frames), truths[start : start + BATCH], strict=True):
            found, good, counted = _matches(seen, truth)
            hits, right, made, objects = hits + found, right + good, made + counted, objects + int(truth.counts.sum())
    return AlbumFigures(hits / max(objects, 1), right / max(made, 1), (made - right) / len(album.frames))


def _matches(seen: Detections, truth: Truth) -> tuple[int, int, int]:
    """Give the number of objects found, of detections that are right, and of detections that can be judged."""
    if not len(seen.scores) or not len(truth.boxes):
        return 0, 0, len(seen.scores)
    overlap = pairwise_iou(torch.from_numpy(seen.boxes), truth.boxes).numpy()
    kinds = np.array([label in _VEHICLES for label in truth.labels.tolist()])
    own = np.array([label in _VEHICLES for label in seen.labels.tolist()])
    match = (overlap >= _MATCH) & (own[:, None] == kinds[None])
    counts = truth.counts.numpy()
    good = match[:, counts].any(axis=1)
    # What lies on something too small or too hidden to be taught is neither right nor wrong.
    unjudged = ~good & ((overlap[:, ~counts] > _FAR_BELOW).any(axis=1))
    return int(match[:, counts].any(axis=0).sum()), int(good.sum()), int((~unjudged).sum())


def best_shift(description: DetectorDescription, network: nn.Module, album: Album) -> float:
    """Find what to add to the logits of confidence so that the threshold of 0.5 gives the best F-measure.

    Recall and precision weigh alike: a target that is missed when clean would be a gift to every patch, and a false
    alarm anywhere in a frame, which counts as a sighting, would rob a patch that works.
    """
    low = description.model_copy(update={"confidence": _FAR_BELOW})
    detector = LocalDetector(low, network)
    truths = frame_truths(album)
    pairs: list[tuple[Detections, Truth]] = []
    for start in range(0, len(album.frames), BATCH):
        frames = np.asarray(album.frames[start : start + BATCH])
        pairs += zip(detector.detect(frames), truths[start : start + BATCH], strict=True)
    objects = sum(int(truth.counts.sum()) for truth in truths)
    best = (0.0, 0.5)
    for threshold in np.arange(0.14, 0.8, 0.01):
        hits, right, made = (sum(column) for column in zip(*(_above(*pair, threshold) for pair in pairs), strict=True))
        recall, precision = hits / max(objects, 1), right / max(made, 1)
        measure = 2 * recall * precision / max(precision + recall, 1e-9)
        best = max(best, (measure, float(threshold)))
    return float(-np.log(best[1] / (1 - best[1])))


def _above(seen: Detections, truth: Truth, threshold: float) -> tuple[int, int, int]:
    sure = seen.scores >= threshold
    return _matches(Detections(seen.boxes[sure], seen.labels[sure], seen.scores[sure]), truth)


def shift_confidence(network: nn.Module, design: Design, shift: float) -> None:
    """Add to the biases that confidence comes from; exact for peaks, close for the products of the other heads."""
    parameters = dict(network.named_parameters())
    if design == "anchors":
        for scale in range(3):
            parameters[f"heads.{scale}.bias"].view(3, -1)[:, 4] += shift
    elif design == "distances":
        parameters["head.bias"][:CLASS_COUNT] += shift
        parameters["head.bias"][CLASS_COUNT + 4] += shift
    else:
        parameters["head.1.bias"][:CLASS_COUNT] += shift


class SceneFigures(NamedTuple):
    """What a detector does on one clean scene.

    Attributes:
        scene: Name of the scene.
        recall: Share of frames with a counted detection that overlaps the target's face.
        counted: Share of frames with any counted detection, as scoring reads it.
        strangers: Counted detections a frame that do not overlap the face.
    """

    scene: str
    recall: float
    counted: float
    strangers: float


def measure_scene(detector: Detector, pack: ScenePack, every: int = 1) -> SceneFigures:
    """Ask a detector about every ``every``-th frame of a clean scene."""
    wanted = {CLASSES.index(name) for name in pack.description.classes}
    hits, counted, strangers, total = 0, 0, 0, 0
    for numbers, frames in _batches(pack, every):
        for number, seen in zip(numbers, detector.detect(frames), strict=True):
            boxes = seen.boxes[[label in wanted for label in seen.labels.tolist()]]
            corners = pack.poses[number].corners
            on = (boxes[:, :2] < corners.max(axis=0)).all(axis=1) & (boxes[:, 2:] > corners.min(axis=0)).all(axis=1)
            hits, counted = hits + bool(on.any()), counted + bool(len(boxes))
            strangers, total = strangers + int((~on).sum()), total + 1
    return SceneFigures(pack.name, hits / total, counted / total, strangers / total)


def _batches(pack: ScenePack, every: int) -> list[tuple[list[int], NDArray[np.uint8]]]:
    numbers = list(range(0, len(pack), every))
    groups = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    return [(group, np.stack([next(pack.frames(number)) for number in group])) for group in groups]


def recall_table(detectors: Sequence[Detector], packs: Sequence[ScenePack], every: int = 1) -> list[list[SceneFigures]]:
    """Measure every detector on every clean scene; a row a detector."""
    return [[measure_scene(detector, pack, every) for pack in packs] for detector in detectors]
