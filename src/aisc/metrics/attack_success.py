"""The score of the face track: how often a verifier is deceived (AISC 2022 report, equation 16)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class AttackSuccess(NamedTuple):
    """The score and what it is made of.

    Attributes:
        score: Mean over victims and images, in [0, 1].
        per_victim: ``(victims,)`` float64, the success rate against each victim.
        per_image: ``(n,)`` float64, the share of victims that each image deceives.
        hits: Successful verifications.
        trials: All verifications: victims times images.
    """

    score: float
    per_victim: NDArray[np.float64]
    per_image: NDArray[np.float64]
    hits: int
    trials: int


def attack_success(deceived: NDArray[np.bool_], legal: NDArray[np.bool_]) -> AttackSuccess:
    """Compute the attack success rate: the mean over victims of the share of images taken for the same person.

    An image that breaks a pixel rule, is missing or cannot be read has failed against every victim, and the
    denominator stays: no team gains by leaving a hard image out.

    Args:
        deceived: ``(victims, n)`` bool: the victim takes adversarial image and target for the same person.
        legal: ``(n,)`` bool: the image counts.

    Returns:
        The score and its parts. ``score`` is the quotient of two whole numbers, so it does not depend on the
        order of summation.

    Raises:
        ValueError: Shapes or dtypes are not as above, or there is nothing to average.

    Two published scores of the preliminary stage, which fix the denominator at 3 victims times 3000 images:

    >>> legal = np.ones(3000, bool)
    >>> deceived = np.arange(9000).reshape(3, 3000) < 5714
    >>> round(attack_success(deceived, legal).score, 6)
    0.634889
    >>> round(attack_success(np.arange(9000).reshape(3, 3000) < 5330, legal).score, 6)
    0.592222

    Half of the images are illegal, and the denominator stays:

    >>> attack_success(np.ones((3, 4), bool), np.array([True, False, True, False])).score
    0.5
    """
    if deceived.dtype != np.bool_ or legal.dtype != np.bool_:
        raise ValueError(f"outcomes are bool, not {deceived.dtype} and {legal.dtype}")
    if deceived.ndim != 2 or legal.shape != deceived.shape[1:]:
        raise ValueError(f"outcomes are (victims, n) and (n,), not {deceived.shape} and {legal.shape}")
    if not deceived.size:
        raise ValueError("a rate needs at least one victim and one image")
    success = deceived & legal
    hits = int(np.count_nonzero(success))
    return AttackSuccess(hits / success.size, success.mean(axis=1), success.mean(axis=0), hits, success.size)
