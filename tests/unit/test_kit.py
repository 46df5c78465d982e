"""The participants' kit: all that is handed out, nothing that is hidden, and a check that works from it alone."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from aisc.adapters.store_folder import FolderStore
from aisc.datasets.scene_packs import FRAMES_FILE, SCENE_FILE, open_set, write_set
from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.kit import STAGE_FILE, open_data, open_kit, write_kit
from aisc.ledger import open_ledger
from aisc.season import Season, load_season, season_text
from aisc.store import hash_file
from aisc.synthetic.driving.recipe import head_of
from aisc.victims.detector_networks import build_detector
from aisc.victims.detector_package import HeadDescription
from aisc.workbench import MANIFEST, Workbench
from tests.driving_world import SURROGATES, pieces, ring, write_scenes, write_submission, write_surrogate

STAGE = "driving/preliminary"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Workbench, Season, Path]:
    """A season with training and hidden scenes and two surrogates."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "season.yaml").write_text(season_text("kit", datetime.now(UTC).date(), tracks=["driving"]))
    ledger = open_ledger(f"sqlite:///{folder}/ledger.db", create=True)
    bench = Workbench(ledger, FolderStore(folder / "store"), folder / "cache")
    bench.register("data", "driving/truck", write_scenes(folder / "truck", 2))
    bench.register("data", "driving/training", write_scenes(folder / "training", 2, length=3, role="training"))
    for name in SURROGATES:
        bench.register("victim", name, write_surrogate(folder / "victims" / name, name))
    return bench, load_season(folder / "season.yaml"), folder


@pytest.fixture(scope="module")
def kit(world) -> Path:
    bench, season, folder = world
    write_kit(bench, season.stage(STAGE), folder / "handed-out")
    return folder / "handed-out"


def test_a_kit_holds_what_is_open_and_nothing_that_is_hidden(world, kit):
    assert {path.name for path in kit.iterdir()} == {"scenes", "detectors", "starter", STAGE_FILE}
    assert [pack.description.role for pack in open_set(kit / "scenes")] == ["training", "training"]
    assert not list(kit.rglob(MANIFEST))
    assert not list(kit.rglob("__pycache__"))
    hidden = {hash_file(path)[0] for path in (world[2] / "truck").glob(f"*/{FRAMES_FILE}")}
    assert not hidden & {hash_file(path)[0] for path in kit.rglob("*") if path.is_file()}
    assert (kit / "starter" / "attack.py").is_file()


def test_a_surrogate_in_a_kit_is_the_registered_one(world, kit):
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 256, 416)).astype(np.float32))
    for name, design in SURROGATES.items():
        torch.manual_seed(len(name))
        expected = build_detector(design).half().float().eval()  # weights travel in half precision
        module = torch.jit.load(str(kit / "detectors" / f"{name}.pt"))
        with torch.inference_mode():
            for found, wanted in zip(module(frames), expected(frames), strict=True):
                assert torch.allclose(found, wanted, atol=1e-4)
        head = HeadDescription.model_validate_json((kit / "detectors" / f"{name}.json").read_text())
        assert head == head_of(design)


def test_stage_json_says_what_a_submission_must_be(world, kit):
    found = json.loads((kit / STAGE_FILE).read_text())
    assert found["stage"] == STAGE
    assert found["rules"] == "detector-patch"
    assert found["canvases"] == ["truck.png"]
    assert found["canvas_size"] == [1260, 2790]
    assert found["limits"] == world[1].stage(STAGE).stage.limits
    assert found["limits"]["regions"] == 5


def test_a_submission_is_checked_from_the_kit_alone(kit, tmp_path):
    rules, name, limits, data = open_kit(kit, STAGE)
    for canvas, refused in ((ring(), False), (pieces(6), True)):
        file = write_submission(tmp_path / "my.zip", truck=canvas)
        report = evaluation_of(rules).check(file, name, limits, data, tmp_path, lambda done, total: None)
        assert report.findings.refused == refused
        assert report.pictures["check-truck.png"].startswith(b"\x89PNG")
    assert report.counts["truck.png, regions"] == 6


def test_a_check_draws_into_what_scenes_there_are(kit, tmp_path):
    """Even where organizers hand out nothing but scenes with the example patch."""
    data = tmp_path / "scenes"
    shutil.copytree(kit / "scenes", data)
    for file in data.glob(f"*/{SCENE_FILE}"):
        file.write_text(file.read_text().replace('"patched": false', '"patched": true'))
    write_set(data)
    sent = write_submission(tmp_path / "my.zip", truck=ring())
    rules, name, limits, _ = open_kit(kit, STAGE)
    report = evaluation_of(rules).check(sent, name, limits, data, tmp_path, lambda done, total: None)
    assert list(report.pictures) == ["check-truck.png"]


def test_a_kit_is_never_written_over(world, kit):
    bench, season, _ = world
    before = {path: path.stat().st_mtime_ns for path in kit.rglob("*")}
    with pytest.raises(UsageError) as caught:
        write_kit(bench, season.stage(STAGE), kit)
    assert caught.value.code == "KIT_EXISTS"
    assert {path: path.stat().st_mtime_ns for path in kit.rglob("*")} == before


def test_a_stage_that_hands_out_nothing_has_no_kit(world, tmp_path):
    bench, season, _ = world
    ref = season.stage(STAGE)
    for make in (lambda ref: open_data(bench, ref), lambda ref: write_kit(bench, ref, tmp_path / "kit")):
        with pytest.raises(UsageError) as caught:
            make(ref._replace(stage=ref.stage.model_copy(update={"training": None})))
        assert caught.value.code == "KIT_WITHOUT_DATA"
    assert not (tmp_path / "kit").exists()


def test_a_kit_of_another_stage_is_found_out(kit, tmp_path):
    for folder, stage, code in ((kit, "driving/final", "KIT_OTHER_STAGE"), (tmp_path, STAGE, "KIT_MISSING")):
        with pytest.raises(UsageError) as caught:
            open_kit(folder, stage)
        assert caught.value.code == code
