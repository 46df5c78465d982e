"""Attacks from receipt to bundle: what breaks rules 7, 9, 10 and 11 or ε is not what wins."""

import json
from typing import Any

import cv2
import numpy as np
import pytest

from aisc.errors import SubmissionRefusedError
from aisc.sandbox.contract import Verdict
from aisc.stages.evidence import evidence_table
from aisc.stages.rank_stage import measure, rank_stage

TRACK = "reid-attack"
FLOATS = """
cv2.imwrite(str(target / "float.tiff"), read(names[0]).astype(np.float32))
(target / "float.tiff").rename(target / names[0])
"""
IMAGES = 24
SHIFT = """
def shifted(picture, by):
    return np.where(picture >= 128, picture - by, picture + by).astype(np.uint8)
"""
SHIFTED = SHIFT + "\nfor name in names: write(name, shifted(read(name), 8))"
NOISE = """
def noisy(picture, seed):
    noise = np.random.default_rng(seed).integers(0, 2, picture.shape) * 16 - 8
    return (picture + noise).clip(0, 255).astype(np.uint8)
"""


def status(judged: Any) -> list[str]:
    return [image["status"] for image in json.loads((judged.bundle / "result.json").read_text())["images"]]


def test_an_attack_that_changes_nothing_gains_nothing(arena: Any) -> None:
    judged = arena.judge(TRACK, "A", "for name in names: write(name, read(name))")
    assert judged.score is not None
    assert judged.score.value == 0
    assert judged.score.parts["initial accuracy"] == judged.score.parts["final accuracy"] > 80
    assert judged.score.parts["images that count"] == IMAGES
    assert judged.score.parts["outside a sandbox"] == 1
    assert status(judged) == ["unchanged"] * IMAGES
    assert (judged.bundle / "contact-sheet.png").is_file()


@pytest.mark.parametrize(
    ("spoil", "outcome"),
    [
        ("write(names[0], shifted(read(names[0]), 9))", "over_epsilon"),
        ("write(names[0], read(names[0])[:56].astype(np.uint8))", "size"),
        ("write(names[0], read(names[0]).astype(np.uint16))", "format"),
        (FLOATS, "format"),
        ("(target / names[0]).write_bytes((target / names[0]).read_bytes()[:900])", "broken"),
        ("(target / names[0]).unlink()", "missing"),
        ("(target / names[0]).unlink(); (target / names[0]).symlink_to(source / 'images' / names[0])", "missing"),
    ],
    ids=["9 of 255", "half", "16 bits", "floats", "cut", "one is missing", "a link"],
)  # fmt: skip
def test_rule_7_a_spoiled_image_is_skipped_and_counts_for_the_defence(arena: Any, spoil: str, outcome: str) -> None:
    judged = arena.judge(TRACK, "A", f"{SHIFTED}\n{spoil}")
    assert judged.score is not None, judged.record["log"]
    assert judged.score.parts["images that count"] == IMAGES - 1
    assert status(judged) == [outcome] + ["ok"] * (IMAGES - 1)
    assert judged.findings[f"ALTERED_{outcome.upper()}"] == 1
    table = evidence_table(arena.bench, judged.run.run_key)
    right = table["altered_answer"].astype(int) == arena.hidden("reid").people
    assert judged.score.parts["final accuracy"] == pytest.approx(100 * (right[1:].sum() + 1) / IMAGES)


def test_T41_findings_tell_a_team_which_rule_each_image_breaks_and_not_how_far(arena: Any) -> None:
    program = """
for n, name in enumerate(names): write(name, shifted(read(name), 9 + n))
(target / names[0]).unlink()
"""
    judged = arena.judge(TRACK, "A", SHIFT + program)
    assert judged.findings == {"ALTERED_MISSING": 1, "ALTERED_OVER_EPSILON": IMAGES - 1}
    said = json.loads((judged.folder / "findings").read_text())["findings"]
    names = arena.hidden("reid").names
    assert {(one["code"], one["where"]) for one in said} <= {("ALTERED_MISSING", names[0])} | {
        ("ALTERED_OVER_EPSILON", name) for name in names[1:]
    }
    assert len({one["message"] for one in said}) == 2, "one sentence a rule, whatever the program did"
    assert max(judged.record["changes"]) > 20, "organizers see how far"
    assert judged.score is not None
    assert judged.score.value <= 0


def test_the_contact_sheet_crosses_out_what_does_not_count(arena: Any) -> None:
    unchanged = "for name in names: write(name, read(name))\n"
    kept = arena.judge(TRACK, "A", unchanged)
    lost = arena.judge(TRACK, "B", unchanged + "(target / names[1]).unlink()")
    before, after = (cv2.imread(str(judged.bundle / "contact-sheet.png")).astype(int) for judged in (kept, lost))
    rows, columns = np.nonzero(np.abs(before - after).max(axis=2))
    assert rows.max() < before.shape[0] / 3, "in the first row of images"
    third = before.shape[1] / 3
    assert third <= columns.min() <= columns.max() < 2 * third, "and there the second one alone"
    assert columns.size > 112 * 112


def test_rule_9_the_second_pass_finds_an_attack_by_chance(arena: Any) -> None:
    arena.limit(TRACK, second_pass=8)
    chance = arena.judge(TRACK, "A", NOISE + "for name in names: write(name, noisy(read(name), None))")
    fixed = arena.judge(TRACK, "B", NOISE + "for name in names: write(name, noisy(read(name), 1))")
    assert chance.score is not None
    assert fixed.score is not None
    assert chance.score.parts["second answers that differ"] == 8
    assert fixed.score.parts["second answers that differ"] == 0
    assert len(chance.record["second_pass"]["images"]) == chance.record["second_pass"]["compared"] == 8


def test_rule_8_the_second_pass_finds_an_attack_that_counts(arena: Any) -> None:
    arena.limit(TRACK, second_pass=8)
    program = NOISE + "for number, name in enumerate(names): write(name, noisy(read(name), number))"
    judged = arena.judge(TRACK, "A", program)
    assert judged.score is not None
    assert judged.score.parts["second answers that differ"] >= 6


def test_rule_11_at_the_time_limit_finished_images_count(arena: Any) -> None:
    arena.ends = Verdict.TIMEOUT
    judged = arena.judge(TRACK, "A", SHIFT + "for name in names[:10]: write(name, shifted(read(name), 8))")
    assert judged.record["verdict"] == "TIMEOUT"
    assert judged.run.state == "scored"
    assert judged.score is not None
    assert judged.score.parts["images that count"] == 10
    assert status(judged) == ["ok"] * 10 + ["missing"] * (IMAGES - 10)
    assert judged.findings["TIMEOUT"] == 1, "and the team is told"


def test_a_program_that_crashes_has_failed(arena: Any) -> None:
    judged = arena.judge(TRACK, "A", f"{SHIFTED}\nsys.exit(3)")
    assert (judged.run.state, judged.run.code, judged.score) == ("failed", "CRASHED", None)


def test_a_team_sees_no_hidden_image_where_the_stage_shows_none(arena: Any) -> None:
    arena.limit(TRACK, shown=0)
    judged = arena.judge(TRACK, "A", SHIFTED)
    assert not list(judged.bundle.rglob("*.png"))


def test_rule_10_the_best_of_three_counts_and_a_fourth_is_refused(arena: Any) -> None:
    unchanged = "for name in names: write(name, read(name))"
    arena.judge(TRACK, "A", unchanged)
    best = arena.judge(TRACK, "A", SHIFTED)
    assert best.score is not None
    with pytest.raises(SubmissionRefusedError) as refused:
        arena.submit(TRACK, "A", unchanged)
    assert refused.value.code == "QUOTA_DAY"
    arena.now = arena.now.replace(day=11)
    arena.judge(TRACK, "A", unchanged + "; 1")
    arena.now = arena.now.replace(day=12)
    with pytest.raises(SubmissionRefusedError) as refused:
        arena.submit(TRACK, "A", unchanged)
    assert refused.value.code == "QUOTA_TOTAL"
    (row,) = rank_stage(arena.bench, arena.season, f"{TRACK}/initial").rows
    values = [0.0, best.score.value, 0.0]
    assert row.score == max(values)
    assert measure(arena.season.stage(f"{TRACK}/initial")).higher_is_better
