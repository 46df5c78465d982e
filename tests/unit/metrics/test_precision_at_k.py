import numpy as np
import pytest

from aisc.metrics.precision_at_k import precision_at_k


@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 5), (200, 5), (50, 3)])
def test_it_is_equation_1_written_as_two_sums(n, k):
    rng = np.random.default_rng(n)
    recalled, labels = rng.integers(0, 4, (n, k)), rng.integers(0, 4, n)
    total = 0
    for i in range(n):
        for j in range(k):
            total += int(recalled[i, j] == labels[i])
    outcome = precision_at_k(recalled, labels)
    assert outcome.score == total / (k * n)
    assert (outcome.hits, outcome.trials) == (total, k * n)
    assert outcome.per_probe.mean() == pytest.approx(outcome.score)


def test_the_order_of_the_recalled_does_not_matter():
    rng = np.random.default_rng(1)
    recalled, labels = rng.integers(0, 3, (40, 5)), rng.integers(0, 3, 40)
    assert precision_at_k(rng.permuted(recalled, axis=1), labels).score == precision_at_k(recalled, labels).score


@pytest.mark.parametrize(
    ("recalled", "labels"),
    [
        (np.zeros((2, 5)), np.zeros(2, int)),
        (np.zeros((2, 5), int), np.zeros(2)),
        (np.zeros((2, 5), int), np.zeros(3, int)),
        (np.zeros(5, int), np.zeros(5, int)),
        (np.zeros((0, 5), int), np.zeros(0, int)),
    ],
)
def test_what_is_no_table_of_labels_is_a_mistake_of_the_caller(recalled, labels):
    with pytest.raises(ValueError, match=r"label|precision"):
        precision_at_k(recalled, labels)
