"""From clean scores to a threshold: two pictures show the same person when their similarity is at least it.

Definitions, with `m` impostor scores: the false accept rate of a threshold is the share of impostor scores at or above
it. The threshold at a rate f is the smallest double above the score of rank floor(f·m) + 1 from the top; at most
floor(f·m) impostors are then accepted, and any lower threshold that accepts another score accepts too many.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aisc.errors import UsageError

F64 = NDArray[np.float64]


class ThresholdFigures(NamedTuple):
    """A threshold and what it does on the scores it came from."""

    threshold: float
    false_accept_rate: float
    true_accept_rate: float
    best_accuracy: float


def threshold_at_rate(impostor: ArrayLike, false_accept_rate: float) -> float:
    """Give the lowest threshold that accepts at most `floor(false_accept_rate * m)` of `m` impostor scores.

    >>> threshold_at_rate([0.1, 0.2, 0.3, 0.4], 0.25) > 0.3
    True
    >>> threshold_at_rate([0.1, 0.2, 0.3, 0.4], 0.25) < 0.3000001
    True

    Raises:
        UsageError: THRESHOLD_RATE_INVALID, THRESHOLD_PAIRS_TOO_FEW (the rate is finer than one pair) or
            THRESHOLD_SCORES_INVALID.
    """
    scores = _sorted(impostor, "impostor")
    if not 0 < false_accept_rate < 1:
        raise UsageError(
            "THRESHOLD_RATE_INVALID",
            f"a false accept rate of {false_accept_rate} is not between 0 and 1.",
            "Use 0.001.",
        )
    # The small term keeps 0.001 * 3000 from falling below 3 by a rounding of the product.
    allowed = int(np.floor(false_accept_rate * len(scores) + 1e-9))
    if allowed < 1:
        raise UsageError(
            "THRESHOLD_PAIRS_TOO_FEW",
            f"{len(scores)} impostor pairs cannot show a false accept rate of {false_accept_rate}.",
            f"Give at least {int(np.ceil(1 / false_accept_rate))} pairs, or ask for a higher rate.",
        )
    return float(np.nextafter(scores[len(scores) - 1 - allowed], np.inf))


def threshold_at_best_accuracy(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Give the threshold with the best balanced accuracy; of equally good ones the highest (fewest false accepts).

    Candidates are the genuine scores: between two of them a lower threshold only accepts more impostors.
    """
    same, other = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    right = _weighted_right(same, same, other)
    best = np.flatnonzero(right == right.max())[-1]
    return float(same[best])


def measure(genuine: ArrayLike, impostor: ArrayLike, threshold: float) -> ThresholdFigures:
    """Give what a threshold does on these scores, and the best balanced accuracy that any threshold reaches.

    Balanced accuracy is the mean of the share of genuine pairs accepted and the share of impostor pairs refused, as
    with equally many of both.
    """
    same, other = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    return ThresholdFigures(
        threshold,
        float(np.mean(other >= threshold)),
        float(np.mean(same >= threshold)),
        float(_weighted_right(same, same, other).max()) / (2 * len(same) * len(other)),
    )


def _weighted_right(thresholds: F64, same: F64, other: F64) -> NDArray[np.int64]:
    """Give the balanced accuracy at each threshold from sorted scores, times `2 * len(same) * len(other)`.

    Whole numbers, so that equally good thresholds are equal.
    """
    accepted = len(same) - np.searchsorted(same, thresholds, side="left")
    refused = np.searchsorted(other, thresholds, side="left")
    return np.asarray(accepted * len(other) + refused * len(same), dtype=np.int64)


def _sorted(scores: ArrayLike, kind: str) -> F64:
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if len(values) == 0 or not np.isfinite(values).all():
        raise UsageError(
            "THRESHOLD_SCORES_INVALID",
            f"the {kind} scores are empty or not finite.",
            "Check the pairs that were given, and what the model answers to them.",
        )
    return values
