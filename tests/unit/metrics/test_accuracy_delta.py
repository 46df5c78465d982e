import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from aisc.metrics.accuracy_delta import (
    PROBE_WEIGHTS,
    accuracy,
    accuracy_delta,
    attributes_right,
    people_right,
    weighted_delta,
)


def share(right, total):
    return (np.arange(total) < right).astype(float)


def test_the_first_worked_example_of_the_rules_is_52():
    deltas = {
        name: accuracy_delta(share(1000, 1000), share(right, 1000)).delta
        for name, right in (("fgsm", 800), ("bim", 600), ("pgd", 200))
    }
    assert deltas == {"fgsm": 20, "bim": 40, "pgd": 80}
    assert [PROBE_WEIGHTS[name] * deltas[name] for name in deltas] == [4, 16, 32]
    assert weighted_delta(deltas) == 52


def test_the_second_worked_example_of_the_rules_is_20():
    outcome = accuracy_delta(share(800, 1000), share(600, 1000))
    assert (outcome.initial, outcome.final, outcome.delta) == (80, 60, 20)


def test_violations_keep_the_denominator():
    # 400 of 500 right and 500 images void: a reduced denominator would say 0.8 and more.
    right = np.concatenate([share(400, 500), np.ones(500)])
    assert accuracy(right) == 90


def test_delta_equals_scikit_learn_and_the_mean_over_images():
    rng = np.random.default_rng(1)
    people, clean, altered = (rng.integers(0, 5, 300) for _ in range(3))
    outcome = accuracy_delta(people_right(clean, people), people_right(altered, people))
    expected = 100 * (accuracy_score(people, clean) - accuracy_score(people, altered))
    assert outcome.delta == pytest.approx(expected)
    assert outcome.per_image.mean() == outcome.delta


@pytest.mark.parametrize("rule", ["given", "any-given", "all"])
def test_attributes_equal_a_loop_over_plain_lists(rule):
    rng = np.random.default_rng(2)
    answers, truth = (rng.random((40, 12)) < 0.5 for _ in range(2))
    ids = np.stack([rng.choice(12, 3, replace=False) for _ in range(40)])
    expected = []
    for answer, there, given in zip(answers.tolist(), truth.tolist(), ids.tolist(), strict=True):
        right = [answer[k] == there[k] for k in (range(12) if rule == "all" else given)]
        expected.append(float(any(right)) if rule == "any-given" else sum(right) / len(right))
    assert attributes_right(answers, truth, ids, rule) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("deltas", "weights"),
    [
        ({"fgsm": 1.0}, PROBE_WEIGHTS),
        ({"fgsm": 1.0, "bim": 1.0, "pgd": 1.0}, {"fgsm": 0.2, "bim": 0.4, "pgd": 0.5}),
    ],
)
def test_probes_and_weights_must_go_together(deltas, weights):
    with pytest.raises(ValueError, match="weights"):
        weighted_delta(deltas, weights)


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.1]), np.array([np.nan]), np.ones((2, 2))])
def test_nonsense_is_no_accuracy(bad):
    with pytest.raises(ValueError, match="numbers in"):
        accuracy(bad)


def test_answers_about_other_images_are_refused():
    with pytest.raises(ValueError, match="same images"):
        accuracy_delta(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"\(n,\)"):
        people_right(np.ones(3, int), np.ones(4, int))
    with pytest.raises(ValueError, match="attributes"):
        attributes_right(np.ones((2, 3), bool), np.ones((2, 3)), np.zeros((2, 1), int))
