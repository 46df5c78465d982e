"""The SAFAIR data format: what is written is what is read; every changed cell, file or pixel is named."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from aisc.datasets.attribute_faces import (
    Faces,
    constant_accuracy,
    describe,
    read_description,
    read_faces,
    read_pictures,
    verify_faces,
    write_split,
)
from aisc.datasets.attribute_faces_torch import FacesDataset, faces_loader
from aisc.datasets.attribute_goals import draw_given, draw_targets
from aisc.errors import UsageError

NAMES = ("hat", "beard", "smile", "bald")
COUNTS = {"train": 6, "val": 3, "hidden": 5}


def pictures(split):
    return np.random.default_rng(len(split)).integers(0, 256, (COUNTS[split], 112, 112, 3), dtype=np.uint8)


def faces(split, task):
    rng = np.random.default_rng(COUNTS[split])
    count = COUNTS[split]
    people = rng.integers(0, 4, count)
    attributes = rng.random((count, len(NAMES))) < 0.4
    goals = draw_targets(people, 4, rng) if task == "reid" else draw_given(attributes, 2, rng)
    return Faces(tuple(f"{k:06d}.png" for k in range(1, count + 1)), people, attributes, goals)


@pytest.fixture(params=["reid", "attributes"])
def folder(request, tmp_path):
    for split in COUNTS:
        write_split(tmp_path, split, faces(split, request.param), pictures(split), NAMES)
    describe(tmp_path, request.param, NAMES, 4, {"made_from": "noise", "seed": 1})
    return tmp_path


def test_a_dataset_comes_back_as_it_was_written(folder):
    described = verify_faces(folder)
    assert described.images == COUNTS
    assert described.attributes == NAMES
    for split in COUNTS:
        found, expected = read_faces(folder, split), faces(split, described.task)
        assert found.names == expected.names
        for one, other in zip(found[1:], expected[1:], strict=True):
            assert (one == other).all()
            assert one.dtype == other.dtype
        assert (read_pictures(folder, split, found.names) == pictures(split)).all()


def test_the_digest_names_every_file_but_the_description(folder):
    before = read_description(folder).sha256
    describe(folder, read_description(folder).task, NAMES, 4, {"made_from": "another sentence"})
    assert read_description(folder).sha256 == before
    Image.fromarray(pictures("val")[0]).save(folder / "hidden" / "000001.png")
    with pytest.raises(UsageError) as caught:
        verify_faces(folder)
    assert caught.value.code == "FACES_CHANGED"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("image,person", "image,who"),
        ("000002.png", "000001.png"),
        ("000002.png", "../outside.png"),
        ("000002.png", "000002.bmp"),
        ("000002.png,", "000002.png,x"),
        ("000002.png,", "000002.png,9"),
        ("000002.png,", "000002.png,-"),
        (",0\n", ",2\n"),
        (",1,", ",True,"),
        ("000005.png", ""),
    ],
)
def test_T35_a_wrong_cell_is_refused_with_its_table(folder, old, new):
    table = folder / "hidden.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=r"hidden\.csv") as caught:
        read_faces(folder, "hidden")
    assert caught.value.code == "FACES_TABLE"
    assert caught.value.remedy


def test_a_table_that_lost_a_row_is_refused(folder):
    table = folder / "hidden.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UsageError, match=r"dataset\.json"):
        read_faces(folder, "hidden")


def test_a_picture_is_decoded_by_the_same_strict_reader_as_submissions(folder):
    Image.new("RGBA", (112, 112)).save(folder / "hidden" / "000003.png")
    with pytest.raises(UsageError, match=r"000003\.png") as caught:
        verify_faces(folder)
    assert caught.value.code == "FACES_IMAGE"
    (folder / "hidden" / "000003.png").unlink()
    with pytest.raises(UsageError, match=r"000003\.png"):
        verify_faces(folder)


@pytest.mark.parametrize("change", [{"task": "age"}, {"people": 1}, {"size": [64, 64]}, {"surprise": 1}, "no JSON"])
def test_a_wrong_description_is_refused(folder, change):
    path = folder / "dataset.json"
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError) as caught:
        read_description(folder)
    assert caught.value.code == "FACES_DESCRIPTION"


def test_a_folder_without_a_dataset_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"dataset\.json") as caught:
        read_description(tmp_path)
    assert caught.value.code == "FACES_MISSING"


def test_what_looks_at_nothing_is_right_half_of_the_time():
    rng = np.random.default_rng(0)
    attributes = rng.random((4000, 12)) < np.linspace(0.08, 0.6, 12)
    for k in (1, 3):
        goals = draw_given(attributes, k, rng)
        found = Faces(("a",) * 4000, np.zeros(4000, np.int64), attributes, goals)
        asked = [(attributes[i, j], j) for i in range(4000) for j in goals[i]]
        expected = 0
        for number in range(12):
            there = [value for value, j in asked if j == number]
            expected += max(sum(there), len(there) - sum(there))
        assert constant_accuracy("attributes", found) == pytest.approx(100 * expected / len(asked))
        assert constant_accuracy("attributes", found) < 60
        assert (np.diff(goals, axis=1) > 0).all()


def test_targets_are_everybody_else_alike():
    people = np.repeat(np.arange(5), 400)
    targets = draw_targets(people, 5, np.random.default_rng(0))[:, 0]
    counts = np.bincount(people * 5 + targets, minlength=25).reshape(5, 5)
    assert (np.diag(counts) == 0).all()
    assert counts[~np.eye(5, dtype=bool)].min() > 60


def test_more_attributes_than_there_are_cannot_be_given():
    with pytest.raises(UsageError) as caught:
        draw_given(np.zeros((3, 2), bool), 3, np.random.default_rng(0))
    assert caught.value.code == "GIVEN_TOO_MANY"


def test_the_torch_dataset_gives_grey_levels_people_attributes_and_goals(folder):
    dataset = FacesDataset(folder, "val")
    expected = faces("val", dataset.description.task)
    assert len(dataset) == 3
    sample = dataset[1]
    assert sample.picture.dtype == torch.float32
    assert (sample.picture.numpy() == pictures("val")[1].transpose(2, 0, 1)).all()
    assert int(sample.person) == expected.people[1]
    assert sample.attributes.tolist() == expected.attributes[1].astype(float).tolist()
    assert sample.goal.tolist() == expected.goals[1].tolist()


def test_the_loader_batches_and_shuffles_by_its_seed(folder):
    batches = list(faces_loader(folder, "train", batch=4))
    assert [tuple(batch.picture.shape) for batch in batches] == [(4, 3, 112, 112), (2, 3, 112, 112)]
    orders = [
        torch.cat([batch.picture.sum((1, 2, 3)) for batch in faces_loader(folder, "train", shuffle=True, seed=seed)])
        for seed in (1, 1, 2)
    ]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
