"""The score of the driving track: in how many frames nothing is seen, how small the patch is (equations 5 and 6)."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

AREA_WEIGHT: Final = 0.2
"""Weight of the area term in equation 5; with all frames suppressed and an empty mask the score would be 1.2."""
TRUCK_SHARE: Final = 0.8
"""Weight of the truck in equation 6."""


class FrameSuppression(NamedTuple):
    """The score of one patch and what it is made of.

    Attributes:
        score: Equation 5: ``suppression`` plus the weighted area term, in [0, 1.2].
        suppression: Mean over detectors and scenes of the share of frames without a counted detection, in [0, 1].
        area_term: ``AREA_WEIGHT`` times the uncovered share of the canvas, in [0, 0.2]; 0 where the term is off.
        per_cell: ``(detectors, scenes)`` float64: share of a scene's frames in which a detector sees nothing.
        above_clean: ``suppression`` minus what the same detectors miss on the clean scenes.
    """

    score: float
    suppression: float
    area_term: float
    per_cell: NDArray[np.float64]
    above_clean: float


def suppressed_shares(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Give the share of frames in which nothing is detected: the mean over f of I(M(x_f) = 0).

    Args:
        counts: ``(..., frames)`` whole numbers: counted detections in each frame; negative where the frame is missing,
            which counts as not suppressed.

    >>> suppressed_shares(np.array([[0, 0, 1, 3], [0, -1, -1, 2]]))
    array([0.5 , 0.25])
    """
    if not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"counts are whole numbers, not {counts.dtype}")
    if not counts.size:
        raise ValueError("a share needs at least one frame")
    return np.asarray((counts == 0).mean(axis=-1))


def area_term(covered: int, canvas: tuple[int, int], weight: float = AREA_WEIGHT) -> float:
    """Give the area term of equation 5: ``weight · (1 - ‖m/255‖₁ / (w · h))``.

    Args:
        covered: Canvas pixels that the mask covers.
        canvas: Height and width of the canvas in pixels.
        weight: 0.2 in the report; 0 switches the term off.

    >>> area_term(0, (1260, 2790)), area_term(1260 * 2790, (1260, 2790)), area_term(1260 * 1395, (1260, 2790))
    (0.2, 0.0, 0.1)
    """
    total = canvas[0] * canvas[1]
    if not 0 <= covered <= total:
        raise ValueError(f"a mask of {total} pixels cannot cover {covered}")
    return weight * (1 - covered / total)


def frame_suppression(
    counts: NDArray[np.integer],
    clean: NDArray[np.integer],
    covered: int,
    canvas: tuple[int, int] = (1260, 2790),
    weight: float = AREA_WEIGHT,
) -> FrameSuppression:
    """Score a patch by equation 5 of the AISC 2022 report.

    Args:
        counts: ``(detectors, scenes, frames)`` whole numbers: counted detections with the patch, as in
            :func:`suppressed_shares`. All scenes have the same number of frames; pad with -1 where one has fewer.
        clean: The same shape: counted detections without a patch.
        covered: Canvas pixels that the mask covers.
        canvas: Height and width of the canvas in pixels.
        weight: Weight of the area term.

    The most that can be reached, in the limit of a patch that covers nothing and hides everything, is 1.2; a blank mask
    that hides nothing scores 0.2:

    >>> hidden, seen = np.zeros((2, 5, 240), int), np.ones((2, 5, 240), int)
    >>> frame_suppression(hidden, seen, 0).score
    1.2
    >>> frame_suppression(seen, seen, 0).score
    0.2

    Half of the frames, half of the canvas:

    >>> half = seen.copy(); half[..., :120] = 0
    >>> outcome = frame_suppression(half, seen, 1260 * 2790 // 2)
    >>> outcome.suppression, outcome.area_term, round(outcome.score, 12)
    (0.5, 0.1, 0.6)

    Two detectors, five scenes and 240 frames make 2400 trials; a published score fixes that denominator:

    >>> shown = np.ones(2400, int); shown[:1660] = 0
    >>> round(frame_suppression(shown.reshape(2, 5, 240), seen, 0, weight=0).score, 6)
    0.691667
    """
    if counts.ndim != 3 or counts.shape != clean.shape:
        raise ValueError(f"counts are (detectors, scenes, frames) twice, not {counts.shape} and {clean.shape}")
    per_cell = suppressed_shares(counts)
    # A quotient of whole numbers, so that the score does not depend on the order of summation.
    suppression = int(np.count_nonzero(counts == 0)) / counts.size
    missed = int(np.count_nonzero(clean == 0)) / clean.size
    term = area_term(covered, canvas, weight)
    return FrameSuppression(suppression + term, suppression, term, per_cell, suppression - missed)


def final_score(truck: float, mannequin: float, truck_share: float = TRUCK_SHARE) -> float:
    """Give equation 6: 0.8 times the truck's score plus 0.2 times the mannequin's.

    The five teams of Table 4 of the report, rounded as printed:

    >>> table = [(0.79, 0.00), (0.67, 0.19), (0.45, 0.20), (0.38, 0.20), (0.39, 0.00)]
    >>> [round(final_score(truck, mannequin), 2) for truck, mannequin in table]
    [0.63, 0.57, 0.4, 0.34, 0.31]
    """
    return truck_share * truck + (1 - truck_share) * mannequin


def better_patch(scores: Mapping[str, float]) -> str:
    """Name the patch that counts of several for one object: the best, of equal ones the first by name.

    >>> better_patch({"truck-2.png": 0.5, "truck-1.png": 0.5, "truck-3.png": 0.1})
    'truck-1.png'
    """
    return min(scores, key=lambda name: (-scores[name], name))
