"""Stateful and random programs are flagged, honest ones are not."""

import math
import random

import numpy as np
import pytest

from aisc.sandbox.gates import Answers, Tolerance, check_determinism, check_statelessness, second_order

NAMES = [f"q{number:03d}" for number in range(60)]
INPUTS = {name: float(np.random.default_rng(number).normal()) for number, name in enumerate(NAMES)}
REPEATS = {"q000": "r000", "q007": "r007"}
ALL = {**INPUTS, "r000": INPUTS["q000"], "r007": INPUTS["q007"]}


def honest(order: list[str]) -> Answers:
    return {name: (math.tanh(ALL[name]), "match" if ALL[name] > 0 else "other") for name in order}


def rounding(order: list[str]) -> Answers:
    noise = random.Random(len(order))
    return {name: (math.tanh(ALL[name]) * (1 + 1e-6 * noise.random()), "x") for name in order}


def stateful(order: list[str]) -> Answers:
    total, answers = 0.0, {}
    for name in order:
        total += ALL[name]
        answers[name] = (total,)
    return answers


def remembers(order: list[str]) -> Answers:
    """Answers honestly, but recognises what it has seen before."""
    seen: set[float] = set()
    answers = {}
    for name in order:
        answers[name] = (1.0 if ALL[name] in seen else 0.0,)
        seen.add(ALL[name])
    return answers


def noisy(order: list[str]) -> Answers:
    return {name: (random.random(),) for name in order}


def test_T46_a_deterministic_program_passes_and_a_random_one_does_not() -> None:
    assert check_determinism(honest(NAMES), honest(NAMES)).passed
    assert check_determinism(stateful(NAMES), stateful(NAMES)).passed
    report = check_determinism(noisy(NAMES), noisy(NAMES))
    assert not report.passed
    assert report.differing == 60
    assert {finding.code for finding in report.findings} == {"GATE_RANDOM"}
    assert len(report.findings) <= 20


def test_T45_a_stateless_program_passes() -> None:
    second = [*second_order(NAMES[:30], 7), *REPEATS.values()]
    for program in (honest, rounding):
        assert check_statelessness(program(NAMES), program(second), REPEATS).passed


def test_T45_a_program_that_carries_something_over_is_flagged() -> None:
    second = [*second_order(NAMES, 7), *REPEATS.values()]
    report = check_statelessness(stateful(NAMES), stateful(second), REPEATS)
    assert not report.passed
    assert {finding.code for finding in report.findings} == {"GATE_STATEFUL"}


def test_T45_planted_repeats_catch_a_program_that_recognises_them() -> None:
    second = [*second_order(NAMES, 7), *REPEATS.values()]
    report = check_statelessness(remembers(NAMES), remembers(second), REPEATS)
    assert {finding.where for finding in report.findings} == set(REPEATS.values())


@pytest.mark.parametrize(
    ("change", "passes"), [(1e-7, True), (1e-5, True), (3e-4, False), (math.nan, False), (math.inf, False)]
)
def test_T46_the_stated_tolerance_decides(change: float, passes: bool) -> None:
    assert check_determinism({"a": (1.0,)}, {"a": (1.0 + change,)}, Tolerance(1e-6, 1e-4)).passed is passes


def test_T46_texts_lengths_and_missing_answers_count() -> None:
    for first, again in [
        ({"a": ("x",)}, {"a": ("y",)}),
        ({"a": (1.0,)}, {"a": ("1.0",)}),
        ({"a": (1.0,)}, {"a": (1.0, 2.0)}),
        ({}, {"a": (1.0,)}),
        ({"a": (math.nan,)}, {"a": (math.nan,)}),
    ]:
        report = check_determinism(first, again)
        assert not report.passed
        assert report.largest == math.inf


def test_T46_an_empty_second_pass_proves_nothing() -> None:
    report = check_determinism(honest(NAMES), {})
    assert not report.passed
    assert [finding.code for finding in report.findings] == ["GATE_RANDOM"]


def test_the_second_order_depends_on_the_seed_alone() -> None:
    assert second_order(NAMES, 1) == second_order(list(reversed(NAMES)), 1)
    assert second_order(NAMES, 1) != second_order(NAMES, 2)
    assert sorted(second_order(NAMES, 1)) == NAMES
