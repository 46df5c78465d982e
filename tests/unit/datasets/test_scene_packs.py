import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from aisc.datasets.scene_packs import (
    SceneHead,
    import_scene,
    open_scene,
    open_set,
    verify_scene,
    verify_set,
    write_scene,
    write_set,
)
from aisc.errors import UsageError
from aisc.placement.light import FacePose

COUNT = 4
HEAD = SceneHead("hill", "truck", "scoring", 24.0, facts={"weather": "clear"})


def frames(count=COUNT, seed=1):
    rng = np.random.default_rng(seed)
    for number in range(count):
        corners = np.array([[10, 8], [30, 8], [30, 18], [10, 18]], float) + number
        box, cut = ((0, 0, 0, 0), np.zeros((0, 0), np.uint8)) if number % 2 else (
            (12, 9, 17, 12), rng.integers(0, 256, (3, 5), dtype=np.uint8))  # fmt: skip
        gain = rng.uniform(0.5, 1, (2, 3, 3)).astype(np.float32)
        yield (
            rng.integers(0, 256, (32, 48, 3), dtype=np.uint8),
            FacePose(corners, gain, np.float32([1, 2, number]), box, cut),
        )


@pytest.fixture
def scene(tmp_path):
    write_scene(tmp_path / "set" / "hill", HEAD, frames())
    return tmp_path / "set" / "hill"


def code_of(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_pack_gives_back_what_was_written(scene):
    pack = open_scene(scene)
    assert (pack.name, len(pack), pack.description.classes) == ("hill", COUNT, ("car", "truck", "bus"))
    for (pixels, pose), found, found_pose in zip(frames(), pack.frames(), pack.poses, strict=True):
        assert (pixels == found).all()
        assert (pose.corners == found_pose.corners).all()
        assert (pose.gain == found_pose.gain).all()
        assert (pose.haze == found_pose.haze).all()
        assert pose.occlusion_box == found_pose.occlusion_box
        assert (pose.occlusion == found_pose.occlusion).all()
    expected = [pixels for pixels, _ in frames()]
    assert (next(pack.frames(2)) == expected[2]).all()
    assert [len(list(pack.frames(1, stop))) for stop in (1, 2, 4)] == [0, 1, 3]
    assert verify_scene(scene).frames == COUNT


def test_the_same_scene_gives_the_same_bytes(scene, tmp_path):
    write_scene(tmp_path / "again", HEAD, frames())
    for name in ("scene.json", "track.npz", "frames.tar"):
        assert (tmp_path / "again" / name).read_bytes() == (scene / name).read_bytes()


def test_one_changed_byte_is_found(scene):
    for name in ("track.npz", "frames.tar"):
        data = bytearray((scene / name).read_bytes())
        data[len(data) // 2] ^= 1
        kept = (scene / name).read_bytes()
        (scene / name).write_bytes(bytes(data))
        assert code_of(verify_scene, scene) == "SCENE_CHECKSUM"
        (scene / name).write_bytes(kept)
    verify_scene(scene)


def test_a_set_names_its_scenes_by_content(scene):
    folder = scene.parent
    shutil.copytree(scene, folder / "valley")
    description = json.loads((folder / "valley" / "scene.json").read_text())
    (folder / "valley" / "scene.json").write_text(json.dumps(description | {"name": "valley"}))
    assert write_set(folder) == ["hill", "valley"]
    assert [pack.name for pack in open_set(folder)] == ["hill", "valley"]
    assert len(verify_set(folder)) == 2
    (folder / "valley" / "scene.json").write_text(json.dumps(description | {"name": "valley", "fps": 25.0}))
    assert code_of(open_set, folder) == "SCENE_CHECKSUM"


def edited(scene, **changes: Any) -> None:
    description = json.loads((scene / "scene.json").read_text())
    (scene / "scene.json").write_text(json.dumps(description | changes))


def rewritten_track(scene, **changes: Any) -> None:
    with np.load(scene / "track.npz") as file:
        arrays = dict(file) | changes
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (scene / "track.npz").write_bytes(buffer.getvalue())
    description = json.loads((scene / "scene.json").read_text())
    description["files"]["track.npz"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (scene / "scene.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    "changes",
    [
        {"corners": np.zeros((COUNT, 4, 2))},
        {"corners": np.zeros((COUNT - 1, 4, 2))},
        {"gain": np.full((COUNT, 2, 3, 3), np.nan, np.float32)},
        {"haze": np.full((COUNT, 3), 300, np.float32)},
        {"occlusion_boxes": np.tile(np.int32([0, 0, 100, 10]), (COUNT, 1))},
        {"occlusion": np.zeros(3, np.uint8)},
        {"corners": np.array([None] * COUNT)},
    ],
    ids=["flat", "too few", "NaN gain", "haze", "box", "cut", "pickle"],
)
def test_a_track_that_does_not_fit_is_refused(scene, changes):
    rewritten_track(scene, **changes)
    assert code_of(open_scene, scene) in {"SCENE_TRACK", "PLACEMENT_CORNERS"}


def test_wrong_descriptions_are_named(scene):
    edited(scene, frames=0)
    assert code_of(open_scene, scene) == "SCENE_DESCRIPTION"
    edited(scene, frames=COUNT, surprise=1)
    assert code_of(open_scene, scene) == "SCENE_DESCRIPTION"
    (scene / "scene.json").unlink()
    assert code_of(open_scene, scene) == "SCENE_MISSING"


def test_missing_and_wrong_frames_are_named(scene):
    pack = open_scene(scene)
    with tarfile.open(scene / "frames.tar", "w") as archive:
        entry = tarfile.TarInfo("../evil.png")
        archive.addfile(entry)
    assert code_of(lambda: list(pack.frames())) == "SCENE_FRAMES"
    (scene / "frames.tar").unlink()
    assert code_of(verify_scene, scene) == "SCENE_MISSING"


def test_a_frame_of_another_size_is_named(scene):
    edited(scene, size=[32, 47])
    pack = open_scene(scene)
    with pytest.raises(UsageError, match="frame 1: The image is 48 by 32") as caught:
        list(pack.frames())
    assert caught.value.code == "SCENE_FRAME"


def test_nothing_is_written_over(scene):
    assert code_of(write_scene, scene, HEAD, frames()) == "SCENE_EXISTS"


@pytest.mark.parametrize("video", [False, True], ids=["pictures", "video"])
def test_a_recorded_scene_is_imported(tmp_path, video):
    source = tmp_path / "source"
    (source / "frames").mkdir(parents=True)
    (source / "occlusion").mkdir()
    y, x = np.mgrid[0:64, 0:96]
    smooth = np.stack([x * 2, y * 3, x + y], axis=-1).astype(np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    mask[20:30, 40:44] = 200
    for number in range(3):
        cv2.imwrite(str(source / "occlusion" / f"{number}.png"), mask)
        if not video:
            cv2.imwrite(str(source / "frames" / f"{number}.png"), smooth[..., ::-1])
    if video:
        writer = cv2.VideoWriter(str(source / "frames.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 24, (96, 64))
        for _ in range(3):
            writer.write(np.ascontiguousarray(smooth[..., ::-1]))
        writer.release()
    (source / "corners.csv").write_text("30,10,60,10,60,40,30,40\n" * 3)
    (source / "light.csv").write_text("1,0.9,0.8,0,5,10\n" * 3)
    import_scene(source, tmp_path / "pack", HEAD)
    pack = open_scene(tmp_path / "pack")
    found = next(pack.frames())
    assert np.abs(found.astype(int) - smooth).mean() < (4 if video else 1e-9)
    pose = pack.poses[0]
    assert pose.corners[2].tolist() == [60, 40]
    assert pose.gain[0, 0].tolist() == pytest.approx([1, 0.9, 0.8])
    assert pose.occlusion_box == (40, 20, 44, 30)
    assert (pose.occlusion == 200).all()


def test_an_import_with_too_few_corners_is_refused(tmp_path):
    source = tmp_path / "source"
    (source / "frames").mkdir(parents=True)
    for number in range(2):
        cv2.imwrite(str(source / "frames" / f"{number}.png"), np.zeros((64, 96, 3), np.uint8))
    (source / "corners.csv").write_text("30,10,60,10,60,40,30,40\n")
    assert code_of(import_scene, source, tmp_path / "pack", HEAD) == "SCENE_IMPORT"
    assert not (tmp_path / "pack" / "scene.json").exists()
