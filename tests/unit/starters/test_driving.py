"""The driving track's starter kit, run as a participant runs it, on a tiny kit with random networks."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from aisc.datasets.scene_packs import write_set
from aisc.placement.differentiable import place_tensor
from aisc.placement.light import plain_pose
from aisc.submission.canvases import read_canvases
from aisc.synthetic.driving.recipe import head_of
from aisc.synthetic.driving.scenes import build_scene, make_scene, scene_specs
from aisc.synthetic.driving.things import Thing
from aisc.victims.detector_networks import build_detector

STARTER = Path(__file__).parents[3] / "images" / "starters" / "driving"
METHODS = ("pinhole-class", "joint", "momentum-objectness", "mask-search", "adam-objectness")
CONTROLS = ("blank", "noise", "grey", "black")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one drive of three frames, clean and patched, and two random detectors."""
    folder = tmp_path_factory.mktemp("kit")
    for spec in scene_specs("training")[:2]:
        make_scene(folder / "scenes" / spec.name, spec._replace(start=20.0), frames=3)
    write_set(folder / "scenes")
    (folder / "stage.json").write_text(json.dumps({"stage": "driving/preliminary", "canvases": ["truck.png"]}))
    (folder / "detectors").mkdir()
    torch.manual_seed(1)
    for design in ("anchors", "peaks"):
        network = build_detector(design).eval()
        script = torch.jit.trace(network, torch.zeros(1, 3, 256, 416), check_trace=False)
        script.save(str(folder / "detectors" / f"{design}.pt"))
        (folder / "detectors" / f"{design}.json").write_text(head_of(design).model_dump_json())
    return folder


def run(kit: Path, method: str, out: Path) -> str:
    command = [sys.executable, STARTER / "attack.py", kit, "--method", method, "--out", out, "--steps", "2"]
    done = subprocess.run([*map(str, command), "--every", "1", "--threads", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_legal_submission(kit, tmp_path, method):
    assert "truck.png" in run(kit, method, tmp_path / "a.zip")
    report = read_canvases(tmp_path / "a.zip", ["truck.png"])
    assert not report.findings.listed
    canvas = report.canvases["truck.png"]
    assert 1 <= canvas.regions <= 5
    assert canvas.covered == 1260 * 2790 if method != "mask-search" else canvas.covered > 1e6


def test_controls_are_what_they_say(kit, tmp_path):
    found = {}
    for name in CONTROLS:
        run(kit, name, tmp_path / f"{name}.zip")
        report = read_canvases(tmp_path / f"{name}.zip", ["truck.png"])
        assert not report.findings.refused
        found[name] = report.canvases["truck.png"]
    assert found["blank"].covered == 0
    assert (found["grey"].rgb == 128).all()
    assert (found["black"].rgb == 0).all()
    assert found["noise"].rgb.std() > 40


@pytest.fixture
def starter(monkeypatch):
    monkeypatch.syspath_prepend(str(STARTER))


def target_corners(sway: float = 0.0) -> np.ndarray:
    spec = scene_specs("truck")[0]._replace(yaw=0.05)
    world = build_scene(spec)
    (target,) = (thing for thing in world.things if thing.face is not None)
    assert isinstance(target, Thing)
    drive = world.drive._replace(sway=sway, turn=0.0)
    return np.stack([drive.camera(k / 24).project(target.points(target.face, k / 24)) for k in range(240)])


def test_the_pinhole_relation_places_every_frame_from_two(starter):
    from finding import pinhole_corners

    true = target_corners()
    found = pinhole_corners(true[0], true[-1], len(true))
    assert np.abs(found - true).max() < 0.4


def test_differencing_finds_the_face(starter):
    from finding import difference_corners

    clean = np.full((100, 160, 3), 100, np.uint8)
    true = np.array([[30.0, 20], [90, 24], [88, 60], [32, 58]])
    patched = clean.copy()
    cv2.fillConvexPoly(patched, (true - 0.5).round().astype(np.int32), (10, 200, 60))
    assert np.abs(difference_corners(clean, patched) - true).max() <= 1.5
    assert difference_corners(clean, clean) is None


@pytest.fixture
def shot(starter):
    from kit import Shot

    pixels = torch.from_numpy(np.random.default_rng(3).uniform(0, 255, (3, 256, 416)).astype(np.float32))
    corners = np.array([[170.3, 70.2], [240.1, 71.0], [239.6, 102.4], [170.0, 101.5]])
    occlusion = np.zeros((20, 30), np.uint8)
    occlusion[4:16] = 200
    return Shot(pixels, plain_pose(corners)._replace(occlusion_box=(180, 75, 210, 95), occlusion=occlusion))


def test_a_window_shows_what_the_frame_shows(shot):
    from views import cut, window_size

    size = window_size([shot])
    assert size == (160, 128)
    rng = np.random.default_rng(0)
    colours, mask = torch.rand(3, 24, 53) * 255, torch.ones(1, 24, 53)
    whole = place_tensor(shot.pixels, colours, mask, shot.pose)
    for _ in range(5):
        part = cut(shot, size, rng)
        left = round(float(shot.pose.corners[0, 0] - part.pose.corners[0, 0]))
        placed = place_tensor(part.pixels, colours, mask, part.pose)
        assert part.pixels.shape == (3, *size)
        assert (placed - whole[:, : size[0], left : left + size[1]]).abs().max() < 0.05
        assert part.pose.corners[:, 0].min() > 0
        assert part.pose.corners[:, 0].max() < size[1]


@pytest.mark.parametrize("step", ["adam", "momentum"])
def test_the_loop_finds_the_patch_that_a_known_detector_does_not_see(shot, step):
    from optimise import Method, optimise

    class SeesRed:
        """Is the surer the redder and the less blue a window is, and says so all along a row."""

        def confidences(self, frames):
            mean = frames.mean((2, 3)) / 255
            sure = torch.sigmoid(60 * (mean[:, 0] - mean[:, 2]) + 1)
            x = torch.arange(0.0, frames.shape[3], 8)
            boxes = torch.stack([x - 5, x * 0 + 80, x + 5, x * 0 + 90], 1).expand(len(frames), -1, 4)
            return boxes, sure[:, None, None].expand(-1, len(x), 4), sure[:, None].expand(-1, len(x))

    method = Method(step=step, variation=0.0, rows=6)
    colours = optimise([SeesRed()], [shot], "truck", torch.ones(1, 12, 26), method, steps=25, batch=2)
    red, _, blue = colours.mean((1, 2))
    assert red < 40
    assert blue > 215


def test_what_may_show_the_target_reaches_down_to_its_wheels(starter):
    from terms import near_target

    face = np.array([[100.0, 50], [200, 50], [200, 90], [100, 90]])
    boxes = torch.tensor([[110.0, 40, 190, 150], [120, 90, 180, 150], [300, 40, 380, 150], [120, 150, 180, 220]])
    assert near_target(boxes, face, "truck").tolist() == [True, True, False, False]
