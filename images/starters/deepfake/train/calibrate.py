"""Scale of the fused novelty: each known class plays the new generator in turn.

The three measures count the same. Weights fitted on the training set trust the one that separates pictures which the
network has learned by heart, and did worse on others.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))
from novelty import Fusion, measure

GALLERY = 400
PROBES = 300


def calibrate(features: NDArray[np.float32], classes: NDArray[np.int64], seed: int) -> Fusion:
    """Fit the fused measure by logistic regression on the mean of the single ones.

    Args:
        features: Of the training set, unit vectors `(n, d)`.
        classes: `(n,)`; pictures below 0 are left out.
        seed: Fixes which pictures play gallery and probes.
    """
    chance = np.random.default_rng(seed)
    count = int(classes.max()) + 1
    clusters = GALLERY // 5
    means, news = [], []
    for new in range(count):
        old = chance.permutation(np.flatnonzero((classes >= 0) & (classes != new)))
        size = min(GALLERY, len(old) // 2)
        gallery, rest = old[:size], old[size : size + PROBES]
        strange = chance.permutation(np.flatnonzero(classes == new))[: PROBES // 2]
        measures = measure(features[np.concatenate([rest, strange])], features[gallery], clusters)
        means.append(np.mean(measures, axis=0))
        news.append(np.repeat([0.0, 1.0], [len(rest), len(strange)]))
    slope, bias = _fit(np.concatenate(means), np.concatenate(news))
    return Fusion(np.full(3, slope / 3), bias, clusters)


def _fit(means: NDArray[np.float64], news: NDArray[np.float64]) -> tuple[float, float]:
    """Give slope, not below 0, and bias of the logistic function."""
    # The two sides weigh the same, however many pictures each has.
    share = np.where(news > 0, 0.5 / news.sum(), 0.5 / (1 - news).sum())

    def loss(point: NDArray[np.float64]) -> float:
        margin = (2 * news - 1) * (means * point[0] + point[1])
        return float((share * np.logaddexp(0, -margin)).sum())

    best = minimize(loss, np.array([0.3, 0.0]), bounds=[(1e-3, None), (None, None)])
    return float(best.x[0]), float(best.x[1])
