"""The deepfake track on the local engine, from the compiled package: a whole season of programs, without a sandbox."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from aisc.cli.main import app
from aisc.cli.rounds import run_round
from aisc.cli.workspace import Workspace, open_workspace
from aisc.datasets.forgery_sets import open_forgery_set
from aisc.errors import SubmissionRefusedError
from aisc.leaderboard.board import Board
from aisc.ledger.runs import Run
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.once import step_key
from aisc.synthetic.recipes import recipe_of

PRELIMINARY, EVALUATION, FINAL = "deepfake/preliminary", "deepfake/evaluation", "deepfake/final"
PICTURES = 45  # the fewest that hold five of each generator of a final
SEED = 22
STEPS = ["ingest_submission", "validate_submission", "run_submission", "compute_metrics", "publish_result"]

pytestmark = pytest.mark.xdist_group("local-engine")


@dataclass(frozen=True)
class Rig:
    """A season in a folder."""

    folder: Path

    @property
    def season(self) -> Path:
        return self.folder / "season.yaml"

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.season) as workspace:
            yield workspace

    def say(self, *words: str):
        """Use the command line; gives what it says as JSON."""
        done = CliRunner().invoke(app, [*words, "--season", str(self.season), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def submit(self, team: str, content: str, stage: str = PRELIMINARY) -> str:
        """Send a file; gives the submission's id."""
        file = self.folder / "sent.json"
        file.write_text(content)
        with self.open() as workspace:
            if team not in {known.name for known in workspace.bench.ledger.teams.all()}:
                workspace.bench.ledger.teams.add(team)
            return receive(workspace.bench, workspace.season, stage, team, file).id

    def round(self, stage: str) -> Board:
        with self.open() as workspace:
            return run_round(workspace, stage, quiet=True)

    def run(self, submission: str, stage: str) -> Run:
        with self.open() as workspace:
            (found,) = [run for run in workspace.bench.ledger.runs.all(submission=submission) if run.stage == stage]
            return found

    def steps(self, run: Run) -> list[str]:
        with self.open() as workspace:
            return [step.name for step in workspace.bench.ledger.runs.steps(run.run_key)]

    def move_on(self, closing: str, opening: str) -> None:
        """Close a stage now and open the next one."""
        lines = self.season.read_text().splitlines(keepends=True)
        now = datetime.now(UTC)
        for stage, key in ((closing, "closes"), (opening, "opens")):
            begin = lines.index(next(line for line in lines if line.startswith(f"      {stage}:")))
            place = next(n for n in range(begin, len(lines)) if lines[n].startswith(f"        {key}:"))
            lines[place] = f"        {key}: {now:%Y-%m-%dT%H:%M:%S}\n"
        self.season.write_text("".join(lines))


def starter(name: str, track: str = "deepfake", blanks: int = 0) -> str:
    """Name a starter; with another number of blanks it is another submission of the same program."""
    return json.dumps({"format": "aisc.starter/1", "track": track, "name": name}) + " " * blanks


@pytest.fixture(scope="session")
def hidden(tmp_path_factory) -> Path:
    """The hidden sets, by the recipes of the competition's own names."""
    folder = tmp_path_factory.mktemp("hidden")
    for stage in (PRELIMINARY, EVALUATION, FINAL):
        (folder / stage).mkdir(parents=True)
        recipe_of(stage).make(folder / stage, PICTURES, SEED, 1, lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def played(hidden, tmp_path_factory) -> Rig:
    """A season whose preliminary has been held; six submissions of five teams."""
    rig = Rig(tmp_path_factory.mktemp("deepfake") / "season")
    rig.folder.mkdir()
    rig.season.write_text(season_text("rig", datetime.now(UTC).date(), tracks=["deepfake"]))
    with rig.open() as workspace:
        for stage in (PRELIMINARY, EVALUATION, FINAL):
            workspace.bench.register("data", stage, hidden / stage)
    for team, content in (
        ("Red", starter("random")),
        ("Red", starter("random", blanks=1)),
        ("Blue", starter("random", blanks=2)),
        ("Crash", starter("no-such-method")),
        ("Astrology", starter("random", track="astrology")),
        ("Garbage", "PK\x03\x04 no archive of an image"),
    ):
        rig.submit(team, content)
    rig.round(PRELIMINARY)
    return rig


@pytest.fixture
def rig(played, tmp_path) -> Rig:
    """A copy of the played season that a test may go on with."""
    shutil.copytree(played.folder, tmp_path / "season", symlinks=True)
    return Rig(tmp_path / "season")


def board_of(rig: Rig, stage: str) -> Board:
    with rig.open() as workspace:
        return Board.from_bytes(workspace.bench.store.read(f"site/{stage}/board.json"))


def stored_table(rig: Rig, run: Run) -> dict[str, np.ndarray]:
    with rig.open() as workspace:
        content = workspace.bench.store.read(step_key(run.run_key, "run_submission", run.attempt, "content"))
    with np.load(BytesIO(content)) as arrays:
        return dict(arrays)


def labels(hidden_set: Path, part: str) -> list[str]:
    """Labels of a set's pictures, in the order of their ids."""
    with (hidden_set / "truth.csv").open() as file:
        rows = sorted((row["id"], row["label"]) for row in csv.DictReader(file) if row["set"] == part)
    return [label for _, label in rows]


def precision_by_hand(hidden_set: Path, neighbours: np.ndarray) -> float:
    """Equation 1 (AISC 2022 report, section 2), over the probes whose generator the gallery knows."""
    probes, gallery = labels(hidden_set, "probe"), labels(hidden_set, "gallery")
    shares = [
        sum(gallery[place] == label for place in named) / 5
        for label, named in zip(probes, neighbours, strict=True)
        if label in gallery
    ]
    return sum(shares) / len(shares)


def test_the_preliminary_scores_what_ran_and_says_why_the_rest_did_not(played, hidden):
    board = board_of(played, PRELIMINARY)
    assert {row.entry.team for row in board.ranked} == {"Red", "Blue"}
    reasons = {entry.team: (entry.state, entry.reason_code) for entry in board.unranked}
    assert reasons == {
        "Crash": ("failed", "CRASHED"),
        "Astrology": ("refused", "STARTER_UNKNOWN"),
        "Garbage": ("refused", "IMAGE_ARCHIVE"),
    }
    for row in board.ranked:
        run = played.run(row.entry.submission, PRELIMINARY)
        table = stored_table(played, run)
        assert row.entry.score == pytest.approx(precision_by_hand(hidden / PRELIMINARY, table["neighbours"]), abs=1e-6)
        assert row.entry.interval.low <= row.entry.score <= row.entry.interval.high
        parts = {part.name: part.value for part in row.entry.parts}
        assert parts["outside a sandbox"] == 1, "boards mark what ran outside a sandbox"
        assert parts["second answers that differ"] == 0
        assert played.steps(run) == STEPS
    assert board.measure.name == "precision at 5"


def test_a_program_that_failed_ran_once_and_was_not_scored(played):
    rows = {row["team"]: row for row in played.say("status")}
    run = played.run(rows["Crash"]["submission"], PRELIMINARY)
    assert (run.state, run.code, run.attempt) == ("failed", "CRASHED", 1)
    assert played.steps(run) == ["ingest_submission", "validate_submission", "run_submission", "publish_result"]
    garbage = played.run(rows["Garbage"]["submission"], PRELIMINARY)
    assert played.steps(garbage) == ["ingest_submission", "validate_submission", "publish_result"]


def test_inputs_were_laid_out_once_for_all(played):
    cache = played.folder / "cache"
    (inputs,) = cache.glob("inputs-*")
    assert {path.name for path in inputs.iterdir()} == {"probe", "gallery", "task.json", "canary.txt"}
    assert not any((cache / "scratch").iterdir())


def test_T41_what_teams_and_the_public_read_has_no_canary_and_no_picture_s_id(played, hidden, tmp_path):
    found = open_forgery_set(hidden / PRELIMINARY)
    store = played.folder / "artifacts"
    texts = [path.read_bytes() for name in ("site", "results", "boards") for path in (store / name).rglob("*.*")]
    for row in played.say("status"):
        texts.append(json.dumps(row).encode())
        played.say("results", row["submission"], "--to", str(tmp_path / row["submission"]))
        texts += [path.read_bytes() for path in (tmp_path / row["submission"]).iterdir()]
    read = b"\n".join(texts)
    assert b"Garbage" in read
    for secret in (found.canary, found.canary.removeprefix("canary-"), *found.task.probes, *found.task.gallery):
        assert secret.encode() not in read


def test_organizers_evidence_has_a_row_a_generator(played, hidden, tmp_path):
    rows = {row["team"]: row for row in played.say("status")}
    played.say("results", rows["Blue"]["submission"], "--to", str(tmp_path), "--evidence")
    with (tmp_path / "evidence.csv").open() as file:
        table = list(csv.DictReader(file))
    probes = labels(hidden / PRELIMINARY, "probe")
    assert {row["method"]: int(row["probes"]) for row in table} == {label: probes.count(label) for label in probes}
    total = sum(float(row["precision"]) * int(row["probes"]) for row in table) / len(probes)
    assert total == pytest.approx(rows["Blue"]["score"], abs=1e-6)
    assert {row["driver"] for row in table} == {"process"}


def test_the_later_stages_take_the_last_program_and_new_uploads_and_the_experts_mark(rig, hidden):
    rig.move_on("preliminary", "evaluation")
    evaluation = rig.round(EVALUATION)
    sent = [row for row in rig.say("status") if row["team"] == "Red" and row["stage"] == PRELIMINARY]
    first, last = sorted(sent, key=lambda row: row["received_at"])
    entered = {row.entry.team: row.entry.submission for row in evaluation.ranked}
    assert set(entered) == {"Red", "Blue"}
    assert entered["Red"] == last["submission"] != first["submission"]
    best = {row.entry.team: row.entry.submission for row in board_of(rig, PRELIMINARY).ranked}
    assert best["Red"] == first["submission"], "the preliminary shows the first of equally good ones"
    for row in evaluation.ranked:
        table = stored_table(rig, rig.run(row.entry.submission, EVALUATION))
        assert row.entry.score == pytest.approx(precision_by_hand(hidden / EVALUATION, table["neighbours"]), abs=1e-6)

    rig.move_on("evaluation", "final")
    rig.say("round", "advance", EVALUATION)
    with pytest.raises(SubmissionRefusedError, match="TEAM_NOT_ENTERED"):
        rig.submit("Crash", starter("random"), FINAL)
    for team in ("Red", "Blue"):
        rig.submit(team, starter("random"), FINAL)
    waiting = rig.round(FINAL)
    assert waiting.ranked == ()
    assert {entry.team: entry.reason_code for entry in waiting.unranked} == dict.fromkeys(
        ("Red", "Blue"), "REVIEW_PENDING"
    )
    marks = rig.folder / "marks.csv"
    marks.write_text("team,verdict,mark,note\nRed,pass,0.9,\nBlue,pass,0.1,\n")
    rig.say("review", FINAL, str(marks), "--reviewer", "jury")
    final = {row.entry.team: row.entry for row in rig.round(FINAL).ranked}
    run = rig.run(final["Red"].submission, FINAL)
    table = stored_table(rig, run)
    gallery = set(labels(hidden / FINAL, "gallery"))
    new = [label not in gallery for label in labels(hidden / FINAL, "probe")]
    total = 0.6 * precision_by_hand(hidden / FINAL, table["neighbours"]) + 0.3 * roc_auc_score(new, table["novelty"])
    assert final["Red"].score == pytest.approx(total + 0.1 * 0.9, abs=1e-6)
    assert final["Blue"].score == pytest.approx(total + 0.1 * 0.1, abs=1e-6)
    assert [row.entry.team for row in board_of(rig, FINAL).ranked] == ["Red", "Blue"]
    assert {part.name: part.value for part in final["Red"].parts}["mark"] == 0.9
