"""Calibration: what a verifier answers to clean pictures of people it never saw, and the threshold that follows."""

import hashlib
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.victims.package import Calibration
from aisc.victims.thresholds import F64, measure, threshold_at_best_accuracy, threshold_at_rate
from aisc.victims.verifier import Embeddings, FaceVerifier, Pictures

DEFAULT_FALSE_ACCEPT_RATE = 1e-3

UNMEASURED = Calibration(
    rule="best-accuracy",
    false_accept_rate=0,
    true_accept_rate=0,
    best_accuracy=0,
    genuine_pairs=1,
    impostor_pairs=1,
    data="not yet calibrated",
    data_sha256="0" * 64,
)
"""The record of a model under calibration; no package is written with it."""

Rule = Literal["false-accept-rate", "best-accuracy"]


class LabelledFaces(NamedTuple):
    """Clean pictures of known people; every two of them make a genuine or an impostor pair."""

    images: Pictures
    """uint8 RGB `(m, 112, 112, 3)`; up to about 10,000, for all pairs are compared."""
    people: NDArray[np.int64]
    """Who is in each picture, `(m,)`."""
    source: str
    """One sentence that says where the pictures come from."""

    @property
    def sha256(self) -> str:
        """Name the pictures and labels by content."""
        found = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        found.update(np.ascontiguousarray(self.people, dtype="<i8").tobytes())
        return found.hexdigest()


class PairScores(NamedTuple):
    """Cosines of all pairs of labelled faces."""

    genuine: F64
    impostor: F64


class Calibrated(NamedTuple):
    """A threshold and the record of how it came about."""

    threshold: float
    record: Calibration


def score_pairs(embeddings: Embeddings, people: NDArray[np.int64]) -> PairScores:
    """Compare every two rows of `(m, dim)` once; pictures of one person are genuine, all others impostors."""
    cosines = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    upper = np.triu(np.ones(cosines.shape, dtype=np.bool_), 1)
    same = people[:, None] == people[None]
    return PairScores(cosines[upper & same], cosines[upper & ~same])


def calibrate(
    verifier: FaceVerifier,
    faces: LabelledFaces,
    rule: Rule = "false-accept-rate",
    false_accept_rate: float = DEFAULT_FALSE_ACCEPT_RATE,
) -> Calibrated:
    """Choose a verifier's threshold from clean faces by a rule.

    Raises:
        UsageError: THRESHOLD_SCORES_INVALID, THRESHOLD_PAIRS_TOO_FEW or THRESHOLD_RATE_INVALID.
    """
    scores = score_pairs(verifier.embed(faces.images), faces.people)
    if rule == "best-accuracy":
        threshold = threshold_at_best_accuracy(scores.genuine, scores.impostor)
    else:
        threshold = threshold_at_rate(scores.impostor, false_accept_rate)
    figures = measure(scores.genuine, scores.impostor, threshold)
    record = Calibration(
        rule=rule,
        target_false_accept_rate=false_accept_rate if rule == "false-accept-rate" else None,
        false_accept_rate=figures.false_accept_rate,
        true_accept_rate=figures.true_accept_rate,
        best_accuracy=figures.best_accuracy,
        genuine_pairs=len(scores.genuine),
        impostor_pairs=len(scores.impostor),
        data=faces.source,
        data_sha256=faces.sha256,
    )
    return Calibrated(threshold, record)
