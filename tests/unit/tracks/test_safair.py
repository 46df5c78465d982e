"""SAFAIR's rules one by one, and what would win without the defaults."""

import numpy as np
import pytest
from pydantic import ValidationError

from aisc.datasets.attribute_faces import Faces
from aisc.submission.predictions import Answers
from aisc.tracks.safair import (
    TOO_LOW,
    AttackLimits,
    DefenceLimits,
    best_submission,
    differing,
    rightness,
    score_attack,
    score_defence,
    seconds_allowed,
)

N, PEOPLE, ATTRIBUTES = 1000, 20, 12
EVERYTHING = np.ones(N, bool)


@pytest.fixture(scope="module")
def reid():
    rng = np.random.default_rng(1)
    people = rng.integers(0, PEOPLE, N)
    goals = ((people + 1) % PEOPLE)[:, None]
    return Faces(tuple(map(str, range(N))), people, np.zeros((N, 1), bool), goals)


@pytest.fixture(scope="module")
def attributes():
    rng = np.random.default_rng(2)
    truth = rng.random((N, ATTRIBUTES)) < 0.5
    goals = np.stack([np.sort(rng.choice(ATTRIBUTES, 3, replace=False)) for _ in range(N)])
    return Faces(tuple(map(str, range(N))), np.arange(N), truth, goals)


def answered(values):
    return Answers(np.asarray(values, np.int64), np.ones(len(values), bool))


def right_for(faces, count):
    """Answer the first `count` rightly, and the others with a person who is neither shown nor asked for."""
    wrong = (faces.people + 5) % PEOPLE
    return answered(np.where(np.arange(N) < count, faces.people, wrong)[:, None])


def test_a_defence_is_scored_by_its_weighted_deltas_as_in_the_worked_example(reid):
    probed = {"fgsm": right_for(reid, 800), "bim": right_for(reid, 600), "pgd": right_for(reid, 200)}
    score = score_defence("reid", right_for(reid, 1000), probed, reid, DefenceLimits(), 0)
    assert score.value == 52
    assert score.per_image.mean() == pytest.approx(52)
    assert score.low < 52 < score.high
    assert score.code == ""
    assert score.parts == {
        "initial accuracy": 100, "accuracy under FGSM": 80, "accuracy under BIM": 60, "accuracy under PGD": 20,
        "failed inputs": 0,
    }  # fmt: skip


def test_an_attack_is_scored_by_its_delta_as_in_the_worked_example(reid):
    score = score_attack("reid", right_for(reid, 800), right_for(reid, 600), EVERYTHING, reid, AttackLimits(), 0)
    assert score.value == 20
    assert score.parts == {
        "initial accuracy": 80, "final accuracy": 60, "images that count": N, "target hits, %": 0,
    }  # fmt: skip


def test_target_hits_are_told_beside_the_delta(reid):
    altered = answered(np.where(np.arange(N)[:, None] < 300, reid.goals, reid.people[:, None]))
    counted = np.arange(N) >= 100
    score = score_attack("reid", right_for(reid, N), altered, counted, reid, AttackLimits(), 0)
    assert score.parts["target hits, %"] == 20
    assert score.value == 20


def test_rule_6_a_defence_that_errs_on_an_input_has_failed_on_it(reid):
    silent = np.arange(N) < 250
    answers = Answers(np.where(silent, -1, reid.people)[:, None], ~silent)
    assert rightness("reid", answers, reid).mean() == 0.75
    all_right = Answers(reid.people[:, None], ~silent)  # a value without an answer is none
    assert rightness("reid", all_right, reid).mean() == 0.75
    probed = dict.fromkeys(("fgsm", "bim", "pgd"), right_for(reid, 0))
    score = score_defence("reid", answers, probed, reid, DefenceLimits(), 0)
    assert score.value == 75
    assert score.parts["failed inputs"] == 250
    probed["pgd"] = answers
    score = score_defence("reid", answers, probed, reid, DefenceLimits(), 0)
    assert score.parts["failed inputs"] == 500, "attacked inputs as well"


def test_rule_7_an_image_that_an_attack_spoils_is_right_for_the_defence(reid):
    counted = np.arange(N) < 400
    score = score_attack("reid", right_for(reid, N), right_for(reid, 0), counted, reid, AttackLimits(), 0)
    assert score.parts["final accuracy"] == 60
    assert score.value == 40  # of all 1000 images: the denominator stays
    nothing = np.zeros(N, bool)
    assert score_attack("reid", right_for(reid, 900), right_for(reid, 0), nothing, reid, AttackLimits(), 0).value == -10


def test_rule_7_comes_before_rule_6(reid):
    silent = Answers(np.full((N, 1), -1), np.zeros(N, bool))
    counted = np.arange(N) < 100
    score = score_attack("reid", right_for(reid, N), silent, counted, reid, AttackLimits(), 0)
    assert score.value == 10


def test_rule_9_a_second_pass_must_agree_to_the_stated_tolerance():
    first = np.random.default_rng(3).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    again = first.copy()
    again[2, 0, 0, 0] ^= 1
    again[4, 0, 0, 0] ^= 128
    assert differing(first, again).tolist() == [False, False, True, False, True, False]
    assert differing(first, again, tolerance=1).tolist() == [False, False, False, False, True, False]
    assert differing(np.zeros((1, 1), np.uint8), np.full((1, 1), 255, np.uint8), tolerance=1).all()  # no wrapping
    with pytest.raises(ValueError, match="same inputs"):
        differing(first, again[:3])


def test_rule_10_the_best_of_a_teams_submissions_counts():
    deltas = {"a.reid.d.1": 10.0, "a.reid.d.2": -3.0, "a.reid.d.3": 7.0}
    assert best_submission(deltas, attack=True) == "a.reid.d.1"
    assert best_submission(deltas, attack=False) == "a.reid.d.2"


@pytest.mark.parametrize(("images", "hours", "seconds"), [(1000, 4.0, 14400), (250, 4.0, 3600), (1000, 0.5, 1800)])
def test_rule_11_four_hours_for_a_thousand_images(images, hours, seconds):
    assert seconds_allowed(images, AttackLimits(hours=hours)) == seconds


@pytest.mark.parametrize("kind", ["constant", "errs on clean inputs"])
def test_a_defence_does_not_win_by_being_bad(reid, kind):
    if kind == "constant":
        clean = answered(np.zeros((N, 1)))
        probed = dict.fromkeys(("fgsm", "bim", "pgd"), clean)
    else:  # wrong on purpose in half of the cases, so that there is less to lose
        clean = right_for(reid, 500)
        probed = dict.fromkeys(("fgsm", "bim", "pgd"), right_for(reid, 480))
    honest = score_defence(
        "reid", right_for(reid, 900), dict.fromkeys(("fgsm", "bim", "pgd"), right_for(reid, 850)), reid,
        DefenceLimits(), 0,
    )  # fmt: skip
    score = score_defence("reid", clean, probed, reid, DefenceLimits(), 0)
    assert score.value < honest.value  # it would be first
    assert (score.code, honest.code) == (TOO_LOW, "")
    assert score_defence("reid", clean, probed, reid, DefenceLimits(faithful=True), 0).code == ""


def test_attributes_are_scored_over_the_given_ones(attributes):
    flipped = attributes.attributes.copy()
    np.put_along_axis(flipped, attributes.goals[:, :2], False, axis=1)
    truth = np.take_along_axis(attributes.attributes, attributes.goals, axis=1)
    clean, altered = answered(attributes.attributes), answered(flipped)
    limits = AttackLimits()
    score = score_attack("attributes", clean, altered, EVERYTHING, attributes, limits, 0)
    assert score.value == pytest.approx(100 * truth[:, :2].sum() / (3 * N))
    every = score_attack("attributes", clean, altered, EVERYTHING, attributes, AttackLimits(accuracy="all"), 0)
    assert every.value == pytest.approx(100 * truth[:, :2].sum() / (ATTRIBUTES * N))
    none = score_attack("attributes", clean, altered, EVERYTHING, attributes, AttackLimits(accuracy="any-given"), 0)
    assert none.value == 0
    assert "target hits, %" not in score.parts


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon": 0}, {"epsilon": 8.5}, {"accuracy": "some"}, {"hours": 0}, {"weights": (0.5, 0.5, 0.5)},
        {"weights": (-1, 1, 1)}, {"floor": 101}, {"probes": "both"}, {"steps": 0}, {"surprise": 1},
    ],
)  # fmt: skip
def test_impossible_limits_are_refused(changes):
    with pytest.raises(ValidationError):
        DefenceLimits(**changes)
