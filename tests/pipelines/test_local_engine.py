"""Rounds on the local engine, from the compiled packages: verdicts, kills, resumption, versions, later stages."""

import signal
import subprocess
import time
import zipfile
from contextlib import suppress

import cv2
import numpy as np
import psutil
import pytest

from aisc.ledger.leases import this_process
from aisc.stages.boards import latest_board
from aisc.stages.sweep_stage import sweep_stage
from aisc.victims.verifier import open_verifier

STAGE = "face/preliminary"
EVERY_STEP = {"ingest_submission", "validate_submission", "query_victims", "compute_metrics", "publish_result"}
REFUSED_STEPS = {"ingest_submission", "validate_submission", "publish_result"}

pytestmark = pytest.mark.xdist_group("local-engine")


def read_board(rig, stage=STAGE):
    with rig.open() as workspace:
        return latest_board(workspace.bench, stage)


def essence(board) -> dict[str, object]:
    """What a board says, without when it and its rows were made."""
    plain = {key: value for key, value in board.as_json().items() if key != "generated_at"}
    for entry in [row["entry"] for row in plain["ranked"]] + plain["unranked"]:
        del entry["evaluated_at"]
    return plain


def scores(board) -> dict[str, float]:
    return {row.entry.team: row.entry.score for row in board.ranked}


def check_every_step_is_done_once(rig, stage=STAGE) -> None:
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        for run in runs.all(stage=stage):
            steps = runs.steps(run.run_key)
            assert {step.name for step in steps} == (EVERY_STEP if run.state == "scored" else REFUSED_STEPS)
            for step in steps:
                assert step.finished_at is not None
                # Begun in several attempts at most, and finished in the last of them: nothing follows a finish.
                assert step.begun <= step.attempt
            order = [step.finished_at for step in steps]
            assert order == sorted(order)


def check_nothing_is_left(rig) -> None:
    assert rig.processes() == []
    assert list((rig.folder / "cache" / "pipelines").iterdir()) == [], "artifacts of packages go with their processes"


def expected_score(rig, team: str, victims=("ires", "vgg", "dense")) -> float:
    """Equation 16 by hand, from the files that were sent and the victims' embeddings."""
    with zipfile.ZipFile(rig.folder / f"{team}.zip") as archive:
        sent = [archive.read(name) for name in sorted(archive.namelist())]
    changed = np.stack([cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1] for data in sent])
    others = sorted((rig.folder / "pairs").glob("*_compare.png"))
    compares = np.stack([cv2.imread(str(path))[..., ::-1] for path in others])
    hits = 0
    for name in victims:
        verifier = open_verifier(rig.folder / "victims" / name)
        cosines = (verifier.embed(changed).astype(float) * verifier.embed(compares).astype(float)).sum(axis=1)
        hits += int((cosines >= verifier.description.threshold).sum())
    return hits / (len(victims) * len(changed))


def test_a_round_scores_ranks_and_refuses(rig):
    said = rig.json("round", "run", STAGE)
    board = read_board(rig)
    assert scores(board) == {team: round(expected_score(rig, team), 6) for team in ("Alpha", "Beta")}
    assert len(set(scores(board).values())) == 2, "a test that cannot tell teams apart shows nothing"
    assert [(entry.team, entry.state, entry.reason_code) for entry in board.unranked] == [
        ("Gamma", "refused", "PNG_BIT_DEPTH")
    ]
    check_every_step_is_done_once(rig)
    assert said["sha256"] == board.sha256
    page = rig.folder / "artifacts" / "site" / "face" / "preliminary" / "index.html"
    assert "Alpha" in page.read_text()
    assert rig.json("leaderboard", "verify", STAGE)["ok"]
    for name in ("board-0001.json", "board-0001.csv", "board.csv"):
        (page.parent / name).write_text((page.parent / name).read_text().replace("Alpha", "Omega"))
    problems = rig.json("leaderboard", "verify", STAGE, code=1)["problems"]
    assert [problem["code"] for problem in problems] == ["SITE_DIFFERS"] * 3
    rig.run("leaderboard", "publish", STAGE)
    assert rig.json("leaderboard", "verify", STAGE)["ok"]
    check_nothing_is_left(rig)


def test_a_second_round_does_and_publishes_nothing_new(rig):
    rig.run("round", "run", STAGE)
    first = read_board(rig)
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        before = {run.run_key: runs.steps(run.run_key) for run in runs.all()}
    rig.run("round", "run", STAGE)
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        assert {run.run_key: runs.steps(run.run_key) for run in runs.all()} == before
    assert read_board(rig) == first


def kill_after(rig, finished_steps: int) -> None:
    """Start a round and kill the command with SIGKILL once that many steps are finished."""
    with subprocess.Popen(
        rig.command("round", "run", STAGE), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            with rig.open() as workspace:
                runs = workspace.bench.ledger.runs
                done = sum(step.finished_at is not None for run in runs.all() for step in runs.steps(run.run_key))
            if done >= finished_steps:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while rig.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rig.processes() == [], "a killed round leaves nothing running"


def test_F01_F13_a_round_killed_again_and_again_ends_in_the_same_board(rig, copies):
    undisturbed = copies("undisturbed")
    undisturbed.run("round", "run", STAGE)
    for finished in (0, 1, 3, 6, 9):
        kill_after(rig, finished)
    rig.run("round", "run", STAGE)
    assert essence(read_board(rig)) == essence(read_board(undisturbed))
    check_every_step_is_done_once(rig)
    check_nothing_is_left(rig)


def _started(rig) -> subprocess.Popen[str]:
    """Start a round and come back once a run of it has begun."""
    words = rig.command("round", "run", STAGE)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: process.poll() is not None or "running" in _states(rig))
    assert process.poll() is None
    return process


def _states(rig) -> set[str]:
    with rig.open() as workspace:
        return {run.state for run in workspace.bench.ledger.runs.all()}


def _wait_until(holds, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_F01_a_round_that_is_stopped_says_that_it_can_go_on(rig, sent, code):
    process = _started(rig)
    process.send_signal(sent)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == code
    assert f"{STAGE} was stopped; the same command goes on where it was." in said
    assert "Traceback" not in said
    assert "FAILED" not in said
    assert "another round" not in said
    _wait_until(lambda: rig.processes() == [], 60)
    rig.run("round", "run", STAGE)
    check_every_step_is_done_once(rig)
    check_nothing_is_left(rig)


def test_F01_a_round_whose_process_is_ended_reads_as_stopped_and_not_as_failed(rig):
    process = _started(rig)
    (leader,) = (one for one in psutil.Process(process.pid).children() if "round" in one.cmdline())
    leader.terminate()
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 4
    assert "ROUND_STOPPED" in said
    assert "goes on where it was" in said
    _wait_until(lambda: rig.processes() == [], 60)


def test_a_second_round_says_that_it_waits_for_the_first(rig):
    with rig.open() as workspace:
        sweep_stage(workspace.bench, workspace.season, STAGE)
        runs = workspace.bench.ledger.runs
        key = runs.all()[0].run_key
        attempt = runs.claim(key, this_process())  # as a worker of another round on this machine
        words = rig.command("round", "run", STAGE)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as second:
            said = [next(line for line in second.stderr if "another round is at work; this one waits" in line)]
            runs.interrupt(key, attempt)
            said += second.communicate(timeout=300)[1].splitlines()
        assert second.returncode == 0
        assert sum("another round" in line for line in said) == 1
    check_every_step_is_done_once(rig)


def _kill_one_worker(rig) -> bool:
    """Send SIGKILL to everything that works on one run, once a step of it has begun."""
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        begun = [run.run_key for run in runs.all() if run.state == "running" and runs.steps(run.run_key)]
    for process in rig.processes():
        with suppress(psutil.Error):
            if "face" in process.cmdline() and any(key in word for key in begun[:1] for word in process.cmdline()):
                for one in [process, *process.children(recursive=True)]:
                    one.kill()
                return True
    return False


def test_F03_a_worker_killed_by_the_kernel_is_replaced_within_the_round(rig):
    """As the out-of-memory killer would do it: the round itself goes on."""
    with subprocess.Popen(
        rig.command("round", "run", STAGE), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as round_process:
        killed = False
        while round_process.poll() is None:
            killed = killed or _kill_one_worker(rig)
            time.sleep(0.05)
        assert round_process.returncode == 0
    assert killed
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        outcomes = [attempt.code for run in runs.all() for attempt in runs.attempts(run.run_key)]
    assert "WORKER_LOST" in outcomes
    assert set(scores(read_board(rig))) == {"Alpha", "Beta"}
    check_every_step_is_done_once(rig)
    check_nothing_is_left(rig)


def test_the_later_stages_follow_from_the_boards(rig):
    assert "STAGE_STILL_OPEN" in rig.json("round", "advance", STAGE, code=2)["error"]["code"]
    rig.close_preliminary()
    assert rig.json("round", "run", "face/evaluation", code=2)["error"]["code"] == "STAGE_NOT_PUBLISHED"
    rig.run("round", "run", STAGE)
    rig.run("round", "advance", STAGE)
    rig.run("round", "run", "face/evaluation")
    evaluation = read_board(rig, "face/evaluation")
    assert {entry.state for entry in evaluation.unranked} == {"awaiting-review"}
    verdicts = rig.folder / "verdicts.csv"
    verdicts.write_text("team,verdict,note\nAlpha,pass,\nBeta,maybe,\nDelta,pass,\n")
    assert rig.json("review", "face/evaluation", str(verdicts), "--reviewer", "jury", code=2)["error"]["code"] == (
        "REVIEW_ROWS"
    )
    verdicts.write_text("team,verdict,note\nAlpha,pass,\nBeta,fail,cannot be worn\n")
    rig.run("review", "face/evaluation", str(verdicts), "--reviewer", "jury")
    rig.run("leaderboard", "publish", "face/evaluation")
    evaluation = read_board(rig, "face/evaluation")
    assert scores(evaluation) == {"Alpha": round(expected_score(rig, "Alpha", ("irse", "sphere", "mixer")), 6)}
    assert [(e.team, e.state) for e in evaluation.unranked] == [("Beta", "disqualified")]
    rig.run("round", "advance", "face/evaluation")
    rig.run("round", "run", "face/final")
    results = rig.folder / "results.csv"
    results.write_text("team,targets,deceived,area_cm2,liveness\nAlpha,8,6,60,passed\n")
    rig.run("review", "face/final", str(results), "--reviewer", "jury")
    rig.run("round", "run", "face/final")
    assert scores(read_board(rig, "face/final")) == {"Alpha": 75.0}


def test_another_version_is_not_mixed_into_a_board_but_scored_beside_it(rig):
    rig.run("round", "run", STAGE)
    first = read_board(rig)
    with rig.open() as workspace:
        # The evaluation's victim under the name of a preliminary one: another content.
        workspace.bench.register("victim", "ires", rig.folder / "victims" / "mixer")
    error = rig.json("round", "run", STAGE, code=2)["error"]
    assert error["code"] == "VERSION_CHANGED"
    assert "victims" in error["message"]
    change = rig.json("rescore", STAGE)
    assert [each["field"].startswith("victims") for each in change["version"]] == [True]
    second = read_board(rig)
    assert second.number == 2
    assert scores(second)["Alpha"] == round(expected_score(rig, "Alpha", ("mixer", "vgg", "dense")), 6)
    with rig.open() as workspace:
        versions = {run.version_sha256 for run in workspace.bench.ledger.runs.all(stage=STAGE)}
    assert versions == {first.version.sha256, second.version.sha256}


def test_what_a_team_receives(rig):
    rig.run("round", "run", STAGE)
    rows = {row["team"]: row for row in rig.json("status")}
    assert rows["Gamma"]["state"] == "refused"
    files = rig.json("results", rows["Alpha"]["submission"], "--to", str(rig.folder / "alpha"))
    names = {path.rpartition("/")[2] for path in files}
    assert names == {"README.txt", "contact-sheet.png", "findings.md", "images.csv", "manifest.json", "result.json"}
    rig.run("results", rows["Alpha"]["submission"], "--to", str(rig.folder / "organizer"), "--evidence")
    table = (rig.folder / "organizer" / "evidence.csv").read_text().splitlines()
    assert table[0].split(",")[-2:] == ["dense_deceived", "dense_clean"]
    assert len(table) == 7
    team_text = "".join(path.read_text() for path in (rig.folder / "alpha").glob("*.*") if path.suffix != ".png")
    assert "deceived" not in team_text
