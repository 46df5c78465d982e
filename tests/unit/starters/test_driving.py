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
