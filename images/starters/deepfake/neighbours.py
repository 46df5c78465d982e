"""Which gallery pictures are most similar to each probe."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from features import Features
from numpy.typing import NDArray

DECIMALS = 6
"""Similarities are rounded before they are compared: the last bits of a float32 decide nothing."""

Similarities = NDArray[np.float64]
"""`(probes, gallery)`, rounded to `DECIMALS`."""


class Neighbours(NamedTuple):
    """The most similar gallery pictures, best first.

    Attributes:
        indices: `(probes, k)` int64 into the gallery.
        similarities: `(probes, k)` float64, not increasing along a row.
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float64]


def cosine(probes: Features, gallery: Features) -> Similarities:
    """Give the cosines of unit vectors `(p, d)` and `(g, d)`."""
    return np.round(probes.astype(np.float64) @ gallery.T.astype(np.float64), DECIMALS)


def by_chance(probes: Sequence[bytes], gallery: int) -> Similarities:
    """Give similarities that are drawn from each probe's digest: random, yet the same at each run."""
    rows = [np.random.default_rng(list(digest)).random(gallery) for digest in probes]
    return np.round(np.stack(rows), DECIMALS)


def most_similar(similarities: Similarities, count: int) -> Neighbours:
    """Give the `count` best of each row; of equals, the one that stands first in the gallery."""
    indices = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
    return Neighbours(indices, np.take_along_axis(similarities, indices, axis=1))
