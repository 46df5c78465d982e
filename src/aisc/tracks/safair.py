"""SAFAIR: attack and defend face classifiers (RULES.md D-G): the rulebook as code.

Four tracks in two tasks, re-identification and attributes. An attack alters 1000 hidden images within ε so that a
classifier errs; a defence is a classifier that does not. Both are scored by delta, the points of accuracy that are
lost: attacks want it high, defences low. Rule numbers are those of the contest page.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import Faces
from aisc.metrics.accuracy_delta import (
    PROBE_WEIGHTS,
    AccuracyDelta,
    AttributeRule,
    accuracy_delta,
    attributes_right,
    people_right,
    weighted_delta,
)
from aisc.metrics.bootstrap import mean_interval
from aisc.submission.predictions import Answers
from aisc.tracks.safair_limits import AttackLimits, DefenceLimits, SafairLimits
from aisc.victims.classifier_package import Task

MEASURE: Final = "delta, points"
TOO_LOW: Final = "CLEAN_ACCURACY_TOO_LOW"


class SafairScore(NamedTuple):
    """A score and what explains it.

    Attributes:
        value: Delta in points; of a defence in the initial stage the weighted one.
        low: Lower end of the 95 % bootstrap interval over images.
        high: Upper end.
        parts: Named numbers in the order of a board's columns.
        per_image: `(n,)` float64: the delta of each image, in points; a cell of the tournament.
        code: Why it is not ranked, ``""`` if it is.
    """

    value: float
    low: float
    high: float
    parts: dict[str, float | int]
    per_image: NDArray[np.float64]
    code: str = ""


def rightness(task: Task, answers: Answers, faces: Faces, rule: AttributeRule = "given") -> NDArray[np.float64]:
    """Give `(n,)` in [0, 1]: how right each answer is; without one the defence has failed on that input (rule 6)."""
    if task == "reid":
        right = people_right(answers.values[:, 0], faces.people)
    else:
        right = attributes_right(answers.values == 1, faces.attributes, faces.goals, rule)
    return np.where(answers.answered, right, 0.0)


def skipped_as_right(right: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count the defence as right on each image that an attack has spoiled, left out or not finished (rule 7).

    The denominator stays: an attack gains nothing by leaving out what is hard.

    >>> skipped_as_right(np.array([0.0, 0.0, 1.0]), np.array([True, False, False])).tolist()
    [0.0, 1.0, 1.0]
    """
    return np.where(counted, right, 1.0)


def score_attack(
    task: Task,
    clean: Answers,
    altered: Answers,
    counted: NDArray[np.bool_],
    faces: Faces,
    limits: AttackLimits,
    seed: int,
) -> SafairScore:
    """Score an attack against one defence.

    Args:
        task: Which of the two.
        clean: The defence's answers to the clean images.
        altered: Its answers to the altered ones; where an image does not count, they are not looked at.
        counted: `(n,)` bool: the altered image is there, whole and within ε.
        faces: The truth.
        limits: The stage's limits.
        seed: Of the bootstrap.
    """
    found = _delta(task, clean, altered, counted, faces, limits)
    parts: dict[str, float | int] = {
        "initial accuracy": found.initial,
        "final accuracy": found.final,
        "images that count": int(np.count_nonzero(counted)),
    }
    if task == "reid":
        hits = people_right(altered.values[:, 0], faces.goals[:, 0])
        parts["target hits, %"] = 100 * float(np.mean(hits * (counted & altered.answered)))
    interval = mean_interval(found.per_image, seed=seed)
    return SafairScore(found.delta, interval.low, interval.high, parts, found.per_image)


def score_defence(
    task: Task, clean: Answers, probed: Mapping[str, Answers], faces: Faces, limits: DefenceLimits, seed: int
) -> SafairScore:
    """Score a defence in the initial stage: its deltas under FGSM, BIM and PGD, weighted.

    Args:
        task: Which of the two.
        clean: Its answers to the clean images.
        probed: Its answers under each probe.
        faces: The truth.
        limits: The stage's limits.
        seed: Of the bootstrap.
    """
    everything = np.ones(len(faces.names), bool)
    weights = dict(zip(PROBE_WEIGHTS, limits.weights, strict=True))
    found = {name: _delta(task, clean, probed[name], everything, faces, limits) for name in weights}
    value = weighted_delta({name: one.delta for name, one in found.items()}, weights)
    per_image = np.sum([weights[name] * one.per_image for name, one in found.items()], axis=0)
    interval = mean_interval(per_image, seed=seed)
    initial = found["pgd"].initial
    parts: dict[str, float | int] = {"initial accuracy": initial}
    parts |= {f"accuracy under {name.upper()}": one.final for name, one in found.items()}
    parts["failed inputs"] = sum(int(np.count_nonzero(~one.answered)) for one in (clean, *probed.values()))
    return SafairScore(value, interval.low, interval.high, parts, per_image, "" if stands(initial, limits) else TOO_LOW)


def stands(initial: float, limits: DefenceLimits) -> bool:
    """Tell whether a defence is ranked: its accuracy on clean images, in points, reaches the floor.

    A constant classifier has delta 0, and one that errs on clean images has less to lose: without a floor both win.

    >>> stands(69.9, DefenceLimits()), stands(70.0, DefenceLimits()), stands(1.0, DefenceLimits(faithful=True))
    (False, True, True)
    """
    return limits.faithful or initial >= limits.floor


def differing(first: NDArray[np.integer], again: NDArray[np.integer], tolerance: int = 0) -> NDArray[np.bool_]:
    """Tell for which inputs a second pass gave another output: answers, or pixels in grey levels (rule 9).

    Args:
        first: `(n, ...)`: the pass that counts.
        again: The same shape: a second pass, put back into the order of the first.
        tolerance: Largest difference of two numbers that still counts as the same.

    >>> differing(np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]])).tolist()
    [False, True]
    """
    if first.shape != again.shape:
        raise ValueError(f"both passes are about the same inputs, not {first.shape} and {again.shape}")
    gap = np.abs(first.astype(np.int64) - again.astype(np.int64)).reshape(len(first), -1)
    return np.asarray(gap.max(axis=1, initial=0) > tolerance)


def best_submission(deltas: Mapping[str, float], *, attack: bool) -> str:
    """Name the submission that counts of a team's: the best, of equal ones the first by name (rules 10 and 12).

    >>> best_submission({"t.reid.d.1": 30.0, "t.reid.d.2": 52.0, "t.reid.d.3": 52.0}, attack=True)
    't.reid.d.2'
    >>> best_submission({"t.reid.d.1": 30.0, "t.reid.d.2": 52.0}, attack=False)
    't.reid.d.1'
    """
    return min(deltas, key=lambda name: (-deltas[name] if attack else deltas[name], name))


def seconds_allowed(images: int, limits: SafairLimits) -> float:
    """Give the time for a number of images: 4 hours for 1000 (rule 11).

    What is not finished then is skipped for an attack (rule 7) and failed for a defence (rule 6); the rest counts.

    >>> seconds_allowed(1000, AttackLimits()), seconds_allowed(100, AttackLimits())
    (14400.0, 1440.0)
    """
    return limits.hours * 3600 * images / 1000


def _delta(
    task: Task, clean: Answers, altered: Answers, counted: NDArray[np.bool_], faces: Faces, limits: SafairLimits
) -> AccuracyDelta:
    before = rightness(task, clean, faces, limits.accuracy)
    after = skipped_as_right(rightness(task, altered, faces, limits.accuracy), counted)
    return accuracy_delta(before, after)
