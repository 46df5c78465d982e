"""How well pictures of new generators are told from those of known ones, and the total of a final that counts it."""

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError


def novelty_auc(novelty: NDArray[np.float64], new: NDArray[np.bool_]) -> float:
    """Compute the area under the receiver operating characteristic, as the Mann-Whitney statistic.

    It is the share of pairs of a new and a known picture of which the new one has the larger number; equal numbers
    count one half (Mann and Whitney 1947; Hanley and McNeil 1982).

    Args:
        novelty: ``(n,)`` finite: the probability that a picture was made by a new generator; only the order matters.
        new: ``(n,)`` bool: whether it was.

    Returns:
        In [0, 1], 0.5 for numbers that say nothing. A quotient of two whole numbers.

    Raises:
        ValueError: Shapes or dtypes are not as above, or a number is not finite.
        UsageError: AUC_UNDEFINED: all pictures are new, or none: the dataset is at fault, not the numbers.

    >>> novelty_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    >>> novelty_auc(np.full(4, 0.5), np.array([False, False, True, True]))
    0.5
    """
    if novelty.ndim != 1 or new.shape != novelty.shape or new.dtype != np.bool_:
        raise ValueError(
            f"numbers and truth are (n,), the truth is bool, not {novelty.shape}, {new.shape}, {new.dtype}"
        )
    if not np.isfinite(novelty).all():
        raise ValueError("numbers are finite")
    positives = int(np.count_nonzero(new))
    negatives = len(new) - positives
    if not positives or not negatives:
        raise UsageError(
            "AUC_UNDEFINED",
            f"Of {len(new)} probes {positives} are new; an AUC compares new ones with known ones.",
            "Put probes of both kinds into the final's hidden set.",
        )
    levels, place = np.unique(novelty, return_inverse=True)
    return auc_of_counts(*(np.bincount(place[kind], minlength=len(levels)) for kind in (~new, new)))


def auc_of_counts(known: NDArray[np.int64], new: NDArray[np.int64]) -> float:
    """Compute the area under the curve from how often each number occurs.

    Args:
        known: ``(levels,)`` int64: how many known pictures have each number, smallest number first; at least one.
        new: ``(levels,)`` int64: how many new pictures have it; at least one.

    >>> auc_of_counts(np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1]))
    0.75
    """
    twice_below = 2 * np.cumsum(known) - known
    return int(new @ twice_below) / (2 * int(known.sum()) * int(new.sum()))


def total_score(
    precision: float, auc: float, mark: float, weights: tuple[float, float, float] = (0.6, 0.3, 0.1)
) -> float:
    """Give the total of a final: 0.6 · P@5 + 0.3 · AUC + 0.1 · S (AISC 2022 report, section 2).

    Args:
        precision: Precision at 5 on probes of known generators, in [0, 1].
        auc: Area under the curve on all probes, in [0, 1].
        mark: The experts' mark S, in [0, 1].
        weights: Of the three.

    The five teams of the report's Table 1. Two of its totals are misprinted: the third, printed 0.8850, and the fifth,
    printed 0.8796, which is cut off instead of rounded. The formula is what counts here.

    >>> table = [(0.9820, 0.9944, 1), (0.9742, 0.9784, 0.9), (0.8927, 0.8822, 0.85), (0.8673, 0.9165, 0.85)]
    >>> [round(total_score(*row), 4) for row in table]
    [0.9875, 0.968, 0.8853, 0.8803]
    >>> round(total_score(0.8708, 0.8906, 0.9), 5)
    0.87966
    """
    return weights[0] * precision + weights[1] * auc + weights[2] * mark
