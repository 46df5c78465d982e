"""The score of the SAFAIR tracks: by how many points an attack lowers a classifier's accuracy (RULES.md D-G).

What counts is per image how right an answer is, in [0, 1]: 0 or 1 for re-identification, for attributes the share of
the given ones that are told rightly. Accuracies and deltas are in points, 100 for all right.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

PROBE_WEIGHTS: Final[Mapping[str, float]] = {"fgsm": 0.2, "bim": 0.4, "pgd": 0.4}
"""Weights of the deltas in a defence's score of the initial stage."""

AttributeRule = Literal["given", "any-given", "all"]
"""Which attributes make an image right: the share of the given ones, at least one of them, or the share of all."""


class AccuracyDelta(NamedTuple):
    """Two accuracies and their difference.

    Attributes:
        initial: Accuracy on clean images, in points.
        final: Accuracy on altered images, in points.
        delta: ``initial - final``: what the attack took; negative where it helped.
        per_image: ``(n,)`` float64: the same difference for each image, in points; its mean is ``delta``.
    """

    initial: float
    final: float
    delta: float
    per_image: NDArray[np.float64]


def accuracy(right: NDArray[np.float64]) -> float:
    """Give the accuracy in points from ``(n,)`` numbers in [0, 1]: how right each image's answer is.

    >>> accuracy(np.array([1.0, 0.0, 1.0, 0.5]))
    62.5
    """
    if right.ndim != 1 or not right.size or not (np.isfinite(right) & (right >= 0) & (right <= 1)).all():
        raise ValueError("answers are (n,) numbers in [0, 1], at least one")
    return 100 * float(right.mean())


def accuracy_delta(clean: NDArray[np.float64], altered: NDArray[np.float64]) -> AccuracyDelta:
    """Give delta = A_initial - A_final over the same images.

    Args:
        clean: ``(n,)`` in [0, 1]: how right the answer to each clean image is.
        altered: ``(n,)``: the same for its altered version.

    Raises:
        ValueError: The shapes differ, there are no images, or a number lies outside [0, 1].

    The baseline of the rules falls from 80 to 60:

    >>> clean, altered = np.arange(1000) < 800, np.arange(1000) < 600
    >>> accuracy_delta(clean.astype(float), altered.astype(float))[:3]
    (80.0, 60.0, 20.0)
    """
    if clean.shape != altered.shape:
        raise ValueError(f"clean and altered answers are about the same images, not {clean.shape} and {altered.shape}")
    initial, final = accuracy(clean), accuracy(altered)
    per_image = 100 * (clean - altered)
    return AccuracyDelta(initial, final, float(per_image.mean()), np.asarray(per_image))


def weighted_delta(deltas: Mapping[str, float], weights: Mapping[str, float] = PROBE_WEIGHTS) -> float:
    """Give a defence's score of the initial stage: its deltas under the probes, weighted.

    Args:
        deltas: Delta in points under each probe.
        weights: Weight of each probe; together 1.

    Raises:
        ValueError: The probes are not those that have weights, or the weights do not add up to 1.

    The worked example of the rules, from 100 to 80, 60 and 20:

    >>> weighted_delta({"fgsm": 100 - 80, "bim": 100 - 60, "pgd": 100 - 20})
    52.0
    """
    if deltas.keys() != weights.keys():
        raise ValueError(f"deltas are of {sorted(deltas)}, weights of {sorted(weights)}")
    if abs(sum(weights.values()) - 1) > 1e-9:
        raise ValueError(f"weights add up to 1, not to {sum(weights.values())}")
    return sum(weights[name] * deltas[name] for name in sorted(deltas))


def people_right(answers: NDArray[np.integer], people: NDArray[np.integer]) -> NDArray[np.float64]:
    """Give ``(n,)``: 1 where the first answer is who is shown, else 0; top-1 over an image.

    The same function, asked about targets, gives the hits of a targeted attack.

    >>> people_right(np.array([3, 1, -1]), np.array([3, 2, 4])).tolist()
    [1.0, 0.0, 0.0]
    """
    if answers.shape != people.shape or answers.ndim != 1:
        raise ValueError(f"answers and people are (n,), not {answers.shape} and {people.shape}")
    return np.asarray((answers == people).astype(np.float64))


def attributes_right(
    answers: NDArray[np.bool_], truth: NDArray[np.bool_], ids: NDArray[np.integer], rule: AttributeRule = "given"
) -> NDArray[np.float64]:
    """Give ``(n,)`` in [0, 1]: how right the answers about each image's attributes are.

    Args:
        answers: ``(n, attributes)`` bool: what was seen.
        truth: The same shape: what is there.
        ids: ``(n, k)``: numbers of the attributes that are given for each image, all different.
        rule: ``given``: the share of the given ones that are told rightly. ``any-given``: 1 unless all of them are
            told wrongly. ``all``: the share of all attributes.

    >>> answers, truth = np.array([[True, True, False]]), np.array([[True, False, True]])
    >>> [attributes_right(answers, truth, np.array([[0, 1]]), rule).tolist() for rule in ("given", "any-given")]
    [[0.5], [1.0]]
    >>> attributes_right(answers, truth, np.array([[0, 1]]), "all").round(3).tolist()
    [0.333]
    """
    if answers.shape != truth.shape or answers.ndim != 2 or answers.dtype != np.bool_ or truth.dtype != np.bool_:
        raise ValueError(f"answers and truth are bool (n, attributes), not {answers.shape} and {truth.shape}")
    right = answers == truth
    if rule == "all":
        return np.asarray(right.mean(axis=1))
    given = np.take_along_axis(right, ids, axis=1)
    return np.asarray(given.any(axis=1).astype(np.float64) if rule == "any-given" else given.mean(axis=1))
