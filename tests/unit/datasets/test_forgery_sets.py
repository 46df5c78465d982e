"""Hidden sets and training folders: what is wrong is named, what is imported carries nothing but content."""

import copy
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from aisc.datasets.forgery_copies import import_forgery_set, import_training_set, write_inputs
from aisc.datasets.forgery_sets import (
    TaskDescription,
    open_forgery_set,
    open_task,
    open_training_set,
    read_image,
    verify_images,
)
from aisc.errors import UsageError

DOCS = Path(__file__).parents[3] / "docs" / "formats"
CANARY = "canary-" + "0123456789abcdef" * 2
PROBES = {"a" * 16: ("peaks", "labelled"), "b" * 16: ("warp", "hidden"), "c" * 16: ("mottle", "new")}
GALLERY = {f"{number:016x}": (("peaks", "labelled"), ("warp", "hidden"))[number % 2] for number in range(10)}


def write_set(folder):
    """Write a small final's hidden set by hand, as the page describes it."""
    rng = np.random.default_rng(1)
    rows = ["id,set,label,group"]
    for part, pictures in (("probe", PROBES), ("gallery", GALLERY)):
        (folder / part).mkdir(parents=True)
        for name, (label, group) in pictures.items():
            cv2.imwrite(str(folder / part / f"{name}.png"), rng.integers(0, 256, (112, 112, 3), dtype=np.uint8))
            rows.append(f"{name},{part},{label},{group}")
    (folder / "truth.csv").write_text("\n".join(rows) + "\n")
    (folder / "canary.txt").write_text(CANARY + "\n")
    (folder / "task.json").write_text(json.dumps(TASK))
    (folder / "dataset.json").write_text("{}")
    return folder


TASK = {
    "format": "aisc.deepfake-task/1", "stage": "final", "neighbours": 5, "novelty": True,
    "probes": 3, "gallery": 10, "result": "result.csv",
}  # fmt: skip


@pytest.fixture
def hidden(tmp_path):
    return write_set(tmp_path / "hidden")


def refused(work, *arguments: object):
    with pytest.raises(UsageError) as caught:
        work(*arguments)
    assert caught.value.remedy
    return caught.value


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_right_set_opens_with_its_truth_in_the_order_of_the_ids(hidden):
    found = open_forgery_set(hidden)
    assert found.task.probes == tuple(sorted(PROBES))
    assert found.task.gallery == tuple(sorted(GALLERY))
    assert [found.truth.names[number] for number in found.truth.probes] == [PROBES[n][0] for n in found.task.probes]
    assert [found.truth.names[number] for number in found.truth.gallery] == [GALLERY[n][0] for n in found.task.gallery]
    assert found.truth.groups.tolist() == ["labelled", "hidden", "new"]
    assert found.truth.new.tolist() == [False, False, True]
    assert found.canary == CANARY
    assert verify_images(hidden, ["probe", "gallery"]) == 13


@pytest.mark.parametrize(("old", "new", "code", "word"), [
    ("id,set,label,group", "id,label,set,group", "FORGERY_SET_TRUTH", "line 1"),
    ("\n", "\nx,", "FORGERY_SET_TRUTH", "line 2"),
    ("a" * 16 + ",probe", "a" * 16 + ",gallery", "FORGERY_SET_TRUTH", "aaaa"),
    ("a" * 16 + ",probe", "b" * 16 + ",probe", "FORGERY_SET_TRUTH", "line 3"),
    ("a" * 16 + ",probe", "d" * 16 + ",probe", "FORGERY_SET_TRUTH", "aaaa"),
    ("a" * 16 + ",probe,peaks,labelled", "a" * 16 + ",probe,peaks,secret", "FORGERY_SET_TRUTH", "line 2"),
    ("a" * 16 + ",probe,peaks,labelled", "a" * 16 + ",probe,peaks,unlabelled", "FORGERY_SET_TRUTH", "peaks"),
    ("a" * 16 + ",probe,peaks", "a" * 16 + ",probe,Peaks", "FORGERY_SET_TRUTH", "line 2"),
    ("a" * 16 + ",probe,peaks", "a" * 16 + ",probes,peaks", "FORGERY_SET_TRUTH", "line 2"),
    ("a" * 16 + ",probe,peaks,labelled", "a" * 16 + ",probe,seam,labelled", "FORGERY_SET_LABEL", "0 pictures of seam"),
    ("mottle,new", "other,unlabelled", "FORGERY_SET_LABEL", "0 pictures of other"),
    ("0000000000000003,gallery,warp,hidden", "0000000000000003,gallery,mottle,new", "FORGERY_SET_LABEL", "mottle"),
    ("0000000000000003,gallery,warp,hidden", '0000000000000003,gallery,"warp,hidden', "FORGERY_SET_TRUTH", "line"),
])  # fmt: skip
def test_a_wrong_truth_is_refused_with_its_line(hidden, old, new, code, word):
    replace(hidden / "truth.csv", old, new)
    error = refused(open_forgery_set, hidden)
    assert error.code == code
    assert word in error.message


def test_novelty_wants_both_kinds_of_probes(hidden):
    text = (hidden / "truth.csv").read_text()
    (hidden / "truth.csv").write_text(text.replace("mottle,new", "peaks,labelled"))
    assert refused(open_forgery_set, hidden).code == "FORGERY_SET_LABEL"
    (hidden / "truth.csv").write_text(text)
    (hidden / "task.json").write_text(json.dumps(TASK | {"stage": "evaluation", "novelty": False}))
    assert refused(open_forgery_set, hidden).code == "FORGERY_SET_LABEL"


@pytest.mark.parametrize("change", [
    {"format": "aisc.deepfake-task/2"}, {"stage": "judgment"}, {"neighbours": 0}, {"neighbours": 5.0},
    {"neighbours": 11},
    {"novelty": "yes"}, {"novelty": 1}, {"probes": 0}, {"gallery": 4}, {"result": "../result.csv"}, {"extra": 1},
])  # fmt: skip
def test_a_wrong_task_is_refused(hidden, change):
    (hidden / "task.json").write_text(json.dumps(TASK | change))
    assert refused(open_task, hidden).code == "FORGERY_SET_TASK"


@pytest.mark.parametrize("missing", list(TASK))
def test_a_task_says_everything(hidden, missing):
    (hidden / "task.json").write_text(json.dumps({key: value for key, value in TASK.items() if key != missing}))
    error = refused(open_task, hidden)
    assert error.code == "FORGERY_SET_TASK"
    assert missing in error.message


def test_files_that_are_no_pictures_or_are_missing_are_named(hidden):
    (hidden / "probe" / "notes.txt").write_text("x")
    assert "notes.txt" in refused(open_task, hidden).message
    (hidden / "probe" / "notes.txt").unlink()
    (hidden / "probe" / f"{'a' * 16}.png").rename(hidden / "gallery" / f"{'a' * 16}.png")
    assert refused(open_task, hidden).code == "FORGERY_SET_IMAGES"
    (hidden / "gallery" / f"{'a' * 16}.png").rename(hidden / "probe" / f"{0:016x}.png")
    assert "is a probe and in the gallery" in refused(open_task, hidden).message
    assert refused(open_task, hidden / "nowhere").code == "FORGERY_SET_TASK"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"x" * (2 << 20)])
def test_a_file_that_is_no_picture_is_named(hidden, content):
    path = hidden / "probe" / f"{'a' * 16}.png"
    path.write_bytes(content)
    error = refused(verify_images, hidden, ["probe"])
    assert error.code == "FORGERY_SET_IMAGE"
    assert path.name in error.message


def test_a_picture_of_another_size_is_refused(hidden):
    path = hidden / "probe" / f"{'a' * 16}.png"
    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    assert "112" in refused(read_image, path).message


@pytest.mark.parametrize("text", ["", "canary", "canary-xyz", CANARY * 9])
def test_a_set_without_a_canary_is_refused(hidden, text):
    (hidden / "canary.txt").write_text(text)
    assert refused(open_forgery_set, hidden).code == "FORGERY_SET_CANARY"
    (hidden / "canary.txt").unlink()
    assert refused(open_forgery_set, hidden).code == "FORGERY_SET_CANARY"


def test_T38_an_import_brings_contents_without_times_and_sizes(hidden, tmp_path):
    for number, path in enumerate(sorted(hidden.rglob("*.png"))):
        cv2.imwrite(str(path), cv2.imread(str(path)) // 64 * 64, [cv2.IMWRITE_PNG_COMPRESSION, number % 10])
        os.utime(path, (number, number))
    assert len({path.stat().st_size for path in hidden.rglob("*.png")}) > 1
    (hidden / "notes.txt").write_text("not part of the format")
    target = tmp_path / "imported"
    found = import_forgery_set(hidden, target)
    assert found.task == open_forgery_set(target).task
    assert {path.name for path in target.iterdir()} == {
        "probe", "gallery", "task.json", "truth.csv", "canary.txt", "dataset.json",
    }  # fmt: skip
    for path in target.rglob("*.png"):
        np.testing.assert_array_equal(read_image(path), read_image(hidden / path.relative_to(target)))
    assert len({path.stat().st_size for path in target.rglob("*.png")}) == 1
    assert len({path.stat().st_mtime_ns for path in target.rglob("*") if path.is_file()}) == 1
    assert refused(import_forgery_set, hidden, target).code == "FORGERY_FOLDER_IN_USE"


def test_T41_a_program_s_inputs_hold_the_canary_and_nothing_of_the_truth(hidden, tmp_path):
    target = tmp_path / "input"
    assert write_inputs(hidden, target) == open_task(hidden)
    assert {path.name for path in target.iterdir()} == {"probe", "gallery", "task.json", "canary.txt"}
    assert CANARY in (target / "canary.txt").read_text()
    everything = b"".join(path.read_bytes() for path in target.rglob("*") if path.is_file())
    assert not any(label.encode() in everything for label, _ in PROBES.values())
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in target.rglob("*"))
    assert refused(write_inputs, hidden, target).code == "FORGERY_FOLDER_IN_USE"


def test_a_training_folder_is_checked_and_imported(hidden, tmp_path):
    source = tmp_path / "training"
    (source / "train").mkdir(parents=True)
    (hidden / "gallery").rename(source / "train" / "images")
    table = source / "train" / "labels.csv"
    table.write_text("id,label\n" + "".join(f"{name},{'' if k % 2 else 'peaks'}\n" for k, name in enumerate(GALLERY)))
    found = import_training_set(source, tmp_path / "imported")
    assert found == open_training_set(tmp_path / "imported")
    assert found.labels == ("peaks", "") * 5
    good = table.read_text()
    for old, new in (
        ("id,label", "label,id"),
        (",peaks", ",Not A Label"),
        (f"{1:016x},", f"{0:016x},"),
        (f"{1:016x}", "f" * 16),
    ):
        table.write_text(good.replace(old, new, 1))
        assert refused(open_training_set, source).code == "FORGERY_SET_TRUTH"


def test_the_published_schema_is_the_one_that_the_code_enforces():
    published = json.loads((DOCS / "deepfake-task.schema.json").read_text(encoding="utf-8"))
    remedy = (
        "run: python -c 'import json; from aisc.datasets.forgery_sets import TaskDescription as T;"
        " print(json.dumps(T.model_json_schema(), indent=2))' > docs/formats/deepfake-task.schema.json"
    )
    assert published == TaskDescription.model_json_schema(), remedy


def test_the_published_schema_and_the_code_judge_alike():
    """Each bound, type and name of the schema, broken one at a time."""
    schema = json.loads((DOCS / "deepfake-task.schema.json").read_text(encoding="utf-8"))
    assert set(schema["required"]) == set(TASK) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    wrong = {"string": 1, "integer": "1", "boolean": "true"}
    for name, rule in schema["properties"].items():
        values = [wrong[rule["type"]]]
        values += [rule["minimum"] - 1, rule["maximum"] + 1] if rule["type"] == "integer" else []
        values += ["other"] if "const" in rule or "enum" in rule else []
        for value in values:
            broken = copy.copy(TASK) | {name: value}
            with pytest.raises(ValidationError):
                TaskDescription.model_validate(broken)
        for value in rule.get("enum", [rule["const"]] if "const" in rule else []):
            TaskDescription.model_validate(TASK | {name: value})


def test_the_page_shows_a_task_that_the_code_accepts():
    page = (DOCS / "deepfake-submission.md").read_text(encoding="utf-8")
    TaskDescription.model_validate_json(page.split("```json\n")[1].split("```")[0])
