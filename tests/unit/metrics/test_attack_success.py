"""Equation 16 against its literal double sum, and against published scores."""

from fractions import Fraction

import numpy as np
import pytest

from aisc.metrics.attack_success import attack_success


@pytest.mark.parametrize("seed", range(20))
def test_equation_16_as_a_double_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    victims, n = int(rng.integers(1, 6)), int(rng.integers(1, 50))
    deceived, legal = rng.random((victims, n)) < 0.5, rng.random(n) < 0.8
    inner = [Fraction(sum(bool(deceived[i, j] and legal[j]) for j in range(n)), n) for i in range(victims)]
    result = attack_success(deceived, legal)
    assert result.score == float(sum(inner) / victims)
    assert result.per_victim.tolist() == pytest.approx([float(rate) for rate in inner], abs=1e-15)
    assert result.per_image.mean() == pytest.approx(result.score, abs=1e-12)
    assert Fraction(result.hits, result.trials) == sum(inner) / victims
    assert result.trials == victims * n


@pytest.mark.parametrize(("hits", "published"), [(5714, 0.634889), (5330, 0.592222)])
def test_published_scores_of_the_preliminary(hits: int, published: float) -> None:
    deceived = np.random.default_rng(hits).permutation(np.arange(9000) < hits).reshape(3, 3000)
    assert round(attack_success(deceived, np.ones(3000, bool)).score, 6) == published


def test_an_illegal_image_counts_for_nobody_and_stays_in_the_denominator() -> None:
    legal = np.arange(10) < 7
    result = attack_success(np.ones((3, 10), bool), legal)
    assert (result.score, result.hits, result.trials) == (0.7, 21, 30)
    assert result.per_image.tolist() == legal.astype(float).tolist()


def test_wrong_arrays_are_refused() -> None:
    good, legal = np.ones((3, 4), bool), np.ones(4, bool)
    for deceived, images in ((good.astype(int), legal), (good, legal.astype(int)), (good[0], legal), (good, legal[1:]),
                             (good[:0], legal), (good[:, :0], legal[:0])):  # fmt: skip
        with pytest.raises(ValueError, match=r"outcomes|rate"):
            attack_success(deceived, images)
