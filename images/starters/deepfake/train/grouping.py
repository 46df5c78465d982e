"""How the pictures without a name are put into groups: every group becomes a class to learn."""

from typing import NamedTuple

import numpy as np
from album import NAMELESS
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import silhouette_score

Features = NDArray[np.float32]
"""Unit vectors, `(n, d)`."""
Groups = NDArray[np.int64]
"""`(n,)`: number of the group, or `NAMELESS`."""

FEWEST, MOST = 2, 8
"""How many groups are looked for; the training set does not tell how many methods there are."""
PROMISED = 3
"""So many methods the training set promises at least."""
_JUDGED = 1500
"""Pictures on which the silhouette is measured: its cost grows with the square."""
_ROUNDS = 50


class Known(NamedTuple):
    """The pictures with a name.

    Attributes:
        features: `(n, d)`.
        classes: `(n,)`, from 0 without gaps.
    """

    features: Features
    classes: Groups


def guess_count(features: Features, seed: int, fewest: int = FEWEST) -> int:
    """Guess how many methods there are: the number of k-means groups with the best silhouette (Rousseeuw 1987)."""
    some = features[np.random.default_rng(seed).permutation(len(features))[:_JUDGED]]
    scores = [silhouette_score(some, k_means(some, count, seed)) for count in range(fewest, MOST + 1)]
    return fewest + int(np.argmax(scores))


def k_means(features: Features, count: int, seed: int) -> Groups:
    """Group by k-means, the best of four starts."""
    found = KMeans(count, n_init=4, random_state=seed).fit_predict(features)
    return np.asarray(found, np.int64)


def semi_supervised_k_means(features: Features, known: Known, extra: int, seed: int) -> Groups:
    """Group nameless pictures beside the named ones (AISC report 2.3.1).

    Named pictures stay in their class and hold its centre; nameless ones go to the nearest centre. One that goes to a
    named class is doubtful, since no nameless picture comes from a named method, and gets no group.

    Args:
        features: Of the nameless pictures, `(n, d)`.
        known: The named pictures.
        extra: Groups beside the named classes.
        seed: Fixes where the groups begin.

    Returns:
        `(n,)`: 0 to `extra` - 1, or `NAMELESS`.
    """
    named = int(known.classes.max()) + 1
    centres = np.concatenate(
        [
            np.stack([known.features[known.classes == one].mean(0) for one in range(named)]),
            KMeans(extra, n_init=4, random_state=seed).fit(features).cluster_centers_,
        ]
    )
    places = np.full(len(features), NAMELESS)
    for _ in range(_ROUNDS):
        found = _nearest(features, centres)
        if np.array_equal(found, places):
            break
        places = found
        for one in range(len(centres)):
            members = [features[places == one]] + ([known.features[known.classes == one]] if one < named else [])
            if sum(len(part) for part in members):
                centres[one] = np.concatenate(members).mean(0)
    return np.where(places >= named, places - named, NAMELESS)


def merged_groups(features: Features, known: Known, many: int, seed: int) -> Groups:
    """Group into `many`, then merge groups that lie closer together than named methods do (AISC report 2.3.3).

    Two groups are one method if their centres' cosine distance, on average over what was merged, is below half of that
    between the two closest named classes; `PROMISED` groups stay apart in any case.
    """
    small = k_means(features, many, seed)
    centres = np.stack([features[small == one].mean(0) for one in range(many)])
    named = np.stack([known.features[known.classes == one].mean(0) for one in range(int(known.classes.max()) + 1)])
    closest = pdist(named, "cosine").min()
    tree = linkage(centres, "average", "cosine")
    found = fcluster(tree, 0.5 * closest, "distance")
    if found.max() < PROMISED:
        found = fcluster(tree, PROMISED, "maxclust")
    return np.asarray(found - 1, np.int64)[small]


def spectral(features: Features, count: int, seed: int) -> Groups:
    """Group by the graph of each picture's 15 nearest (AISC report 2.3.5)."""
    grouping = SpectralClustering(
        count, affinity="nearest_neighbors", n_neighbors=15, assign_labels="cluster_qr", random_state=seed
    )
    return np.asarray(grouping.fit_predict(features), np.int64)


def _nearest(features: Features, centres: NDArray[np.floating]) -> Groups:
    distances = (centres**2).sum(1) - 2 * features @ centres.T
    return np.asarray(np.argmin(distances, axis=1), np.int64)
