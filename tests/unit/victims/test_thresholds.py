"""Thresholds against brute force and scikit-learn's ROC curve."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from aisc.errors import UsageError
from aisc.victims.thresholds import measure, threshold_at_best_accuracy, threshold_at_rate

scores = st.lists(st.integers(-20, 20).map(lambda k: k / 20), min_size=1, max_size=60)


@given(scores, st.sampled_from([0.05, 0.1, 0.25, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_threshold_at_rate_is_the_lowest_that_accepts_few_enough(impostor: list[float], rate: float) -> None:
    allowed = int(rate * len(impostor) + 1e-9)
    if allowed == 0:
        with pytest.raises(UsageError) as caught:
            threshold_at_rate(impostor, rate)
        assert caught.value.code == "THRESHOLD_PAIRS_TOO_FEW"
        return
    threshold = threshold_at_rate(impostor, rate)
    assert sum(score >= threshold for score in impostor) <= allowed
    # Every candidate below accepts too many: just above any score, or at any score.
    for lower in sorted({np.nextafter(score, 2) for score in impostor} | set(impostor)):
        if lower < threshold:
            assert sum(score >= lower for score in impostor) > allowed


@given(scores, scores)
@settings(max_examples=60, deadline=None)
def test_best_accuracy_equals_trying_every_threshold(genuine: list[float], impostor: list[float]) -> None:
    def accuracy(threshold: float) -> Fraction:
        accepted = Fraction(sum(score >= threshold for score in genuine), len(genuine))
        refused = Fraction(sum(score < threshold for score in impostor), len(impostor))
        return (accepted + refused) / 2

    candidates = [*sorted(set(genuine + impostor)), 2.0]
    best = max(accuracy(candidate) for candidate in candidates)
    chosen = threshold_at_best_accuracy(genuine, impostor)
    figures = measure(genuine, impostor, chosen)
    # Accepting nobody has an accuracy of one half, and is no verifier; apart from that nothing beats the choice.
    assert accuracy(chosen) == best or best == Fraction(1, 2)
    assert figures.best_accuracy == pytest.approx(float(accuracy(chosen)))
    assert all(accuracy(higher) < accuracy(chosen) for higher in set(genuine) if higher > chosen)


def test_rates_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(0.6, 0.15, 500), rng.normal(0.1, 0.15, 20_000)
    threshold = threshold_at_rate(impostor, 1e-3)
    false_rates, true_rates, _ = roc_curve(
        np.r_[np.ones(500), np.zeros(20_000)], np.r_[genuine, impostor], drop_intermediate=False
    )
    point = np.flatnonzero(false_rates <= 1e-3)[-1]
    figures = measure(genuine, impostor, threshold)
    assert figures.false_accept_rate == pytest.approx(false_rates[point])
    assert figures.false_accept_rate == pytest.approx(20 / 20_000)
    assert figures.true_accept_rate == pytest.approx(true_rates[point])
    assert figures.best_accuracy == pytest.approx(((true_rates + 1 - false_rates) / 2).max())


def test_whole_numbers_of_allowed_pairs_are_not_lost_to_rounding() -> None:
    impostor = np.arange(3000) / 3000
    assert np.sum(impostor >= threshold_at_rate(impostor, 0.001)) == 3


def test_ties_at_the_limit_are_refused_together() -> None:
    impostor = [0.1, 0.5, 0.5, 0.5]
    threshold = threshold_at_rate(impostor, 0.25)
    assert threshold > 0.5
    assert measure([0.9], impostor, threshold).false_accept_rate == 0


@pytest.mark.parametrize("bad", [[], [0.1, float("nan")], [float("inf")]])
def test_scores_that_are_no_numbers_are_refused(bad: list[float]) -> None:
    with pytest.raises(UsageError) as caught:
        measure([0.1], bad, 0.0)
    assert caught.value.code == "THRESHOLD_SCORES_INVALID"


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, 2.0])
def test_rates_outside_the_open_interval_are_refused(rate: float) -> None:
    with pytest.raises(UsageError) as caught:
        threshold_at_rate([0.1, 0.2], rate)
    assert caught.value.code == "THRESHOLD_RATE_INVALID"
