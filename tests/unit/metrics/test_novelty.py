import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from aisc.errors import UsageError
from aisc.metrics.novelty import auc_of_counts, novelty_auc, total_score


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("n", [2, 9, 500])
def test_it_agrees_with_scikit_learn_with_and_without_ties(n, levels):
    rng = np.random.default_rng([n, levels])
    novelty, new = rng.integers(0, levels, n) / levels, rng.random(n) < 0.3
    new[:2] = True, False
    assert novelty_auc(novelty, new) == pytest.approx(roc_auc_score(new, novelty), abs=1e-12)


def test_it_counts_pairs():
    rng = np.random.default_rng(5)
    novelty, new = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.5
    pairs = [(a > b) + (a == b) / 2 for a in novelty[new] for b in novelty[~new]]
    assert novelty_auc(novelty, new) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_extremes_and_a_monotone_map():
    new = np.array([False] * 3 + [True] * 4)
    rising = np.arange(7.0)
    assert (novelty_auc(rising, new), novelty_auc(-rising, new), novelty_auc(np.zeros(7), new)) == (1.0, 0.0, 0.5)
    assert novelty_auc(rising**3, new) == novelty_auc(rising, new)


@pytest.mark.parametrize("new", [np.ones(4, bool), np.zeros(4, bool)])
def test_one_kind_alone_is_the_dataset_s_fault(new):
    with pytest.raises(UsageError) as caught:
        novelty_auc(np.arange(4.0), new)
    assert caught.value.code == "AUC_UNDEFINED"
    assert caught.value.remedy


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_gets_a_rank(wrong):
    with pytest.raises(ValueError, match="finite"):
        novelty_auc(np.array([0.1, wrong]), np.array([True, False]))


def test_counts_of_numbers_equal_repeated_pictures():
    rng = np.random.default_rng(8)
    for known, new in zip(rng.integers(0, 4, (20, 9)), rng.integers(0, 4, (20, 9)), strict=True):
        known[0], new[4] = 1, 1
        numbers = np.r_[np.repeat(np.arange(9), known), np.repeat(np.arange(9), new)]
        truth = np.arange(len(numbers)) >= known.sum()
        assert auc_of_counts(known, new) == pytest.approx(roc_auc_score(truth, numbers))


def test_the_printed_totals_of_table_1_follow_but_for_the_two_misprints():
    rows = {
        (0.9820, 0.9944, 1.0): 0.9875,
        (0.9742, 0.9784, 0.9): 0.9680,
        (0.8927, 0.8822, 0.85): 0.8853,  # printed 0.8850
        (0.8673, 0.9165, 0.85): 0.8803,
        (0.8708, 0.8906, 0.9): 0.8797,  # printed 0.8796
    }
    assert {row: round(total_score(*row), 4) for row in rows} == rows
