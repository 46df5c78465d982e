"""Defences from receipt to board: lowest delta first, and who errs, forgets to answer or never changes does not win."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aisc.datasets.attribute_faces import read_pictures
from aisc.evaluations.safair_inputs import open_hidden
from aisc.evaluations.safair_probes import SETS, defence_batch, probed_pictures
from aisc.kit import write_kit
from aisc.leaderboard.ranking import rank
from aisc.sandbox.contract import Verdict
from aisc.stages.evidence import evidence_table
from aisc.stages.rank_stage import measure, rank_stage
from aisc.stages.sweep_stage import resolve_version

TRACK, STAGE = "reid-defence", "reid-defence/initial"
IMAGES = 24
EXACT = """
def exact(picture):
    return see(picture) if min(np.abs(clean[name] - picture).sum() for name in clean) == 0 else [0]
answer((name, exact(read(name))) for name in names)
"""
ALL = "answer((name, see(read(name))) for name in names)"


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_a_defence_that_is_always_right_loses_nothing(arena: Any, task: str) -> None:
    judged = arena.judge(f"{task}-defence", "A", arena.oracle(task) + ALL)
    assert judged.score is not None, judged.record["log"]
    assert judged.score.value == 0
    assert judged.score.parts["initial accuracy"] == 100
    assert judged.score.parts["accuracy under PGD"] == 100
    assert not list(judged.bundle.rglob("*.png")), "nothing of the hidden images"
    assert json.loads((judged.bundle / "result.json").read_text())["images"] == []


def test_rule_6_an_input_without_an_answer_is_failed(arena: Any) -> None:
    # One in four rows is left out; which image and set each is, the program does not know: the test looks it up.
    judged = arena.judge(TRACK, "A", arena.oracle() + "names = names[::4]\n" + ALL)
    assert judged.score is not None
    table = evidence_table(arena.bench, judged.run.run_key)
    right = [100 * table[f"{name}_right"].mean() for name in SETS]
    shown = ("initial accuracy", "accuracy under FGSM", "accuracy under BIM", "accuracy under PGD")
    assert [judged.score.parts[name] for name in shown] == pytest.approx(right)
    assert sum(right) == pytest.approx(100), "a quarter of four sets"
    assert judged.score.value == pytest.approx(0.2 * (right[0] - right[1]) + 0.4 * (2 * right[0] - right[2] - right[3]))
    assert judged.findings == {"ANSWER_MISSING": 1}


def test_rule_12_the_lowest_delta_is_first_and_its_submission_counts(arena: Any) -> None:
    see = arena.oracle()
    # Wrong wherever the picture is not exactly the clean one: 100 points lost.
    fragile = see + EXACT
    worst = arena.judge(TRACK, "A", fragile)
    best = arena.judge(TRACK, "A", see + ALL)
    arena.judge(TRACK, "B", fragile + "\n")
    assert worst.score is not None
    assert worst.score.value > 90
    rows = {row.team: row for row in rank_stage(arena.bench, arena.season, STAGE).rows}
    assert (rows["A"].score, rows["A"].submission) == (0, best.receipt.id)
    told = measure(arena.season.stage(STAGE))
    assert not told.higher_is_better
    assert [one.entry.team for one in rank(list(rows.values()), higher_is_better=told.higher_is_better)] == ["A", "B"]


@pytest.mark.parametrize(
    "program",
    [
        "answer((name, [3]) for name in names)",
        "answer((name, see(read(name)) if read(name).sum() % 3 == 0 else [0]) for name in names)",
    ],
    ids=["constant", "errs on clean images"],
)
def test_a_defence_with_little_to_lose_is_void(arena: Any, program: str) -> None:
    judged = arena.judge(TRACK, "A", arena.oracle() + program)
    assert judged.score is not None
    assert judged.score.value < 60
    assert judged.run.code == "CLEAN_ACCURACY_TOO_LOW"
    (row,) = rank_stage(arena.bench, arena.season, STAGE).rows
    assert (row.state, row.score, row.reason_code) == ("void", None, "CLEAN_ACCURACY_TOO_LOW")
    initial = judged.score.parts["initial accuracy"]
    assert f"{initial:.1f} points" in row.reason
    assert f"{initial - judged.score.value:.1f}" in row.reason
    result = json.loads((judged.bundle / "result.json").read_text())
    assert (result["state"], result["score"]) == ("void", None)
    assert rank([row], higher_is_better=False) == ()


def test_a_void_submission_never_counts_where_another_one_stands(arena: Any) -> None:
    see = arena.oracle()
    half = EXACT
    standing = arena.judge(TRACK, "A", see + half)
    constant = arena.judge(TRACK, "A", "answer((name, [3]) for name in names)")
    assert constant.score is not None
    assert standing.score is not None
    assert constant.score.value < standing.score.value
    (row,) = rank_stage(arena.bench, arena.season, STAGE).rows
    assert (row.state, row.submission, row.history) == ("scored", standing.receipt.id, ())


def test_faithful_to_the_page_a_constant_classifier_stands(arena: Any) -> None:
    arena.limit(TRACK, faithful=True)
    judged = arena.judge(TRACK, "A", "answer((name, [3]) for name in names)")
    (row,) = rank_stage(arena.bench, arena.season, STAGE).rows
    assert (row.state, row.score) == ("scored", 0)
    assert judged.run.code is None


def test_rule_9_the_second_pass_finds_a_defence_by_chance(arena: Any) -> None:
    arena.limit(TRACK, second_pass=16)
    see = arena.oracle()
    chance = arena.judge(TRACK, "A", see + "answer((name, [np.random.default_rng().integers(100)]) for name in names)")
    fixed = arena.judge(TRACK, "B", see + ALL)
    assert chance.score is not None
    assert fixed.score is not None
    assert chance.score.parts["second answers that differ"] >= 12
    assert fixed.score.parts["second answers that differ"] == 0


def test_rule_8_the_second_pass_finds_a_defence_that_looks_at_the_other_versions(arena: Any) -> None:
    arena.limit(TRACK, second_pass=16)
    # Four pictures lie close together; the middle one of each four is not seen as such when it comes alone.
    program = """
pictures = {name: read(name) for name in names}
near = {name: sum(np.abs(pictures[name] - pictures[other]).mean() < 12 for other in names) for name in names}
answer((name, [near[name]]) for name in names)
"""
    judged = arena.judge(TRACK, "A", program)
    assert judged.score is not None
    assert judged.score.parts["second answers that differ"] >= 12


def test_rule_11_at_the_time_limit_the_rows_that_are_there_count(arena: Any) -> None:
    arena.ends = Verdict.TIMEOUT
    program = (
        arena.oracle()
        + """
with (target / "predictions.csv").open("w") as file:
    print("image,person", file=file)
    for name in names[:60]: print(name, *see(read(name)), sep=",", file=file)
    print(names[60][:7], end="", file=file)
"""
    )
    judged = arena.judge(TRACK, "A", program)
    assert judged.record["verdict"] == "TIMEOUT"
    assert judged.score is not None
    assert sum(judged.score.parts[f"accuracy under {name.upper()}"] for name in SETS[1:]) + judged.score.parts[
        "initial accuracy"
    ] == pytest.approx(100 * 60 / IMAGES)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", "PREDICTIONS_MISSING"),
        ("answer((name, [1]) for name in [*names, names[0]])", "ANSWER_TOO_MANY_ROWS"),
        ("answer((name, [1]) for name in [names[0], names[0]])", "ANSWER_REPEATED"),
        ("answer([('000001.png', [1])])", "ANSWER_UNKNOWN"),
        ("columns = ['who']; answer((name, [1]) for name in names)", "ANSWER_COLUMNS"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(arena: Any, program: str, code: str) -> None:
    judged = arena.judge(TRACK, "A", program)
    assert (judged.run.state, judged.run.code, judged.score) == ("refused", code, None)


def test_T38_names_tell_nothing_and_the_sets_are_mixed(arena: Any) -> None:
    version = resolve_version(arena.bench, arena.season.stage(STAGE))
    batch = defence_batch(arena.bench, version)
    order = sorted(path.name for path in (batch.folder / "images").iterdir())
    assert len(order) == 4 * IMAGES
    of = {name: one for one in SETS for name in batch.names[one]}
    sets = np.array([SETS.index(of[name]) for name in order])
    assert abs(np.corrcoef(sets, np.arange(len(sets)))[0, 1]) < 0.25
    runs = 1 + np.count_nonzero(np.diff(sets))
    assert runs > len(sets) / 2, "not in blocks"
    assert {path.name for path in batch.folder.iterdir()} == {"images", "task.json"}


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_probes_stay_within_epsilon_and_are_computed_once(arena: Any, task: str) -> None:
    version = resolve_version(arena.bench, arena.season.stage(f"{task}-defence/initial"))
    hidden = open_hidden(arena.bench, version)
    np.testing.assert_array_equal(hidden.pictures, read_pictures(arena.faces[task], "hidden", hidden.faces.names))
    probed = probed_pictures(arena.bench, version, hidden)
    for name in SETS[1:]:
        change = np.abs(probed[name].astype(int) - hidden.pictures)
        assert change.max() == 8, name
        assert change.reshape(IMAGES, -1).max(axis=1).min() > 0, name
    assert not np.array_equal(probed["bim"], probed["pgd"])


def test_a_kit_holds_nothing_hidden(arena: Any, tmp_path: Path) -> None:
    for track in ("reid-attack", "reid-defence"):
        kit = tmp_path / track
        write_kit(arena.bench, arena.season.stage(f"{track}/initial"), kit)
        assert {path.name for path in (kit / "faces").iterdir()} == {
            "train", "val", "train.csv", "val.csv", "dataset.json",
        }  # fmt: skip
        described = json.loads((kit / "faces" / "dataset.json").read_text())
        assert described["recipe"] == {}, "a seed would make the hidden images again"
        assert described["images"] == {"train": 6, "val": 4}
        secret = {path.read_bytes() for path in (arena.faces["reid"] / "hidden").iterdir()}
        assert not secret & {path.read_bytes() for path in kit.rglob("*.png")}
