"""What an attack raises: one number a batch, summed over its pictures.

Sums, not means: a picture's gradient then does not depend on how many others share its batch.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

Objective = Callable[[Tensor, Tensor], Tensor]
"""Logits `(n, outputs)` and goals `(n, ...)` in, a scalar to be raised out."""


def away_from(logits: Tensor, people: Tensor) -> Tensor:
    """Raise the cross entropy of who is shown, `(n,)` int64: the face is taken for anybody else."""
    return F.cross_entropy(logits, people, reduction="sum")


def towards(logits: Tensor, targets: Tensor) -> Tensor:
    """Lower the cross entropy of a target, `(n,)` int64: the face is taken for this person."""
    return -F.cross_entropy(logits, targets, reduction="sum")


def flip(logits: Tensor, signs: Tensor) -> Tensor:
    """Raise the binary cross entropy of the given attributes.

    Args:
        logits: `(n, attributes)`, above 0 where an attribute is seen.
        signs: `(n, attributes)` float32 as `attribute_signs` gives them.

    >>> import torch
    >>> round(float(flip(torch.tensor([[0.0, 5.0]]), torch.tensor([[1.0, 0.0]]))), 4)
    0.6931
    """
    return (F.softplus(-signs * logits) * signs.abs()).sum()


def attribute_signs(truth: NDArray[np.bool_], ids: NDArray[np.integer]) -> NDArray[np.float32]:
    """Say which attributes are to be flipped: 1 where a given one is there, -1 where it is not, 0 if it is not given.

    Args:
        truth: `(n, attributes)` bool.
        ids: `(n, k)` numbers of the given attributes.

    >>> attribute_signs(np.array([[True, False, True]]), np.array([[0, 1]])).tolist()
    [[1.0, -1.0, 0.0]]
    """
    signs = np.zeros(truth.shape, np.float32)
    given = np.where(np.take_along_axis(truth, ids, axis=1), 1, -1).astype(np.float32)
    np.put_along_axis(signs, ids, given, axis=1)
    return signs
