"""The second pass on result tables: an honest retriever passes under new names, one with memory or chance does not."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from aisc.sandbox.gates import Answers, GateReport, Tolerance
from aisc.sandbox.second_pass import SecondPass, check_second_pass, plan_second_pass, table_answers
from aisc.submission.result_tables import ResultTable

RNG = np.random.default_rng(5)
PROBES = {f"{n:016x}": RNG.normal(size=8) for n in range(40)}
GALLERY = {f"{n + 1000:016x}": RNG.normal(size=8) for n in range(30)}
Images = Mapping[str, np.ndarray]
Program = Callable[[Images, Images], ResultTable]


def retrieve(probes: Images, gallery: Images) -> ResultTable:
    """Name the five nearest of the gallery, in the order of the names; ties go to the first name."""
    features = np.stack([gallery[name] for name in sorted(gallery)])
    rows = []
    for name in sorted(probes):
        closeness = -np.linalg.norm(features - probes[name], axis=1)
        best = np.argsort(-closeness, kind="stable")[:5]
        rows.append((best, closeness[best], 1 / (1 + np.exp(closeness[best[0]]))))
    return ResultTable(*(np.array(column) for column in zip(*rows, strict=True)))


def counting(probes: Images, gallery: Images) -> ResultTable:
    table = retrieve(probes, gallery)
    return table._replace(novelty=np.arange(len(probes)) / len(probes))


def drawing(probes: Images, gallery: Images) -> ResultTable:
    table = retrieve(probes, gallery)
    return table._replace(neighbours=np.stack([RNG.permutation(len(gallery))[:5] for _ in probes]))


def remembering(probes: Images, gallery: Images) -> ResultTable:
    table, seen = retrieve(probes, gallery), set()
    novelty = []
    for name in sorted(probes):
        novelty.append(float(probes[name].tobytes() not in seen))
        seen.add(probes[name].tobytes())
    return table._replace(novelty=np.array(novelty))


def rounding(probes: Images, gallery: Images) -> ResultTable:
    table = retrieve(probes, gallery)
    return table._replace(similarities=table.similarities * (1 + 1e-7 * RNG.random(table.similarities.shape)))


def answers(program: Program, probes: Images, gallery: Images) -> Answers:
    return table_answers(program(probes, gallery), sorted(probes), sorted(gallery))


def judged(program: Program, sample: int = 20, gallery: Images = GALLERY) -> GateReport:
    plan = plan_second_pass(sorted(PROBES), sorted(gallery), 3, sample, 4)
    again = {new: PROBES[old] for new, old in plan.probes.items()}
    first = answers(program, PROBES, gallery)
    second = answers(program, again, {new: gallery[old] for new, old in plan.gallery.items()})
    return check_second_pass(first, second, plan, ranked=5)


def test_the_plan_renames_everything_repeats_some_and_shuffles() -> None:
    plan = plan_second_pass(sorted(PROBES), sorted(GALLERY), 3, 20, 4)
    assert len(plan.probes) == 24
    assert len(set(plan.probes.values())) == 20
    assert sorted(plan.gallery.values()) == sorted(GALLERY)
    assert not (set(plan.probes) | set(plan.gallery)) & (set(PROBES) | set(GALLERY))
    assert list(plan.probes) == sorted(plan.probes)
    assert list(plan.probes.values()) != sorted(plan.probes.values())
    assert plan == plan_second_pass(sorted(PROBES, reverse=True), sorted(GALLERY), 3, 20, 4)
    assert plan != plan_second_pass(sorted(PROBES), sorted(GALLERY), 4, 20, 4)
    assert len(plan_second_pass(sorted(PROBES), sorted(GALLERY), 3, 1000, 0).probes) == 40


@pytest.mark.parametrize("program", [retrieve, rounding])
def test_T45_T46_an_honest_retriever_passes(program: Program) -> None:
    report = judged(program)
    assert report.passed, report
    assert report.compared == 24


@pytest.mark.parametrize("program", [counting, drawing, remembering])
def test_T45_T46_counting_chance_and_memory_are_flagged(program: Program) -> None:
    report = judged(program)
    assert not report.passed
    assert {finding.code for finding in report.findings} == {"GATE_UNSTABLE"}
    assert {finding.where for finding in report.findings} <= set(PROBES)


def test_T45_memory_is_seen_at_the_repeats_alone() -> None:
    assert 1 <= judged(remembering).differing <= 4


def test_T46_neighbours_that_are_equally_near_may_change_places() -> None:
    twins = {**GALLERY, **{f"{n + 5000:016x}": image for n, image in enumerate(GALLERY.values())}}
    plan = plan_second_pass(sorted(PROBES), sorted(twins), 3)
    first, second = (answers(retrieve, PROBES, twins), answers(retrieve, *shown(plan, twins)))
    strict = check_second_pass(first, second, plan, ranked=0)
    assert strict.differing > 0
    # Five are named, and twins come in pairs: the fifth has its twin behind the cut, whichever that is.
    assert_equal_but_for_the_last(first, second, plan)
    four = [{name: (*row[:4], *row[5:9]) for name, row in rows.items()} for rows in (first, second)]
    assert check_second_pass(four[0], four[1], plan, ranked=4).passed


def assert_equal_but_for_the_last(first: Answers, second: Answers, plan: SecondPass) -> None:
    for new, name in plan.probes.items():
        assert {plan.gallery[str(cell)] for cell in second[new][:4]} == set(first[name][:4])


def shown(plan: SecondPass, gallery: Images) -> tuple[Images, Images]:
    probes = {new: PROBES[old] for new, old in plan.probes.items()}
    return probes, {new: gallery[old] for new, old in plan.gallery.items()}


def test_T46_equal_numbers_are_no_way_around_the_comparison() -> None:
    def flat(probes: Images, gallery: Images) -> ResultTable:
        table = drawing(probes, gallery)
        return table._replace(similarities=np.ones_like(table.similarities))

    assert judged(flat).differing > 10


def test_T46_missing_answers_count_as_differing() -> None:
    plan = plan_second_pass(sorted(PROBES), sorted(GALLERY), 3, 10, 0)
    first = answers(retrieve, PROBES, GALLERY)
    report = check_second_pass(first, {}, plan, Tolerance(), 5)
    assert (report.compared, report.differing, report.passed) == (10, 10, False)
    assert not check_second_pass({}, {}, SecondPass({}, {}), ranked=5).passed
