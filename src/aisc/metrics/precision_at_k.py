"""The score of source identification: how many of the recalled pictures share the probe's generator (equation 1)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PrecisionAtK(NamedTuple):
    """The score and what it is made of.

    Attributes:
        score: Mean over probes and recalled pictures, in [0, 1].
        per_probe: ``(n,)`` float64, the share of each probe's recalled pictures that share its label.
        hits: Recalled pictures with the right label.
        trials: All recalled pictures: n times k.
    """

    score: float
    per_probe: NDArray[np.float64]
    hits: int
    trials: int


def precision_at_k(recalled: NDArray[np.integer], labels: NDArray[np.integer]) -> PrecisionAtK:
    """Compute (1/kN) Σ_i Σ_j I(label of j-th recalled = label of probe i) (AISC 2022 report, equation 1; k = 5).

    Args:
        recalled: ``(n, k)`` whole numbers: the labels of the gallery pictures that were recalled for each probe.
        labels: ``(n,)`` whole numbers: the labels of the probes.

    Returns:
        The score and its parts. ``score`` is the quotient of two whole numbers, so it does not depend on the order of
        summation; the order of the recalled pictures does not matter.

    Raises:
        ValueError: Shapes or dtypes are not as above, or there is nothing to average.

    Five of the first probe's and two of the second's:

    >>> outcome = precision_at_k(np.array([[1, 1, 1, 1, 1], [0, 2, 1, 2, 0]]), np.array([1, 2]))
    >>> outcome.score, outcome.per_probe
    (0.7, array([1. , 0.4]))
    """
    if not (np.issubdtype(recalled.dtype, np.integer) and np.issubdtype(labels.dtype, np.integer)):
        raise ValueError(f"labels are whole numbers, not {recalled.dtype} and {labels.dtype}")
    if recalled.ndim != 2 or labels.shape != recalled.shape[:1]:
        raise ValueError(f"labels are (n, k) and (n,), not {recalled.shape} and {labels.shape}")
    if not recalled.size:
        raise ValueError("a precision needs at least one probe and one recalled picture")
    right = recalled == labels[:, None]
    hits = int(np.count_nonzero(right))
    return PrecisionAtK(hits / right.size, right.mean(axis=1), hits, right.size)
