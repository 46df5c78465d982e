"""The driving track's evaluation, step by step in this process: what is asked how often, and what a fault leaves."""

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.datasets import scene_packs
from aisc.datasets.scene_packs import FRAMES_FILE, SCENE_FILE, SET_FILE, write_set
from aisc.errors import AiscError, PlatformError
from aisc.evaluations.contract import Checked
from aisc.evaluations.driving import EVALUATION
from aisc.identity import Version
from aisc.ledger import open_ledger
from aisc.ledger.leases import this_process
from aisc.reception import receive
from aisc.season import Season, load_season, season_text
from aisc.stages.compute_metrics import compute_metrics
from aisc.stages.prepare_stage import prepare_stage
from aisc.stages.query_victims import query_victims
from aisc.stages.sweep_stage import resolve_version, sweep_stage
from aisc.stages.validate_submission import validate_submission
from aisc.victims.detectors import LocalDetector
from aisc.workbench import Workbench
from tests.driving_world import LAMPS, blank, equation_5, pieces, ring, write_lamp, write_scenes, write_submission

STAGE = "driving/preliminary"
VICTIMS = ("road-anchors", "road-distances")
SCENES, FRAMES = 5, 6


@dataclass
class Lab:
    """A season with its ledger and store, and the steps of one run."""

    bench: Workbench
    season: Season
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "truck"

    @property
    def version(self) -> Version:
        return resolve_version(self.bench, self.season.stage(STAGE))

    def enter(self, team: str, canvas, bench: Workbench | None = None) -> str:
        """Submit a canvas and check it; gives the key of its run."""
        bench = bench or self.bench
        file = write_submission(self.folder / f"{team}.zip", truck=canvas)
        bench.ledger.teams.add(team)
        receipt = receive(bench, self.season, STAGE, team, file)
        sweep_stage(bench, self.season, STAGE)
        (run,) = bench.ledger.runs.all(stage=STAGE, submission=receipt.id)
        bench.ledger.runs.claim(run.run_key, this_process())
        paths = {name: self.folder / f"{team}-{name}" for name in ("content", "verdicts", "findings")}
        validate_submission(bench, run.run_key, archive=file, **paths)
        return run.run_key

    def kept(self, team: str) -> Checked:
        return Checked(self.folder / f"{team}-content", self.folder / f"{team}-verdicts")

    def query(self, key: str, team: str, bench: Workbench | None = None) -> dict[str, np.ndarray]:
        answers = self.folder / f"{team}-answers"
        query_victims(bench or self.bench, key, **self.kept(team)._asdict(), answers=answers)
        with np.load(answers) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def score(self, key: str, team: str) -> float:
        answers, scores = self.folder / f"{team}-answers", self.folder / f"{team}-scores"
        found = compute_metrics(self.bench, key, **self.kept(team)._asdict(), answers=answers, scores=scores)
        return found["score"]

    def elsewhere(self) -> Workbench:
        """The same ledger and store, another machine."""
        return replace(self.bench, cache=self.folder / "another-cache")


def make_lab(folder: Path) -> Lab:
    file = folder / "season.yaml"
    file.write_text(season_text("lab", datetime.now(UTC).date(), tracks=["driving"]))
    ledger = open_ledger(f"sqlite:///{folder}/ledger.db", create=True)
    bench = Workbench(ledger, FolderStore(folder / "store"), folder / "cache")
    bench.register("data", "driving/truck", write_scenes(folder / "truck", SCENES, length=FRAMES))
    for name in VICTIMS:
        bench.register("victim", name, write_lamp(folder / "victims" / name, name))
    return Lab(bench, load_season(file), folder)


@pytest.fixture
def lab(tmp_path):
    made = make_lab(tmp_path)
    yield made
    made.bench.ledger.close()


@pytest.fixture
def shown(monkeypatch) -> Counter[str]:
    """Count the frames that each detector is shown."""
    counts: Counter[str] = Counter()
    detect = LocalDetector.detect

    def counted(self, frames):
        counts[self.description.name] += len(frames)
        return detect(self, frames)

    monkeypatch.setattr(LocalDetector, "detect", counted)
    return counts


@pytest.fixture
def decoded(monkeypatch) -> Counter[str]:
    """Count the frames that are decoded."""
    counts: Counter[str] = Counter()
    decode = scene_packs.decode_png

    def counted(data, size):
        counts["frames"] += 1
        return decode(data, size)

    monkeypatch.setattr(scene_packs, "decode_png", counted)
    return counts


def test_clean_scenes_are_asked_about_once_a_stage_and_not_once_a_submission(lab, shown):
    every = SCENES * FRAMES
    first = lab.enter("Ring", ring(500))
    prepare_stage(lab.bench, STAGE)
    assert shown == dict.fromkeys(VICTIMS, every)
    prepare_stage(lab.bench, STAGE)
    prepare_stage(lab.elsewhere(), STAGE)
    assert shown == dict.fromkeys(VICTIMS, every), "a second call and another machine find it in the store"
    for number, (team, key) in enumerate((("Ring", first), ("Other", lab.enter("Other", ring(400)))), start=2):
        lab.query(key, team)
        lab.score(key, team)
        assert shown == dict.fromkeys(VICTIMS, number * every), "each submission asks about its own frames alone"


def test_frames_are_decoded_once_a_machine(lab, decoded):
    key = lab.enter("Ring", ring(500))
    prepare_stage(lab.bench, STAGE)
    lab.query(key, "Ring")
    other = lab.enter("Other", ring(400))
    lab.query(other, "Other")
    EVALUATION.told(lab.bench, lab.version, lab.kept("Other"))
    assert decoded["frames"] == SCENES * FRAMES
    third = lab.elsewhere()
    lab.query(lab.enter("Third", ring(300), third), "Third", third)
    assert decoded["frames"] == 2 * SCENES * FRAMES


def test_nobody_is_asked_about_a_transparent_canvas(lab, shown):
    key = lab.enter("Blank", blank())
    prepare_stage(lab.bench, STAGE)
    before = dict(shown)
    found = lab.query(key, "Blank")
    assert dict(shown) == before
    assert (found["truck.png"] == found["clean:truck.png"]).all()
    assert lab.score(key, "Blank") == 0.2


def test_F13_after_a_crash_of_a_detector_finished_scenes_are_not_driven_again(lab, shown, monkeypatch):
    undisturbed = lab.query(lab.enter("Ring", ring(500)), "Ring")
    twin = ring(500)
    twin[..., 0] |= 1  # the same mask and another colour: another submission
    key = lab.enter("Twin", twin)
    runs = lab.bench.ledger.runs
    shown.clear()
    detect = LocalDetector.detect  # the counting one

    def crashing(self, frames):
        if self.description.name == VICTIMS[1] and shown[self.description.name] >= 2 * FRAMES:
            raise RuntimeError("the detector crashed")
        return detect(self, frames)

    monkeypatch.setattr(LocalDetector, "detect", crashing)
    with pytest.raises(RuntimeError, match="crashed"):
        lab.query(key, "Twin")
    assert runs.end_attempt(key, 1) == "pending"
    assert runs.attempts(key)[0].code == "INTERNAL_ERROR"
    monkeypatch.setattr(LocalDetector, "detect", detect)
    assert dict(shown) == {VICTIMS[0]: 3 * FRAMES, VICTIMS[1]: 2 * FRAMES}
    shown.clear()
    assert runs.claim(key, this_process()) == 2
    again = lab.query(key, "Twin", replace(lab.bench, attempt=2))
    assert dict(shown) == dict.fromkeys(VICTIMS, 3 * FRAMES), "two scenes of five were finished"
    assert (again["truck.png"] == undisturbed["truck.png"]).all()
    begun = {step.name: (step.begun, step.attempt) for step in runs.steps(key) if "/" in step.name}
    assert begun == {
        "query_victims/truck-1": (1, 1),
        "query_victims/truck-2": (1, 1),
        "query_victims/truck-3": (2, 2),
        "query_victims/truck-4": (1, 2),
        "query_victims/truck-5": (1, 2),
    }
    assert lab.score(key, "Twin") == pytest.approx(equation_5(lab.data, "truck", VICTIMS, ring(500)))


def test_a_frame_that_a_shorter_scene_lacks_is_not_suppressed(tmp_path):
    lab = make_lab(tmp_path)
    shutil.rmtree(lab.data / "truck-2")
    shutil.copytree(write_scenes(tmp_path / "short", 2, length=4) / "truck-2", lab.data / "truck-2")
    write_set(lab.data)
    lab.bench.register("data", "driving/truck", lab.data)
    key = lab.enter("Ring", ring(500))
    assert lab.query(key, "Ring")["truck.png"][:, 1, 4:].tolist() == [[-1, -1], [-1, -1]]
    by_hand = equation_5(lab.data, "truck", VICTIMS, ring(500), frames_=FRAMES)
    assert lab.score(key, "Ring") == pytest.approx(by_hand)


def test_pictures_of_a_stage_that_shows_no_detector_have_no_boxes(lab):
    lab.enter("Ring", ring(500))
    boxes = {}
    for name in ("road-anchors", "road-peaks", None):
        version = replace(lab.version, limits={**lab.version.limits, "shown": name})
        pictures = EVALUATION.told(lab.bench, version, lab.kept("Ring")).pictures
        boxes[name] = {key: picture.data for key, picture in pictures.items()}
        assert ("with the boxes of" in pictures["truck-strip.png"].about) == (name == "road-anchors")
    assert boxes["road-peaks"] == boxes[None] != boxes["road-anchors"]


def test_a_void_submission_is_shown_what_it_sent(lab):
    lab.enter("Six", pieces(6))
    told = EVALUATION.told(lab.bench, lab.version, lab.kept("Six"))
    assert told.items is not None
    assert list(told.items.status) == ["canvas-too-many-regions"]
    assert told.items.patches.tolist() == [6]


def code_of(lab: Lab) -> str:
    with pytest.raises(AiscError) as caught:
        EVALUATION.prepare(lab.bench, lab.version, lambda facts: None)
    return caught.value.code


def cached(lab: Lab) -> set[str]:
    """What the cache holds of scenes, finished or not."""
    return {path.name.partition("-")[0] for path in lab.bench.cache.iterdir()} - {"scratch"} | {
        path.name for path in (lab.bench.cache / "scratch").iterdir()
    }


def register(lab: Lab, folder: Path) -> None:
    lab.bench.register("data", "driving/truck", folder)


def test_training_scenes_do_not_score(lab):
    register(lab, write_scenes(lab.folder / "training", 2, role="training"))
    assert code_of(lab) == "SCENES_NOT_FOR_SCORING"
    assert cached(lab) == {"data"}, "no frame was decoded, nobody was asked"


def test_scenes_of_another_target_do_not_score(lab):
    register(lab, write_scenes(lab.folder / "people", 2, kinds=("mannequin",)))
    lab.enter("Ring", ring(500))
    with pytest.raises(PlatformError) as caught:
        EVALUATION.told(lab.bench, lab.version, lab.kept("Ring"))
    assert caught.value.code == "SCENES_MISSING"


def test_two_scenes_of_one_name_do_not_score(lab):
    """Their results would take each other's place."""
    shutil.copytree(lab.data / "truck-1", lab.data / "copy")
    write_set(lab.data)
    register(lab, lab.data)
    assert code_of(lab) == "SCENE_NAMED_TWICE"
    assert cached(lab) == {"data"}


def test_a_set_changed_in_the_store_is_not_used(lab):
    asset = lab.version.data
    assert asset is not None
    path = lab.folder / "store" / asset.key
    data = bytearray(path.read_bytes())
    place = bytes(data).index(b"\x89PNG") + 200
    data[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(AiscError) as caught:
        lab.bench.asset(asset)
    assert caught.value.code in {"ASSET_CORRUPT", "STORE_CORRUPT"}
    assert cached(lab) == set()


@pytest.mark.parametrize("missing", [SET_FILE, f"truck-3/{SCENE_FILE}", f"truck-3/{FRAMES_FILE}"])
def test_a_set_that_lacks_a_file_does_not_score(lab, missing):
    (lab.data / missing).unlink()
    register(lab, lab.data)
    expected = {
        SET_FILE: "SCENE_SET",
        f"truck-3/{SCENE_FILE}": "SCENE_MISSING",
        f"truck-3/{FRAMES_FILE}": "SCENE_FRAMES",
    }
    assert code_of(lab) == expected[missing]
    assert "frames" not in cached(lab) or missing.endswith(FRAMES_FILE)
    assert not any((lab.bench.cache / "scratch").iterdir())


def test_a_damaged_frame_is_named_and_its_scene_never_half_cached(lab):
    path = lab.data / "truck-1" / FRAMES_FILE
    data = bytearray(path.read_bytes())
    data[bytes(data).rindex(b"IDAT") + 40] ^= 1
    path.write_bytes(data)
    register(lab, lab.data)
    with pytest.raises(AiscError, match="frame 6") as caught:
        EVALUATION.prepare(lab.bench, lab.version, lambda facts: None)
    assert caught.value.code == "SCENE_FRAME"
    assert cached(lab) == {"data", "victim"}


def test_the_lamps_are_the_stage_s_detectors():
    assert set(VICTIMS) <= set(LAMPS)
