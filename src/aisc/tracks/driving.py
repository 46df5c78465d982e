"""Autonomous driving, hide a vehicle from detectors (AISC 2022 report, section 3): the rulebook as code.

Participants paint a patch for the back of a truck, in the final for a mannequin too. A car drives up to it in five
scenes of 240 frames, and detectors look. The preliminary asks a white box and a black box, the judgment another black
box, and the final adds the mannequin; equation 5 scores a patch, equation 6 a final.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from aisc.datasets.scene_packs import TARGETS
from aisc.metrics.bootstrap import combined_interval, mean_interval
from aisc.metrics.frame_suppression import better_patch, final_score, frame_suppression
from aisc.submission.archive import ArchiveLimits
from aisc.submission.canvases import CANVAS_ARCHIVE, CANVAS_SIZE, CanvasesReport, CanvasRules, read_canvases

MEASURE: Final = "frames without a detection + area term"
FINAL_MEASURE: Final = "0.8 truck + 0.2 mannequin"
PRELIMINARY_CANVASES: Final = ("truck.png",)
FINAL_CANVASES: Final = ("truck-1.png", "truck-2.png", "mannequin-1.png", "mannequin-2.png")

Target = Literal["truck", "mannequin"]


class DrivingLimits(BaseModel):
    """What a submission to the driving track must be, and how it is scored.

    Attributes:
        regions: Most connected regions of a canvas's mask; more make the result void.
        connectivity: Whether pixels that touch only at a corner belong to one region: 4 says no, 8 says yes.
        area_weight: Weight of the area term of equation 5; 0 switches it off.
        detections: ``anywhere`` counts every detection of the target's classes in the frame, as the report reads;
            ``target`` only those whose box overlaps the target's face.
        truck_share: Weight of the truck in equation 6.
        shown: The detector whose boxes a team sees in its pictures, for it has that model anyway; none otherwise.
        max_archive_mib: Largest zip that is opened, in MiB (2^20 bytes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: int = Field(default=5, ge=1, le=1000, strict=True)
    connectivity: Literal[4, 8] = 4
    area_weight: float = Field(default=0.2, ge=0, le=1, allow_inf_nan=False)
    detections: Literal["anywhere", "target"] = "anywhere"
    truck_share: float = Field(default=0.8, ge=0, le=1, allow_inf_nan=False)
    shown: str | None = Field(default=None, max_length=63)
    max_archive_mib: int = Field(default=128, ge=1, le=65536, strict=True)


class CodeReview(BaseModel):
    """The experts' word on an entry of the judgment.

    Attributes:
        team: The team's name.
        verdict: ``pass``, or ``fail`` when the code is identical to an open-source resource: disqualified.
        mark: The experts' mark in [0, 1], shown beside the score.
        similarity: Largest share of the code that a known open-source solution holds too, in [0, 1]; a machine's
            measurement that the experts weigh, never a verdict.
        note: One sentence for the team.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    team: str = Field(min_length=1)
    verdict: Literal["pass", "fail"]
    mark: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    similarity: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    note: str = Field(default="", max_length=500)


class DrivingScore(NamedTuple):
    """A score and what explains it.

    Attributes:
        value: Equation 5, in [0, 1.2]; in the final equation 6.
        low: Lower end of the 95 % bootstrap interval over scenes, the area term included.
        high: Upper end.
        parts: Named numbers in the order of a board's columns: suppression, area term, suppression above the clean
            misses, and the suppression of every detector.
        per_cell: Share of suppressed frames, detector by detector, scene by scene.
    """

    value: float
    low: float
    high: float
    parts: dict[str, float | int]
    per_cell: dict[str, dict[str, float]]


def canvases_of(stage: str) -> tuple[str, ...]:
    """Name the canvases that a stage asks for.

    >>> canvases_of("preliminary")
    ('truck.png',)
    """
    return FINAL_CANVASES if stage == "final" else PRELIMINARY_CANVASES


def target_of(canvas: str) -> Target:
    """Tell what a canvas is stuck on.

    >>> target_of("mannequin-2.png")
    'mannequin'
    """
    return "mannequin" if canvas.startswith("mannequin") else "truck"


def check_canvases(archive: Path, stage: str, limits: DrivingLimits) -> CanvasesReport:
    """Check a submission against the limits, as the pipeline and ``aisc check`` both do."""
    most = limits.max_archive_mib << 20
    return read_canvases(
        archive, canvases_of(stage), CanvasRules(limits.regions, limits.connectivity),
        ArchiveLimits(most, CANVAS_ARCHIVE.entries, CANVAS_ARCHIVE.entry_bytes, most, CANVAS_ARCHIVE.ratio),
    )  # fmt: skip


def count_detections(
    boxes: NDArray[np.float32], labels: Sequence[str], target: Target, limits: DrivingLimits,
    corners: NDArray[np.float64],
) -> int:  # fmt: skip
    """Count the detections of one frame that show the target, of boxes that passed threshold and suppression.

    Args:
        boxes: ``(k, 4)`` left, top, right, bottom in frame pixels.
        labels: The track's class of each box.
        target: What the patch is stuck on.
        limits: Says which detections count.
        corners: ``(4, 2)``: where the target's face is.

    >>> boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    >>> face = np.array([[2.0, 2], [8, 2], [8, 8], [2, 8]])
    >>> count_detections(boxes, ["truck", "car"], "truck", DrivingLimits(), face)
    2
    >>> count_detections(boxes, ["truck", "car"], "truck", DrivingLimits(detections="target"), face)
    1
    >>> count_detections(boxes, ["truck", "car"], "mannequin", DrivingLimits(), face)
    0
    """
    counted = np.array([label in TARGETS[target] for label in labels], bool)
    if limits.detections == "target":
        low, high = corners.min(axis=0), corners.max(axis=0)
        overlap = (boxes[:, :2] < high).all(axis=1) & (boxes[:, 2:] > low).all(axis=1)
        counted = counted & overlap
    return int(np.count_nonzero(counted))


def score_patch(
    counts: NDArray[np.integer],
    clean: NDArray[np.integer],
    covered: int,
    detectors: Sequence[str],
    scenes: Sequence[str],
    limits: DrivingLimits,
    seed: int,
) -> DrivingScore:
    """Score a patch by equation 5.

    Args:
        counts: Counted detections with the patch, whole numbers (detectors, scenes, frames); -1 for a missing frame.
        clean: Counted detections on the clean scenes, the same shape.
        covered: Canvas pixels that the mask covers.
        detectors: Names of the detectors, in the order of the first axis.
        scenes: Names of the scenes, in the order of the second.
        limits: The stage's limits.
        seed: Of the bootstrap.

    >>> seen = np.ones((2, 5, 240), int)
    >>> score_patch(seen, seen, 0, ["white", "black"], list("abcde"), DrivingLimits(), 0).value
    0.2
    """
    outcome = frame_suppression(counts, clean, covered, CANVAS_SIZE, limits.area_weight)
    interval = mean_interval(outcome.per_cell.mean(axis=0), seed=seed)
    parts: dict[str, float | int] = {
        "suppression": outcome.suppression,
        "area term": outcome.area_term,
        "above clean": outcome.above_clean,
        **{name: float(rate) for name, rate in zip(detectors, outcome.per_cell.mean(axis=1), strict=True)},
    }
    cells = {
        name: dict(zip(scenes, (float(value) for value in row), strict=True))
        for name, row in zip(detectors, outcome.per_cell, strict=True)
    }
    return DrivingScore(
        outcome.score, interval.low + outcome.area_term, interval.high + outcome.area_term, parts, cells
    )


def score_final(patches: Mapping[str, DrivingScore], limits: DrivingLimits, seed: int) -> DrivingScore:
    """Score a final by equation 6; of a team's patches for one object the better counts.

    Args:
        patches: Equation 5 of each canvas, by name.
        limits: The stage's limits.
        seed: Of the bootstrap, which draws truck scenes and mannequin scenes apart.
    """
    values = {name: patch.value for name, patch in patches.items()}
    truck, mannequin = (
        better_patch({name: value for name, value in values.items() if target_of(name) == kind})
        for kind in ("truck", "mannequin")
    )
    share = limits.truck_share
    fixed = share * patches[truck].parts["area term"] + (1 - share) * patches[mannequin].parts["area term"]
    interval = combined_interval(
        [(share, _scenes(patches[truck])), (1 - share, _scenes(patches[mannequin]))], seed=seed
    )
    parts: dict[str, float | int] = {"truck": values[truck], "mannequin": values[mannequin]}
    for kind, name in (("truck", truck), ("mannequin", mannequin)):
        parts |= {f"{kind} {part}": patches[name].parts[part] for part in ("suppression", "area term")}
        parts[f"{kind} patch"] = int(name.removesuffix(".png").rpartition("-")[2])
    cells = {f"{name} {cell}": row for name in (truck, mannequin) for cell, row in patches[name].per_cell.items()}
    total = final_score(values[truck], values[mannequin], share)
    return DrivingScore(total, interval.low + fixed, interval.high + fixed, parts, cells)


def _scenes(patch: DrivingScore) -> NDArray[np.float64]:
    """Give a patch's suppression scene by scene, the mean over detectors, ``(scenes,)``."""
    return np.asarray(np.mean([list(row.values()) for row in patch.per_cell.values()], axis=0))
