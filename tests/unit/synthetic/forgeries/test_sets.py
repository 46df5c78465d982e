"""Forged sets: what the formats promise, who knows of which method, and that nothing but pixels tells the label."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2_contingency, kruskal

from aisc.datasets.forgery_sets import open_forgery_set, open_training_set, read_image, verify_images
from aisc.errors import UsageError
from aisc.synthetic.forgeries import make_task, make_training_set
from aisc.synthetic.forgeries.methods import METHODS, known_methods, methods_of
from aisc.synthetic.forgeries.sets import task_forgeries

SEED = 31337  # small, for a test; that of a hidden set is large and random


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    told = []
    make_training_set(folder, images=21, seed=5, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (21, 21)
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    make_task(folder / "preliminary", "preliminary", probes=11, gallery=35, seed=SEED)
    make_task(folder / "evaluation", "evaluation", probes=12, gallery=45, seed=SEED)
    make_task(folder / "final", "final", probes=15, gallery=45, seed=SEED)
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_groups_are_as_large_as_the_rules_ask_and_disjoint():
    counts = Counter(method.group for method in METHODS)
    assert counts["labelled"] >= 4
    assert counts["unlabelled"] >= 3
    assert counts["hidden"] >= 2
    assert counts["new"] >= 2
    assert len({method.name for method in METHODS}) == len(METHODS)


def test_a_training_folder_names_the_labelled_methods_and_no_other(training):
    found = open_training_set(training)
    named = {method.name for method in methods_of("labelled")}
    assert Counter(found.labels) == Counter({"": 9} | dict.fromkeys(named, 3))
    assert verify_images(training, ["train/images"]) == 21
    text = (training / "dataset.json").read_text()
    assert not any(method.name in text for method in METHODS if method.group != "labelled")
    assert "seed" not in text


@pytest.mark.parametrize(("stage", "groups"), [
    ("preliminary", {"labelled", "unlabelled"}), ("evaluation", {"labelled", "unlabelled", "hidden"}),
    ("final", {"labelled", "unlabelled", "hidden"}),
])  # fmt: skip
def test_a_hidden_set_opens_and_shows_its_stage_s_methods(sets, stage, groups):
    found = open_forgery_set(sets / stage)
    assert verify_images(sets / stage, ["probe", "gallery"]) == len(found.truth.probes) + len(found.truth.gallery)
    shown = {found.truth.names[number] for number in found.truth.gallery}
    assert shown == {method.name for method in methods_of(*groups)} == {m.name for m in known_methods(stage)}
    assert found.task.description.novelty == (stage == "final") == bool(found.truth.new.any())
    if stage == "final":
        assert found.truth.new.sum() == 5


def test_the_final_keeps_the_gallery_and_renames_the_known_probes(sets):
    evaluation, final = (open_forgery_set(sets / stage) for stage in ("evaluation", "final"))
    assert final.task.gallery == evaluation.task.gallery
    for name in final.task.gallery[:5]:
        assert (sets / f"final/gallery/{name}.png").read_bytes() == (
            sets / f"evaluation/gallery/{name}.png"
        ).read_bytes()
    before, after = (
        {(sets / stage / "probe" / f"{name}.png").read_bytes() for name in found.task.probes}
        for stage, found in (("evaluation", evaluation), ("final", final))
    )
    assert len(before & after) == 10
    assert not set(final.task.probes) & set(evaluation.task.probes)


def test_same_arguments_give_the_same_bytes_and_workers_change_nothing(sets, tmp_path):
    make_task(tmp_path / "again", "preliminary", probes=11, gallery=35, seed=SEED, jobs=2)
    assert files(tmp_path / "again") == files(sets / "preliminary")


def test_no_picture_of_one_set_is_in_another(training, sets):
    names = ["preliminary/probe", "preliminary/gallery", "evaluation/probe", "evaluation/gallery"]
    everything = [read_image(p).tobytes() for name in names for p in (sets / name).glob("*.png")]
    everything += [read_image(path).tobytes() for path in (training / "train/images").glob("*.png")]
    assert len(set(everything)) == len(everything) == 11 + 35 + 12 + 45 + 21


def test_T38_size_time_and_place_in_a_table_say_nothing(training, sets):
    paths = [path for folder in (training, sets) for path in folder.rglob("*.png")]
    assert len({path.stat().st_size for path in paths}) == 1
    assert (
        len({path.stat().st_mtime_ns for folder in (training, sets) for path in folder.rglob("*") if path.is_file()})
        == 1
    )
    for table in [*sets.glob("*/truth.csv"), training / "train/labels.csv"]:
        names = [row["id"] for row in csv.DictReader(table.open())]
        assert names == sorted(names)


@pytest.mark.parametrize("stage", ["preliminary", "evaluation", "final"])
def test_T38_names_and_their_order_are_independent_of_labels(stage):
    """Five thousand pictures; the bounds are those that chance alone passes 999 times of 1000."""
    forgeries = task_forgeries(stage, 2500, 2500, SEED)
    for part in ("probe", "gallery"):
        chosen = sorted((Path(item.path).stem, item.method) for item in forgeries if item.path.startswith(part))
        methods = sorted({method for _, method in chosen})
        places = [[place for place, (_, method) in enumerate(chosen) if method == name] for name in methods]
        assert kruskal(*places).pvalue > 0.001
        for digit in (0, 7, 15):
            table = np.zeros((len(methods), 16))
            for name, method in chosen:
                table[methods.index(method), int(name[digit], 16)] += 1
            assert chi2_contingency(table).pvalue > 0.001
        neighbours = np.array([methods.index(method) for _, method in chosen])
        same = (neighbours[1:] == neighbours[:-1]).mean()
        expected = sum((neighbours == k).mean() ** 2 for k in range(len(methods)))
        assert abs(same - expected) < 3.3 * np.sqrt(expected * (1 - expected) / len(neighbours))


def test_T38_names_need_the_seed():
    one, other = (sorted(item.path for item in task_forgeries("final", 50, 50, seed)) for seed in (1, 2))
    assert not set(one) & set(other)


def test_T41_the_canary_stands_in_the_inputs_and_in_no_public_file(training, sets):
    canaries = set()
    for stage in ("preliminary", "evaluation", "final"):
        found = open_forgery_set(sets / stage)
        canaries.add(found.canary)
        assert json.loads((sets / stage / "dataset.json").read_text())["canary"] == found.canary
        assert found.canary not in (sets / stage / "task.json").read_text()
    assert len(canaries) == 3
    assert not any(canary.encode() in data for canary in canaries for data in files(training).values())


@pytest.mark.parametrize(("arguments", "code"), [
    ({"stage": "preliminary", "probes": 11, "gallery": 34}, "FORGERY_SET_TOO_SMALL"),
    ({"stage": "final", "probes": 10, "gallery": 45}, "FORGERY_SET_TOO_SMALL"),
])  # fmt: skip
def test_a_set_too_small_to_score_is_not_made(tmp_path, arguments, code):
    with pytest.raises(UsageError) as caught:
        make_task(tmp_path, **arguments, seed=1)
    assert caught.value.code == code
    with pytest.raises(UsageError):
        make_training_set(tmp_path, images=6, seed=1)


def test_pictures_are_never_mixed_into_a_folder_in_use(training):
    with pytest.raises(UsageError) as caught:
        make_training_set(training, images=21, seed=6)
    assert caught.value.code == "FORGERY_FOLDER_IN_USE"
