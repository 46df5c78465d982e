"""Every format of datasets: told by its description, taken from a folder of real data, verified to the last file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aisc.datasets.formats import DESCRIPTION, FORMATS, format_name, verify_dataset
from aisc.datasets.scene_packs import FRAMES_FILE, SCENE_FILE, TRACK_FILE, open_set
from aisc.errors import UsageError
from tests.driving_world import FRAME, HEAD, frames, record, write_scenes


def say_nothing(done: int, total: int) -> None:
    pass


def take(source: Path, target: Path, form: str = "scene-packs") -> str:
    target.mkdir()
    return FORMATS[form].take(source, target, say_nothing)


def code_of(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_recording_becomes_a_set_that_says_the_same_when_verified(tmp_path):
    record(tmp_path / "real" / "hill")
    write_scenes(tmp_path / "real" / "more", 1)  # a pack among recordings, in a folder of another name
    (tmp_path / "real" / "more" / "truck-1").rename(tmp_path / "real" / "truck-1")
    (tmp_path / "real" / "more" / DESCRIPTION).unlink()
    (tmp_path / "real" / "more").rmdir()
    holds = take(tmp_path / "real", tmp_path / "set")
    assert holds == "2 scenes (hill, truck-1)"
    assert format_name(tmp_path / "set") == "scene-packs"
    assert verify_dataset(tmp_path / "set", tmp_path / "scratch", say_nothing) == holds
    hill, _ = open_set(tmp_path / "set")
    assert (hill.description.target, hill.description.role, hill.description.size) == ("truck", "scoring", FRAME)
    for (pixels, pose), found, found_pose in zip(frames(3, "truck", 20), hill.frames(), hill.poses, strict=True):
        assert (pixels == found).all()
        assert (pose.corners == found_pose.corners).all()


def test_pairs_of_faces_are_taken_and_verified(tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "scratch").mkdir()
    rng = np.random.default_rng(0)
    for name in ("0001.png", "0001_compare.png", "0002.png", "0002_compare.png"):
        cv2.imwrite(str(tmp_path / "pairs" / name), rng.integers(0, 256, (112, 112, 3), dtype=np.uint8))
    assert take(tmp_path / "pairs", tmp_path / "set", "face-pairs") == "2 pairs"
    assert verify_dataset(tmp_path / "set", tmp_path / "scratch", say_nothing) == "2 pairs"


@pytest.mark.parametrize(
    "text", ["{}", "[]", "nonsense", '"scene-packs/1"', '{"format": 1}', '{"format": "scene-pack/1"}'], ids=str
)
def test_a_folder_that_names_no_format_is_refused(tmp_path, text):
    (tmp_path / DESCRIPTION).write_text(text)
    assert code_of(format_name, tmp_path) == "DATASET_FORMAT"


def test_a_folder_without_a_description_is_refused(tmp_path):
    assert code_of(format_name, tmp_path) == "DATASET_FORMAT"


@pytest.mark.parametrize(
    ("head", "field"),
    [
        (None, "head.json"),
        ([], "head.json"),
        ({"target": "truck"}, "head.json"),
        (HEAD | {"surprise": 1}, "head.json"),
        (HEAD | {"target": "lorry"}, "target"),
        (HEAD | {"fps": 0}, "fps"),
        (HEAD | {"facts": None}, "facts"),
        (HEAD | {"name": "x"}, "head.json"),
    ],
)
def test_a_recording_that_does_not_say_what_it_is_is_refused(tmp_path, head, field):
    record(tmp_path / "real" / "hill", head=head)
    with pytest.raises(UsageError, match=field) as caught:
        take(tmp_path / "real", tmp_path / "set")
    assert caught.value.code == "SCENE_IMPORT"
    assert not (tmp_path / "set" / DESCRIPTION).exists()


@pytest.mark.parametrize("missing", ["head.json", "corners.csv", "frames"])
def test_a_recording_that_lacks_a_part_is_refused(tmp_path, missing):
    folder = record(tmp_path / "real" / "hill")
    (folder / missing).rename(tmp_path / "elsewhere")
    assert code_of(take, tmp_path / "real", tmp_path / "set") == "SCENE_IMPORT"
    assert not (tmp_path / "set" / DESCRIPTION).exists()


def test_a_folder_without_scenes_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    assert code_of(take, tmp_path / "real", tmp_path / "set") == "SCENE_SET"


@pytest.mark.parametrize(
    ("file", "code"),
    [(SCENE_FILE, "SCENE_CHECKSUM"), (TRACK_FILE, "SCENE_CHECKSUM"), (FRAMES_FILE, "SCENE_CHECKSUM")],
)
def test_an_edited_set_does_not_verify(tmp_path, file, code):
    path = write_scenes(tmp_path / "set", 1) / "truck-1" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert code_of(verify_dataset, tmp_path / "set", tmp_path, say_nothing) == code


@pytest.mark.parametrize("file", [SCENE_FILE, TRACK_FILE, FRAMES_FILE])
def test_a_set_that_lacks_a_file_does_not_verify(tmp_path, file):
    (write_scenes(tmp_path / "set", 1) / "truck-1" / file).unlink()
    assert code_of(verify_dataset, tmp_path / "set", tmp_path, say_nothing) == "SCENE_MISSING"
