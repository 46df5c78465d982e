"""What an attack is asked to do with each picture: drawn once, from a seed, when a dataset is made."""

import numpy as np
from numpy.typing import NDArray

from aisc.errors import UsageError

GIVEN = 3
"""How many attributes an attack is given for each picture."""


def draw_targets(people: NDArray[np.int64], total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each picture who it is to be taken for, `(n, 1)`: anybody of `total` people but the one shown.

    >>> draw_targets(np.array([0, 1]), 2, np.random.default_rng(0)).tolist()
    [[1], [0]]
    """
    return np.asarray((people + rng.integers(1, total, len(people))) % total)[:, None]


def draw_given(attributes: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each picture which attributes are to be turned around, `(n, count)` in rising order.

    An attribute is the likelier to be drawn the rarer its value is among the pictures. So each is asked about nearly as
    often where it is there as where it is not, and an answer that never changes is right half of the time: with equal
    chances, never seeing a hat would be right in nine of ten pictures.

    Args:
        attributes: `(n, attributes)` bool.
        count: How many of them.
        rng: Decides.

    Raises:
        UsageError: GIVEN_TOO_MANY.
    """
    if not 1 <= count <= attributes.shape[1]:
        raise UsageError(
            "GIVEN_TOO_MANY", f"{count} of {attributes.shape[1]} attributes cannot be given.", "Give 3 of them."
        )
    share = attributes.mean(axis=0)
    rarity = 1 / np.maximum(np.where(attributes, share, 1 - share), 1e-3)
    # The largest of u^(1/w) are a draw without replacement with weights w (Efraimidis and Spirakis 2006, algorithm A).
    keys = rng.random(attributes.shape) ** (1 / rarity)
    return np.sort(np.argsort(-keys, axis=1)[:, :count], axis=1)
