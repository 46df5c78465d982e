"""How far a probe lies from all that the gallery holds: the single measures, and their fusion.

Each measure looks at one probe and the gallery, never at other probes: an answer does not depend on its neighbours in
the task. Every score grows with novelty.
"""

from typing import NamedTuple

import numpy as np
from features import Features
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""`(n,)`; higher means newer."""

KNN = 10
LOF_NEIGHBOURS = 10
SEED = 20220
STEPS = 50


class Fusion(NamedTuple):
    """How the fused measure weighs the single ones; fitted on the training set (`train/calibrate.py`).

    Attributes:
        weights: Of kNN, cluster and LOF, `(3,)`, above 0.
        bias: Added before the logistic function.
        clusters: Centres of the cluster measure.
    """

    weights: Scores
    bias: float
    clusters: int


class Measures(NamedTuple):
    """The three single measures of the same pictures, `(n,)` each."""

    knn: Scores
    cluster: Scores
    lof: Scores


def measure(probes: Features, gallery: Features, clusters: int) -> Measures:
    """Give the single measures of each probe, in units of the gallery's own spread around its own middle.

    A gallery picture is measured against the rest of the gallery, so 0 is as far out as half of the gallery is.
    """
    centres = spherical_k_means(gallery, clusters)
    return Measures(
        _standard(knn(probes, gallery), knn(gallery, gallery, own=True)),
        _standard(cluster(probes, centres), cluster(gallery, centres)),
        _standard(lof(probes, gallery), lof(gallery, gallery, own=True)),
    )


def fuse(measures: Measures, fusion: Fusion) -> Scores:
    """Give the probability that a picture is new: a logistic function of the weighed measures, within [0, 1]."""
    return logistic(np.stack(measures, axis=1) @ fusion.weights + fusion.bias)


def logistic(values: Scores) -> Scores:
    """Give `1 / (1 + exp(-x))`, for large values too."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))))


def knn(pictures: Features, gallery: Features, *, own: bool = False) -> Scores:
    """Give the mean cosine distance to the `KNN` nearest gallery pictures; `own`: the pictures are the gallery."""
    distances, _ = _nearest(pictures, gallery, KNN, own=own)
    return np.asarray(distances.mean(axis=1))


def cluster(pictures: Features, centres: Features) -> Scores:
    """Give the cosine distance to the nearest centre."""
    return np.asarray(1 - (pictures.astype(np.float64) @ centres.T.astype(np.float64)).max(axis=1))


def lof(pictures: Features, gallery: Features, *, own: bool = False) -> Scores:
    """Give the logarithm of the local outlier factor against the gallery (Breunig et al. 2000, definitions 3 to 7).

    Distances are Euclidean. `own`: the pictures are the gallery, and none is its own neighbour.
    """
    near, members = _nearest(gallery, gallery, LOF_NEIGHBOURS, own=True)
    near = np.sqrt(2 * near)
    reach = near[:, -1]
    density = 1 / np.maximum(np.maximum(near, reach[members]).mean(axis=1), 1e-10)
    if own:
        distances, found, own_density = near, members, density
    else:
        distances, found = _nearest(pictures, gallery, LOF_NEIGHBOURS, own=False)
        own_density = 1 / np.maximum(np.maximum(np.sqrt(2 * distances), reach[found]).mean(axis=1), 1e-10)
    return np.asarray(np.log(density[found].mean(axis=1) / own_density))


def centre_entropy(probes: Features, gallery: Features, temperature: float = 0.05) -> Scores:
    """Give the entropy of the softmax over cosines to gallery/5 centres, as a share of the largest (AISC report 2.3.2).

    Where a share underflows to 0 its logarithm is undefined; it is clamped there, and the result to [0, 1].
    """
    centres = spherical_k_means(gallery, max(2, len(gallery) // 5))
    cosines = probes.astype(np.float64) @ centres.T.astype(np.float64) / temperature
    shares = np.exp(cosines - cosines.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1) / np.log(len(centres))
    return np.asarray(np.clip(entropy, 0, 1))


def spherical_k_means(vectors: Features, count: int) -> Features:
    """Give `count` unit centres `(count, d)` of unit vectors; the same vectors give the same centres.

    The first centres are drawn as k-means++ does, with a fixed seed.
    """
    chance = np.random.default_rng(SEED)
    count = min(count, len(vectors))
    chosen = [int(chance.integers(len(vectors)))]
    far = np.maximum(1 - vectors @ vectors[chosen[0]], 0).astype(np.float64)
    while len(chosen) < count:
        total = far.sum()
        draw = chance.random() * total
        chosen.append(int(min(np.searchsorted(np.cumsum(far), draw), len(vectors) - 1)))
        far = np.minimum(far, np.maximum(1 - vectors @ vectors[chosen[-1]], 0))
    centres = vectors[chosen]
    members = np.full(len(vectors), -1)
    for _ in range(STEPS):
        found = np.argmax(vectors @ centres.T, axis=1)
        if np.array_equal(found, members):
            break
        members = found
        sums = np.zeros_like(centres)
        np.add.at(sums, members, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        # A centre that nobody is nearest to stays where it is.
        centres = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), centres)
    return np.asarray(centres, np.float32)


def _standard(scores: Scores, of_gallery: Scores) -> Scores:
    low, middle, high = np.quantile(of_gallery, (0.25, 0.5, 0.75))
    return np.asarray((scores - middle) / max(high - low, 1e-9))


def _nearest(
    pictures: Features, gallery: Features, count: int, *, own: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give the cosine distances `(n, count)`, ascending, and where the neighbours stand in the gallery."""
    distances = np.maximum(1 - pictures.astype(np.float64) @ gallery.T.astype(np.float64), 0)
    if own:
        np.fill_diagonal(distances, np.inf)
    count = min(count, len(gallery) - own)
    found = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, found, axis=1), found
