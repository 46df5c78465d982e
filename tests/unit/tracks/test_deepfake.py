"""The deepfake rulebook: equation 1, the final's total, who counts where, and what a check tells."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from aisc.datasets.forgery_sets import Truth
from aisc.errors import UsageError
from aisc.submission.result_tables import ResultTable
from aisc.tracks.deepfake import (
    DeepfakeLimits,
    ExpertMark,
    check_result,
    final_total,
    read_table,
    score_table,
)

NAMES = ("dct", "mottle", "peaks")
LIMITS = DeepfakeLimits()


def truth(labels, gallery, groups=None):
    known = np.array(groups or ["labelled"] * len(labels))
    return Truth(NAMES, np.array(labels), np.array(gallery), known)


def table(neighbours, novelty=None):
    near = np.array(neighbours)
    return ResultTable(near, np.ones(near.shape), None if novelty is None else np.array(novelty))


GALLERY = [0] * 5 + [2] * 5
RIGHT, WRONG, MIXED = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [0, 1, 5, 6, 7]


def test_a_preliminary_is_precision_at_5_with_each_method_apart():
    outcome = score_table(table([RIGHT, WRONG, MIXED]), truth([0, 0, 2], GALLERY), "preliminary", LIMITS, 1)
    assert outcome.value == (5 + 0 + 3) / 15
    assert outcome.low <= outcome.value <= outcome.high
    assert outcome.parts == {"precision": outcome.value}
    assert outcome.per_method["dct"] == ("labelled", 2, 0.5, None)
    assert outcome.per_method["peaks"].precision == pytest.approx(0.6)
    assert set(outcome.per_method) == {"dct", "peaks"}


def test_a_final_counts_new_probes_for_the_area_alone():
    groups = ["labelled", "hidden", "new", "new"]
    novelty = [0.1, 0.6, 0.5, 0.9]
    outcome = score_table(
        table([RIGHT, MIXED, WRONG, WRONG], novelty), truth([0, 2, 1, 1], GALLERY, groups), "final", LIMITS, 1
    )
    assert outcome.parts == {"precision": 0.8, "novelty AUC": 0.75}
    assert outcome.value == pytest.approx(0.6 * 0.8 + 0.3 * 0.75)
    assert outcome.per_method["mottle"] == ("new", 2, None, 0.75)
    assert outcome.per_method["dct"].auc is None
    assert final_total(outcome.parts, 0.5, LIMITS) == pytest.approx(outcome.value + 0.05)


def test_a_final_s_interval_covers_what_other_probes_would_have_given():
    """Compared with resampling by scikit-learn, one sample at a time."""
    rng = np.random.default_rng(2)
    n = 300
    groups = np.where(np.arange(n) % 3 == 0, "new", "labelled")
    labels = np.where(groups == "new", 1, 0)
    near = np.where(rng.random((n, 5)) < 0.7, [0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    novelty = np.round(rng.random(n) + 0.5 * (groups == "new"), 1) / 1.5
    outcome = score_table(table(near, novelty), truth(labels, GALLERY, groups.tolist()), "final", LIMITS, 3)
    hits, values = (near < 5).mean(axis=1), []
    known, new = np.flatnonzero(groups != "new"), np.flatnonzero(groups == "new")
    for _ in range(400):
        drawn = np.r_[rng.choice(known, len(known)), rng.choice(new, len(new))]
        area = roc_auc_score(groups[drawn] == "new", novelty[drawn])
        values.append(0.6 * hits[drawn[: len(known)]].mean() + 0.3 * area)
    assert (outcome.low, outcome.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.008)
    again = score_table(table(near, novelty), truth(labels, GALLERY, groups.tolist()), "final", LIMITS, 3)
    assert again == outcome


def test_weights_are_a_setting_and_make_one():
    limits = DeepfakeLimits(precision_weight=0.5, auc_weight=0.5, mark_weight=0)
    assert final_total({"precision": 1.0, "novelty AUC": 0.0}, 1.0, limits) == 0.5
    for wrong in ({"mark_weight": 0.2}, {"auc_weight": float("nan")}, {"neighbours": 0}, {"memory": 3}):
        with pytest.raises(ValidationError):
            DeepfakeLimits(**wrong)


def test_a_dataset_with_one_kind_of_probe_is_the_organizers_fault():
    with pytest.raises(UsageError) as caught:
        score_table(table([RIGHT] * 2, [0.1, 0.2]), truth([0, 0], GALLERY), "final", LIMITS, 1)
    assert caught.value.code == "AUC_UNDEFINED"


def test_novelty_belongs_to_the_final():
    one = truth([0], GALLERY)
    for wrong, stage in ((table([RIGHT], [0.5]), "evaluation"), (table([RIGHT]), "final")):
        with pytest.raises(ValueError, match="final"):
            score_table(wrong, one, stage, LIMITS, 1)
    with pytest.raises(ValueError, match="final"):
        score_table(table([RIGHT]), truth([1], GALLERY, ["new"]), "evaluation", LIMITS, 1)


@pytest.mark.parametrize(
    "wrong", [{"mark": 1.1}, {"mark": float("nan")}, {"verdict": "maybe"}, {"team": " "}, {"extra": 1}]
)
def test_a_mark_is_a_number_from_0_to_1_with_a_verdict(wrong):
    right = {"team": "red", "verdict": "pass", "mark": 0.85}
    assert ExpertMark.model_validate(right).mark == 0.85
    with pytest.raises(ValidationError):
        ExpertMark.model_validate(right | wrong)


@pytest.fixture
def task_folder(tmp_path):
    """A participant's own task folder; the check looks at names and never into pictures."""
    for part, count in (("probe", 3), ("gallery", 6)):
        (tmp_path / part).mkdir()
        for number in range(count):
            (tmp_path / part / f"{number + (100 if part == 'probe' else 0):016x}.png").touch()
    (tmp_path / "task.json").write_text(json.dumps({
        "format": "aisc.deepfake-task/1", "stage": "preliminary", "neighbours": 5, "novelty": False,
        "probes": 3, "gallery": 6, "result": "result.csv",
    }))  # fmt: skip
    return tmp_path


def test_a_participant_s_check_names_lines(task_folder):
    rows = [[f"{100 + k:016x}", *(f"{j:016x}" for j in range(5)), 0.9, 0.8, 0.7, 0.6, 0.5] for k in range(3)]
    columns = ["probe", *(f"g{k}" for k in range(1, 6)), *(f"s{k}" for k in range(1, 6))]
    path = task_folder / "result.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    assert not check_result(path, task_folder).listed
    path.write_text(path.read_text().replace("0.7", "nan", 1))
    (finding,) = check_result(path, task_folder).listed
    assert (finding.code, finding.where) == ("RESULT_NUMBER", "result.csv, line 2")


def test_a_dataset_and_a_stage_ask_for_the_same_number_of_neighbours(task_folder):
    from aisc.datasets.forgery_sets import open_task

    with pytest.raises(UsageError) as caught:
        read_table(task_folder / "result.csv", open_task(task_folder), DeepfakeLimits(neighbours=3))
    assert caught.value.code == "TASK_NEIGHBOURS"
