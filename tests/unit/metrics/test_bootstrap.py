"""Intervals against scipy's own bootstrap, against resampling by indices, and against how often they cover."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from aisc.metrics.bootstrap import mean_interval, paired_difference

OUTCOMES = np.random.default_rng(4).choice([0, 1 / 3, 2 / 3, 1], size=3000, p=[0.3, 0.2, 0.2, 0.3])


@pytest.mark.parametrize("level", [0.90, 0.95])
@pytest.mark.parametrize("kind", ["few values", "continuous", "small"])
def test_like_scipy(kind: str, level: float) -> None:
    rng = np.random.default_rng(1)
    values = {"few values": OUTCOMES, "continuous": rng.exponential(size=400), "small": rng.random(12)}[kind]
    low, mean, high = mean_interval(values, level=level, resamples=20_000)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=20_000, method="percentile", rng=rng, batch=2000
    ).confidence_interval
    near = 0.03 * (expected.high - expected.low)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=near)
    assert mean == values.mean()


def test_paired_difference_like_scipy() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(2000)
    first, second = (rng.random(2000) > hard).astype(float), (rng.random(2000) > hard + 0.03).astype(float)
    low, mean, high = paired_difference(first, second, resamples=20_000)
    expected = stats.bootstrap(
        (first, second), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), paired=True, vectorized=True,
        n_resamples=20_000, method="percentile", rng=rng, batch=2000,
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03 * (expected.high - expected.low))
    assert mean == pytest.approx(first.mean() - second.mean())


def test_pairing_narrows_what_two_intervals_would_say() -> None:
    easy = np.random.default_rng(3).random(3000) < 0.5
    first = easy.astype(float)
    second = first.copy()
    second[:60] = 0
    paired = paired_difference(first, second)
    assert paired.low > 0
    one, other = mean_interval(first), mean_interval(second)
    assert one.low < other.high, "apart, the two intervals overlap"
    assert paired.high - paired.low < (one.high - one.low) / 2


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(400):
        low, _, high = mean_interval(rng.binomial(3, 0.6, 300) / 3, resamples=1000, seed=trial)
        covered += low <= 0.6 <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_the_same_seed_gives_the_same_interval() -> None:
    assert mean_interval(OUTCOMES, seed=7) == mean_interval(OUTCOMES, seed=7)
    assert mean_interval(OUTCOMES, seed=7) != mean_interval(OUTCOMES, seed=8)
    assert mean_interval(OUTCOMES, seed=7) == mean_interval(np.sort(OUTCOMES), seed=7)._replace(mean=OUTCOMES.mean())


def test_equal_outcomes_leave_no_doubt() -> None:
    assert mean_interval(np.full(10, 0.25)) == (0.25, 0.25, 0.25)
    assert paired_difference(OUTCOMES, OUTCOMES) == (0, 0, 0)


def test_memory_is_bounded_for_continuous_values() -> None:
    values = np.random.default_rng(6).random(3000)
    tracemalloc.start()
    mean_interval(values, resamples=1500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.zeros(0))
    with pytest.raises(ValueError, match="level"):
        mean_interval(OUTCOMES, level=1.0)
    with pytest.raises(ValueError, match="resamples"):
        mean_interval(OUTCOMES, resamples=0)
    with pytest.raises(ValueError, match="one outcome"):
        paired_difference(OUTCOMES, OUTCOMES[1:])
