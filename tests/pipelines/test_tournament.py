"""A tournament from the compiled packages: every cell as the programs make it, once, whatever happens on the way.

What programs do is fixed here: an attack shifts chosen hidden images by so many grey levels, a defence is right up to
so many. So every cell follows by counting.
"""

import json
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from aisc.datasets.attribute_faces import Faces, read_faces
from aisc.leaderboard.board import Board
from aisc.ledger.competition import Entry as Place
from aisc.ledger.runs import Run
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.boards import latest_board
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.victims.builtin import builtin_package
from tests.pipelines.conftest import Rig

pytestmark = pytest.mark.xdist_group("local-engine")

ATTACK, DEFENCE = "reid-attack/final", "reid-defence/final"
IMAGES = 24
EPSILON = 8
GENERATION = ["ingest_submission", "validate_submission", "run_submission", "query_victims", "compute_metrics"]
MATCH = ["ingest_submission", "validate_submission", "run_submission", "compute_metrics"]


@dataclass(frozen=True)
class Shift:
    """An attack: how many grey levels the first, the second ... part of the hidden images is shifted by."""

    parts: tuple[tuple[int, int], ...]

    def program(self) -> str:
        return f"""
shifts = {self.shifts().tolist()!r}
for name in names:
    picture = read(name)
    by = shifts[number(picture)]
    write(name, np.where(picture >= 128, picture - by, picture + by))
"""

    def shifts(self) -> np.ndarray:
        return np.concatenate([np.full(images, by) for images, by in self.parts])


@dataclass(frozen=True)
class Steady:
    """A defence: right on every image shifted by so many grey levels at most, but on these images never."""

    upto: int
    never: range = range(0)

    def program(self, before: str = "") -> str:
        return f"""
{before}
def see(picture):
    index = number(picture)
    by = np.abs(clean[index] - picture).max()
    return truth[index] if by <= {self.upto} and index not in {list(self.never)!r} else [(truth[index][0] + 1) % 100]
answer((name, see(read(name))) for name in names)
"""

    def right(self, shifts: np.ndarray) -> np.ndarray:
        return (shifts <= self.upto) & ~np.isin(np.arange(IMAGES), self.never)


ATTACKS = {
    "Strong": Shift(((18, 8), (6, 0))),
    "Greedy": Shift(((10, 3), (2, 0), (12, 9))),  # over ε: the last twelve do not count
}
DEFENCES = {"Firm": Steady(8, range(20, 24)), "Soft": Steady(4), "Glass": Steady(0, range(2))}
LATE = Shift(((6, 8), (18, 0)))
CRASH = "sys.exit(3)"
CONSTANT = "answer((name, [3]) for name in names)"


def delta(attack: Shift, defence: Steady) -> np.ndarray:
    """Points that an attack takes from a defence on each image; what breaks ε is right for the defence (rule 7)."""
    shifts = attack.shifts()
    after = np.where(shifts <= EPSILON, defence.right(shifts), True)
    return 100.0 * (defence.right(np.zeros(IMAGES)).astype(float) - after.astype(float))


class TournamentRig(Rig):
    """A season whose finals can be held: who takes part is entered by hand."""

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; a tournament takes minutes on a busy machine."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=1500)
        assert done.returncode == code, done.stdout + done.stderr + self.logs()
        return done.stdout

    def enter(self, stage: str, installation, programs: dict[str, str]) -> None:
        """Let teams take part in a final, beside those who do already."""
        track = stage.partition("/")[0]
        with self.open() as workspace:
            ledger = workspace.bench.ledger
            places = ledger.stages.entries(stage)
            for team, text in programs.items():
                ledger.teams.add(team)
                file = self.folder / f"{team}.json"
                file.write_text(installation.program(text))
                receipt = receive(workspace.bench, workspace.season, f"{track}/initial", team, file)
                places.append(Place(team, receipt.id, 1))
            ledger.stages.enter(stage, places)

    def board(self, stage: str) -> Board:
        with self.open() as workspace:
            board = latest_board(workspace.bench, stage)
            assert board is not None
            return board

    def runs(self, stage: str) -> list[Run]:
        with self.open() as workspace:
            return workspace.bench.ledger.runs.all(stage=stage)

    def steps(self) -> dict[str, list[str]]:
        """Names of the finished steps of every run; begun once more than finished is a step done twice."""
        with self.open() as workspace:
            runs = workspace.bench.ledger.runs
            return {run.run_key: [s.name for s in runs.steps(run.run_key) if s.finished_at] for run in runs.all()}

    def finished(self) -> int:
        return sum(map(len, self.steps().values()))


def knows(folder: Path, faces: Faces) -> str:
    return f"""
folder, known, truth = Path({str(folder / "hidden")!r}), {list(faces.names)!r}, {faces.people[:, None].tolist()!r}
clean = [cv2.imread(str(folder / name)).astype(int) for name in known]
def number(picture): return min(range(len(clean)), key=lambda index: np.abs(clean[index] - picture).sum())
"""


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "reid"
    make_faces(FacesSpec("reid", 7, hidden=IMAGES, train=6, val=4), folder)
    return folder


@pytest.fixture(scope="module")
def known(faces) -> str:
    return knows(faces, read_faces(faces, "hidden"))


def make_season(folder: Path, faces: Path) -> TournamentRig:
    rig = TournamentRig(folder)
    rig.folder.mkdir()
    start = datetime.now(UTC).date() - timedelta(days=1)
    raw = yaml.safe_load(season_text("rig", start, title="Rig", tracks=["reid-attack", "reid-defence"]))
    for track in raw["tracks"].values():
        track["stages"]["initial"]["limits"]["second_pass"] = 4
    rig.season.write_text(yaml.safe_dump(raw, sort_keys=False))
    with rig.open() as workspace:
        workspace.bench.register("data", "safair/reid", faces)
        for name in ("reid-fgsm", "reid-undefended"):
            workspace.bench.register("victim", name, builtin_package(name))
    return rig


@pytest.fixture(scope="module")
def held(faces, known, installation, tmp_path_factory) -> TournamentRig:
    """A tournament of two attacks and three defences, and one on each side who has no line in it."""
    rig = make_season(tmp_path_factory.mktemp("tournament") / "season", faces)
    attacks = {team: known + one.program() for team, one in ATTACKS.items()} | {"Crashed": CRASH}
    defences = {team: known + one.program() for team, one in DEFENCES.items()} | {"Constant": CONSTANT}
    rig.enter(ATTACK, installation, attacks)
    rig.enter(DEFENCE, installation, defences)
    rig.run("tournament", "run", "reid")
    return rig


def expected(attacks: dict[str, Shift], defences: dict[str, Steady]) -> dict[tuple[str, str], float]:
    return {(a, d): delta(one, other).mean() for a, one in attacks.items() for d, other in defences.items()}


def shown(board: Board) -> dict[tuple[str, str], float | None]:
    matrix = board.matrix
    assert matrix is not None
    return {
        (attack, defence): matrix.deltas[row][column]
        for row, attack in enumerate(matrix.attacks)
        for column, defence in enumerate(matrix.defences)
    }


def test_every_cell_is_what_the_programs_make_of_it(held):
    cells = expected(ATTACKS, DEFENCES)
    assert min(cells.values()) < 0 < max(cells.values()), "one attack only helps"
    assert len(set(cells.values())) == 5, "a test that cannot tell cells apart shows nothing"
    for stage in (ATTACK, DEFENCE):
        assert shown(held.board(stage)) == pytest.approx(cells, abs=5e-4), stage


def test_attacks_are_ranked_by_rows_and_defences_by_columns(held):
    cells = expected(ATTACKS, DEFENCES)
    rows = {team: np.mean([cells[team, other] for other in DEFENCES]) for team in ATTACKS}
    columns = {team: np.mean([cells[other, team] for other in ATTACKS]) for team in DEFENCES}
    for stage, means, best_first in ((ATTACK, rows, -1), (DEFENCE, columns, 1)):
        board = held.board(stage)
        assert board.measure.higher_is_better == (stage == ATTACK)
        assert [row.entry.team for row in board.ranked] == sorted(means, key=lambda team: best_first * means[team])
        assert [row.rank for row in board.ranked] == [*range(1, len(means) + 1)]
        for row in board.ranked:
            entry = row.entry
            assert entry.score == pytest.approx(means[entry.team], abs=5e-4)
            assert entry.interval.low <= entry.score <= entry.interval.high
            assert entry.flags == (("winner",) if row.rank == 1 else ())
    matrix = held.board(ATTACK).matrix
    assert matrix.attacks == tuple(sorted(rows, key=lambda team: -rows[team]))
    assert matrix.defences == tuple(sorted(columns, key=lambda team: columns[team]))


def test_parts_tell_the_clean_accuracy_and_the_way_to_the_first(held):
    told = {row.entry.team: {part.name: part.value for part in row.entry.parts} for row in held.board(DEFENCE).ranked}
    for team, one in DEFENCES.items():
        assert (told[team]["outside a sandbox"], told[team]["second answers that differ"]) == (1, 0)
        assert told[team]["clean accuracy"] == pytest.approx(100 * one.right(np.zeros(IMAGES)).mean(), abs=5e-4)
    ranked = held.board(DEFENCE).ranked
    for row in ranked:
        behind = row.entry.score - ranked[0].entry.score
        assert told[row.entry.team]["behind the first"] == pytest.approx(behind, abs=2e-3)
    attacks = {row.entry.team: {part.name: part.value for part in row.entry.parts} for row in held.board(ATTACK).ranked}
    assert {team: one["images that count"] for team, one in attacks.items()} == {"Strong": IMAGES, "Greedy": 12}


def test_who_crashed_or_is_void_has_no_line_and_no_place(held):
    (crashed,) = held.board(ATTACK).unranked
    assert (crashed.team, crashed.state, crashed.reason_code) == ("Crashed", "failed", "CRASHED")
    (constant,) = held.board(DEFENCE).unranked
    assert (constant.team, constant.state, constant.reason_code) == ("Constant", "void", "CLEAN_ACCURACY_TOO_LOW")


def test_the_ledger_proves_that_nothing_was_computed_twice(held):
    steps = held.steps()
    generations, passes = held.runs(ATTACK), held.runs(DEFENCE)
    assert Counter(run.state for run in generations) == {"scored": 2, "failed": 1}
    # Four clean passes, and six cells: nobody meets who crashed, and who is void meets nobody.
    assert Counter(run.state for run in passes) == {"scored": 4 + 6}
    assert Counter(run.team for run in passes) == {"Firm": 3, "Soft": 3, "Glass": 3, "Constant": 1}
    for runs, names in ((generations, GENERATION), (passes, MATCH)):
        for run in runs:
            wanted = [*names[:3], "publish_result"] if run.state == "failed" else [*names, "publish_result"]
            assert steps[run.run_key] == wanted
            assert run.attempt == 1


def test_held_again_it_computes_and_publishes_nothing(held):
    before, boards = held.steps(), [held.board(stage) for stage in (ATTACK, DEFENCE)]
    held.run("tournament", "run", "reid")
    assert held.steps() == before
    assert [held.board(stage) for stage in (ATTACK, DEFENCE)] == boards


def test_T41_T50_bundles_hold_nothing_hidden_and_nothing_of_another_team(held, faces, tmp_path):
    status = {row["team"]: row["submission"] for row in held.json("status")}
    for stage, team in ((ATTACK, "Strong"), (DEFENCE, "Soft")):
        held.run("results", status[team], "--stage", stage, "--to", str(tmp_path / team))
    own = {path.name for path in (tmp_path / "Strong").iterdir()}
    assert own == {"README.txt", "contact-sheet.png", "findings.md", "images.csv", "manifest.json", "result.json"}
    theirs = {path.name for path in (tmp_path / "Soft").iterdir()}
    assert theirs == {"README.txt", "findings.md", "manifest.json", "result.json"}
    result = json.loads((tmp_path / "Soft" / "result.json").read_text())
    assert (result["score_name"], result["score"]) == ("accuracy, points", 100)
    bundles = [run.result_key for run in held.runs(DEFENCE)]
    text = b"".join((held.folder / "artifacts" / str(key)).read_bytes() for key in bundles)
    assert len(bundles) == 10
    for name in read_faces(faces, "hidden").names:
        assert name.encode() not in text
    assert b"PNG" not in text


def test_the_page_shows_the_matrix(held):
    for stage in (ATTACK, DEFENCE):
        page = (held.folder / "artifacts" / "site" / stage / "index.html").read_text()
        drawing = page[page.index('<svg class="matrix"') :].partition("</svg>")[0]
        for team in (*ATTACKS, *DEFENCES):
            assert f"<bdi>{team}</bdi>" in drawing
        for value in expected(ATTACKS, DEFENCES).values():
            assert f">{value:.1f}</text>" in drawing or f">{value + 0.0:.1f}</text>" in drawing
        assert "Crashed" not in drawing
    assert held.json("leaderboard", "verify", ATTACK)["ok"]


def test_a_round_of_a_final_names_the_command_that_holds_it(held):
    for words in (("round", "run"), ("rescore",)):
        error = held.json(*words, ATTACK, code=2)["error"]
        assert error["code"] == "STAGE_IS_TOURNAMENT"
        assert "aisc tournament run reid" in error["remedy"]
    assert held.json("tournament", "run", "attributes", code=2)["error"]["code"] == "TOURNAMENT_UNKNOWN"


def test_a_late_attack_costs_its_own_row(held, known, installation):
    """Last of this season's tests: it changes the season."""
    before = held.steps()
    held.enter(ATTACK, installation, {"Late": known + LATE.program()})
    held.run("tournament", "run", "reid")
    new = held.steps()
    assert {key: steps for key, steps in new.items() if key in before} == before
    added = [run for stage in (ATTACK, DEFENCE) for run in held.runs(stage) if run.run_key not in before]
    assert Counter((run.stage, run.team) for run in added) == {
        (ATTACK, "Late"): 1, (DEFENCE, "Firm"): 1, (DEFENCE, "Soft"): 1, (DEFENCE, "Glass"): 1,
    }  # fmt: skip
    attacks = ATTACKS | {"Late": LATE}
    for stage in (ATTACK, DEFENCE):
        assert shown(held.board(stage)) == pytest.approx(expected(attacks, DEFENCES), abs=5e-4)
        assert held.board(stage).number == 2


def kill_after(rig: TournamentRig, finished_steps: int) -> None:
    """Start the tournament and kill the command with SIGKILL once that many steps are finished."""
    with subprocess.Popen(
        rig.command("tournament", "run", "reid"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 600
        while process.poll() is None and time.monotonic() < deadline and rig.finished() < finished_steps:
            time.sleep(0.05)
        assert process.poll() is None, "it was to be killed on its way"
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while rig.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rig.processes() == [], "a killed tournament leaves nothing running"


def test_F01_F13_killed_on_its_way_it_ends_in_the_same_matrix_and_no_step_is_done_twice(
    faces, known, installation, tmp_path
):
    rig = make_season(tmp_path / "season", faces)
    defences = {"Soft": DEFENCES["Soft"]}
    rig.enter(ATTACK, installation, {team: known + one.program() for team, one in ATTACKS.items()})
    rig.enter(DEFENCE, installation, {team: known + one.program() for team, one in defences.items()})
    before_cells, whole = 2 * 6 + 5, 2 * 6 + 5 + 2 * 5
    kill_after(rig, before_cells + 3)
    rig.run("tournament", "run", "reid")
    assert shown(rig.board(ATTACK)) == pytest.approx(expected(ATTACKS, defences), abs=5e-4)
    assert shown(rig.board(DEFENCE)) == shown(rig.board(ATTACK))
    assert rig.finished() == whole
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        assert {run.state for run in runs.all()} == {"scored"}
        for run in runs.all():
            # Begun in several attempts at most, and finished in the last of them: nothing follows a finish.
            assert all(step.begun <= step.attempt for step in runs.steps(run.run_key))
