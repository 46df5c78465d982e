"""The driving track on the local engine, from the compiled packages: three stages, refusals, pictures, a crash."""

import csv
import json
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import psutil
import pytest
import yaml

from aisc.datasets.scene_packs import open_scene
from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.placement.pyramid import Pyramid
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.boards import latest_board
from aisc.stages.once import step_key
from tests.driving_world import (
    LAMPS,
    blank,
    equation_5,
    hidden,
    pieces,
    ring,
    shown_frame,
    write_lamp,
    write_scenes,
    write_submission,
)
from tests.pipelines.conftest import Rig

PRELIMINARY, JUDGMENT, FINAL = "driving/preliminary", "driving/judgment", "driving/final"
PATCHES = {"Ring": ring(500), "Copycat": ring(400), "Blank": blank()}
REFUSED = {
    "Six": ("CANVAS_TOO_MANY_REGIONS", {"truck": pieces(6)}),
    "Lost": ("ARCHIVE_EXTRA_FILE", {"lorry": blank()}),
    "Deep": ("PNG_BIT_DEPTH", {"truck": ring().astype(np.uint16) * 257}),
    "Flat": ("PNG_NO_ALPHA", {"truck": ring()[..., :3]}),
    "Small": ("PNG_SIZE", {"truck": ring()[:-1]}),
}
FINAL_PATCHES = {
    "truck_1": ring(400),
    "truck_2": ring(500),
    "mannequin_1": ring(550),
    "mannequin_2": blank(),
}

pytestmark = pytest.mark.xdist_group("local-engine")


class DrivingRig(Rig):
    """The season's folder, where a stage's times can be moved."""

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; a round of eight submissions takes minutes on a busy machine."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=1500)
        assert done.returncode == code, done.stdout + done.stderr + self.logs()
        return done.stdout

    def move(self, stage: str, **times: timedelta) -> None:
        raw = yaml.safe_load(self.season.read_text())
        now = datetime.now(UTC)
        for key, offset in times.items():
            raw["tracks"]["driving"]["stages"][stage][key] = f"{now + offset:%Y-%m-%dT%H:%M:%S}"
        self.season.write_text(yaml.safe_dump(raw, sort_keys=False))

    def board(self, stage: str):
        with self.open() as workspace:
            return latest_board(workspace.bench, stage)

    def results(self, team: str, stage: str, *words: str):
        """Fetch what a team receives; gives the folder."""
        (submission,) = [
            row["submission"] for row in self.json("status") if row["team"] == team and row["stage"] == stage
        ]
        folder = self.folder / "-".join(("results", *words)) / stage / team
        self.run("results", submission, "--stage", stage, "--to", str(folder), *words)
        return folder


def make_rig(folder, work: int = 0) -> DrivingRig:
    rig = DrivingRig(folder)
    rig.folder.mkdir()
    rig.season.write_text(season_text("rig", datetime.now(UTC).date(), title="Rig", tracks=["driving"]))
    write_scenes(rig.folder / "truck")
    write_scenes(rig.folder / "final", 2, kinds=("truck", "mannequin"), length=3)
    with rig.open() as workspace:
        workspace.bench.register("data", "driving/truck", rig.folder / "truck")
        workspace.bench.register("data", "driving/final", rig.folder / "final")
        for name in LAMPS:
            busy = work if name == "road-anchors" else 0
            workspace.bench.register("victim", name, write_lamp(rig.folder / "victims" / name, name, work=busy))
    return rig


def send(rig: DrivingRig, team: str, canvases) -> None:
    file = write_submission(rig.folder / f"{team}.zip", **canvases)
    with rig.open() as workspace:
        workspace.bench.ledger.teams.add(team)
        receive(workspace.bench, workspace.season, PRELIMINARY, team, file)


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> DrivingRig:
    """A season whose preliminary was evaluated and has closed."""
    rig = make_rig(tmp_path_factory.mktemp("driving") / "season")
    for team, canvas in PATCHES.items():
        send(rig, team, {"truck": canvas})
    for team, (_, canvases) in REFUSED.items():
        send(rig, team, canvases)
    rig.run("round", "run", PRELIMINARY)
    rig.move("preliminary", closes=timedelta())
    rig.move("judgment", opens=timedelta(), closes=timedelta(days=7))
    rig.move("final", opens=timedelta(days=7), closes=timedelta(days=14))
    return rig


@pytest.fixture(scope="module")
def judged(rig) -> DrivingRig:
    """The season after the experts have spoken: one team is passed with a mark, one is out."""
    rig.run("round", "run", JUDGMENT)
    assert {entry.state for entry in rig.board(JUDGMENT).unranked} == {"awaiting-review"}
    form = rig.folder / "jury.csv"
    form.write_text(
        "team,verdict,mark,similarity,note\nRing,pass,0.75,0.125,\nBlank,pass,,,\nCopycat,fail,0,0.97,copied\n"
    )
    rig.run("review", JUDGMENT, str(form), "--reviewer", "jury")
    rig.run("leaderboard", "publish", JUDGMENT)
    return rig


def scores(board) -> dict[str, float]:
    return {row.entry.team: row.entry.score for row in board.ranked}


def test_a_round_scores_by_equation_5_and_refuses_with_stated_codes(rig):
    board = rig.board(PRELIMINARY)
    victims = ("road-anchors", "road-distances")
    by_hand = {team: round(equation_5(rig.folder / "truck", "truck", victims, PATCHES[team]), 6) for team in PATCHES}
    assert scores(board) == by_hand
    assert by_hand["Blank"] == 0.2
    assert len(set(by_hand.values())) == 3, "a test that cannot tell teams apart shows nothing"
    assert {entry.team: (entry.state, entry.reason_code) for entry in board.unranked} == {
        team: ("refused", code) for team, (code, _) in REFUSED.items()
    }
    assert all(entry.score is None for entry in board.unranked), "void is no score, not zero"
    result = json.loads((rig.results("Lost", PRELIMINARY) / "result.json").read_text())
    assert result["counts"] == {"ARCHIVE_EXTRA_FILE": 1, "CANVAS_MISSING": 1}


def test_organizers_get_a_table_by_scene_and_detector(rig):
    folder = rig.results("Ring", PRELIMINARY, "--evidence")
    rows = list(csv.DictReader((folder / "evidence.csv").read_text().splitlines()))
    with_patch, clean = (hidden(rig.folder / "truck", "truck", canvas) for canvas in (PATCHES["Ring"], None))
    found = {
        (row["scene"], row["detector"]): tuple(int(row[key]) for key in ("frames", "suppressed", "missed_when_clean"))
        for row in rows
    }
    assert found == {
        (scene, name): (6, sum(cell), sum(clean[name][scene]))
        for name in ("road-anchors", "road-distances")
        for scene, cell in with_patch[name].items()
    }
    assert {row["canvas"] for row in rows} == {"truck.png"}


def test_T22_the_pictures_show_the_boxes_of_the_white_box_alone(rig):
    folder = rig.results("Ring", PRELIMINARY)
    assert {"truck-strip.png", "truck.mp4", "result.json", "images.csv", "manifest.json"} <= {
        path.name for path in folder.iterdir()
    }
    strip = np.asarray(cv2.imread(str(folder / "truck-strip.png")))[..., ::-1]
    pack = open_scene(rig.folder / "truck" / "truck-1")
    patch = Pyramid(PATCHES["Ring"][..., 2::-1].copy(), PATCHES["Ring"][..., 3] > 0)
    seen = [not one for one in hidden(rig.folder / "truck", "truck", PATCHES["Ring"])["road-anchors"]["truck-1"]]
    black = [not one for one in hidden(rig.folder / "truck", "truck", PATCHES["Ring"])["road-distances"]["truck-1"]]
    places = list(range(0, len(pack), 2))
    assert len({seen[number] for number in places}) == 2, "boxes must come and go"
    assert any(black[number] for number in places), "a black box that sees nothing gives nothing away"
    for column, number in enumerate(places):
        tile = strip[:256, column * 420 : column * 420 + 416]
        bare = shown_frame(next(pack.frames(number)), patch, pack.poses[number])
        drawn = (tile != bare).any(axis=2)[30:]  # below the title
        assert not drawn[:, 150:].any(), "nothing is drawn where the black box put its box"
        assert drawn[100:, :150].any() == seen[number]
    video = cv2.VideoCapture(str(folder / "truck.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == len(places)
    video.release()
    text = "".join(path.read_text() for path in folder.iterdir() if path.suffix in {".json", ".csv", ".md", ".txt"})
    assert "missed_when_clean" not in text
    assert "truck-2" not in text, "what happened scene by scene is not told"


def test_a_bundle_made_twice_has_the_same_bytes(rig):
    folder = rig.results("Ring", PRELIMINARY)
    with rig.open() as workspace:
        bench = workspace.bench
        (run,) = [run for run in bench.ledger.runs.all(stage=PRELIMINARY) if run.team == "Ring"]
        (step,) = [step for step in bench.ledger.runs.steps(run.run_key) if step.name == "validate_submission"]
        kept = {}
        for name in ("content", "verdicts"):
            kept[name] = rig.folder / f"again-{name}"
            bench.store.fetch(step_key(run.run_key, step.name, step.outputs["attempt"], name), kept[name])
        version = bench.ledger.runs.plan(run.run_key).version
        told = evaluation_of(version.rules).told(bench, version, Checked(kept["content"], kept["verdicts"]))
    assert set(told.pictures) == {"truck-strip.png", "truck.mp4"}
    for name, picture in told.pictures.items():
        assert (folder / name).read_bytes() == picture.data


def test_the_judgment_takes_another_detector_and_shows_what_experts_say(judged):
    board = judged.board(JUDGMENT)
    expected = {
        team: round(equation_5(judged.folder / "truck", "truck", ("road-peaks",), PATCHES[team]), 6)
        for team in ("Ring", "Blank")
    }
    assert scores(board) == expected
    parts = {row.entry.team: {part.name: part.value for part in row.entry.parts} for row in board.ranked}
    assert parts["Ring"]["experts' mark"] == 0.75
    assert parts["Ring"]["code similarity"] == 0.125
    assert not {"experts' mark", "code similarity"} & set(parts["Blank"])
    assert [(entry.team, entry.state, entry.reason) for entry in board.unranked] == [
        ("Copycat", "disqualified", "copied")
    ]
    # The black box of the judgment is nobody's: its pictures show no box.
    folder = judged.results("Ring", JUDGMENT)
    assert "with the boxes of" not in (folder / "README.txt").read_text()


def test_the_final_takes_four_canvases_from_the_teams_that_went_on(judged):
    judged.run("round", "advance", JUDGMENT)
    judged.move("judgment", closes=timedelta())
    judged.move("final", opens=timedelta(), closes=timedelta(days=7))
    file = write_submission(judged.folder / "final.zip", **FINAL_PATCHES)
    refused = judged.json("submit", FINAL, str(file), "--team", "Copycat", code=3)["error"]
    assert refused["code"] == "TEAM_NOT_ENTERED"
    judged.run("submit", FINAL, str(file), "--team", "Ring")
    judged.run("round", "run", FINAL)
    data = judged.folder / "final"
    patches = {
        name: equation_5(data, name.partition("_")[0], tuple(LAMPS), canvas) for name, canvas in FINAL_PATCHES.items()
    }
    truck, mannequin = (
        max(value for name, value in patches.items() if name.startswith(kind)) for kind in ("truck", "mannequin")
    )
    board = judged.board(FINAL)
    assert scores(board) == {"Ring": round(0.8 * truck + 0.2 * mannequin, 6)}
    parts = {part.name: part.value for part in board.ranked[0].entry.parts}
    better = max(("truck_1", "truck_2"), key=lambda name: patches[name])
    assert parts["truck patch"] == int(better[-1])
    names = {path.name for path in judged.results("Ring", FINAL).iterdir()}
    assert {f"{name.replace('_', '-')}.mp4" for name in FINAL_PATCHES} <= names


def test_scenes_that_may_not_score_stop_the_round_before_its_first_run(tmp_path):
    rig = make_rig(tmp_path / "season")
    write_scenes(rig.folder / "training", 2, length=2, role="training")
    with rig.open() as workspace:
        workspace.bench.register("data", "driving/truck", rig.folder / "training")
    send(rig, "Blank", {"truck": blank()})
    assert rig.json("round", "run", PRELIMINARY, code=4)["error"]["code"] == "ROUND_FAILED"
    assert "SCENES_NOT_FOR_SCORING" in rig.logs()
    assert rig.board(PRELIMINARY) is None
    (row,) = rig.json("status")
    assert (row["state"], row["attempt"]) == ("pending", 0), "no attempt was used"
    with rig.open() as workspace:
        workspace.bench.register("data", "driving/truck", rig.folder / "truck")
    assert rig.json("round", "run", PRELIMINARY, code=2)["error"]["code"] == "VERSION_CHANGED"
    rig.run("rescore", PRELIMINARY)
    assert scores(rig.board(PRELIMINARY)) == {"Blank": 0.2}


def kill_between_scenes(rig: DrivingRig, round_process: subprocess.Popen) -> set[str]:
    """Freeze the run's worker once a scene is finished, read which ones are, and kill it; gives their steps."""
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        while round_process.poll() is None:
            time.sleep(0.05)
            finished = [key for run in runs.all() for key in [run.run_key] if _parts(runs, key)]
            if not finished:
                continue
            (key,) = finished
            workers = [one for one in rig.processes() if "driving" in one.cmdline() and key in " ".join(one.cmdline())]
            family = [one for worker in workers for one in [worker, *worker.children(recursive=True)]]
            _tell(family, psutil.Process.suspend)
            done = _parts(runs, key)
            _tell(family, psutil.Process.kill)
            return done
    return set()


def _tell(processes: list[psutil.Process], what) -> None:
    for process in processes:
        with suppress(psutil.Error):
            what(process)


def _parts(runs, key: str) -> set[str]:
    return {step.name for step in runs.steps(key) if step.name.startswith("query_victims/") and step.finished_at}


def test_F13_a_killed_run_goes_on_with_the_scene_it_was_in(tmp_path):
    rig = make_rig(tmp_path / "season", work=1000)
    send(rig, "Ring", {"truck": PATCHES["Ring"]})
    with subprocess.Popen(
        rig.command("round", "run", PRELIMINARY), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as round_process:
        done = kill_between_scenes(rig, round_process)
        assert round_process.wait(timeout=900) == 0, rig.logs()
    assert 1 <= len(done) < 5, "the kill must fall between two scenes to show anything"
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        (run,) = runs.all()
        assert runs.attempts(run.run_key)[0].code == "WORKER_LOST"
        parts = {step.name: step for step in runs.steps(run.run_key) if step.name.startswith("query_victims/")}
    assert len(parts) == 5
    for name, step in parts.items():
        if name in done:
            assert (step.begun, step.attempt) == (1, 1), "a finished scene is never driven again"
        else:
            assert step.attempt == 2
    victims = ("road-anchors", "road-distances")
    undisturbed = equation_5(rig.folder / "truck", "truck", victims, PATCHES["Ring"])
    assert scores(rig.board(PRELIMINARY)) == {"Ring": round(undisturbed, 6)}
