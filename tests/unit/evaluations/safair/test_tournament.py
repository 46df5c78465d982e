"""A tournament in one process: what cells are worth, who has a line in the matrix, what a fault of ours costs."""

import json
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from aisc.errors import UsageError
from aisc.evaluations.safair_sets import SET, open_set, set_batch
from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Entry
from aisc.leaderboard.signing import make_key
from aisc.ledger.competition import Entry as Place
from aisc.ledger.leases import this_process
from aisc.season import Season
from aisc.stages import evaluate_submissions as evaluating
from aisc.stages.compute_metrics import compute_metrics
from aisc.stages.evaluate_submissions import evaluate_submissions
from aisc.stages.evidence import evidence_table
from aisc.stages.ingest_submission import ingest_submission
from aisc.stages.play_matches import play_matches
from aisc.stages.publish_leaderboard import PUBLIC_KEY, publish_leaderboard
from aisc.stages.publish_result import publish_result
from aisc.stages.query_victims import query_victims
from aisc.stages.rank_stage import rank_stage, read_ranking, write_ranking
from aisc.stages.run_submission import run_submission
from aisc.stages.sweep_stage import enter_stage, package_of, preflight, sweep_stage
from aisc.stages.tournament import finals_of
from aisc.stages.validate_submission import validate_submission
from aisc.workbench import Workbench
from tests.unit.evaluations.safair.conftest import IMAGES, SEASON

ALL = "answer((name, see(read(name))) for name in names)"
CRASH_ON_ATTACK = """
if any(min(np.abs(clean[known_name] - read(name)).sum() for known_name in clean) for name in names): sys.exit(3)
"""


class Done:
    """A job that ended before anybody could ask."""

    def __init__(self, code: int) -> None:
        self._code = code

    def exit_code(self) -> int:
        return self._code


class EngineHere:
    """Runs packages in this process, and loses the workers of the runs it is told to."""

    def __init__(self, bench: Workbench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.losing: set[str] = set()
        self.started: list[str] = []

    def slots(self, pending: int) -> int:
        return 1

    def start(self, package: str, arguments: Mapping[str, Any], *, name: str, slots: int) -> Done:
        key = arguments["run_key"]
        self.started.append(key)
        attempt = self.bench.ledger.runs.claim(key, this_process())
        assert attempt is not None
        bench = replace(self.bench, attempt=attempt)
        place = self.folder / f"{len(self.started)}"
        place.mkdir(parents=True)
        if key in self.losing:
            bench.ledger.runs.note_fault(key, attempt, "platform", "WORKER_LOST", "Its machine is gone.")
        else:
            _evaluate(bench, key, place, package)
        bench.ledger.runs.end_attempt(key, attempt)
        return Done(int(key in self.losing))


def _evaluate(bench: Workbench, key: str, place: Path, package: str) -> None:
    """Do what the compiled package does."""
    files = {name: place / name for name in ("content", "verdicts", "findings")}
    ingest_submission(bench, key, archive=place / "archive")
    assert validate_submission(bench, key, archive=place / "archive", **files) == "accepted"
    if run_submission(bench, key, archive=place / "archive", **files) != "completed":
        publish_result(bench, key, scores=None, **files)
        return
    known, answers = {name: files[name] for name in ("content", "verdicts")}, files["content"]
    if package != "match":
        answers = place / "answers"
        query_victims(bench, key, answers=answers, **known)
    compute_metrics(bench, key, answers=answers, scores=place / "scores", **known)
    publish_result(bench, key, scores=place / "scores", **files)


class Tournament:
    """A season with finals, and words to hold them."""

    def __init__(self, arena: Any, task: str = "reid", **limits: Any) -> None:
        self.arena, self.task = arena, task
        raw: dict[str, Any] = deepcopy(SEASON)
        for track, value in raw["tracks"].items():
            value["stages"]["initial"]["limits"].update(limits)
            value["stages"]["final"] = {"after": "initial", "entries": "best", "rounding": 3, "attempts": 2}
            if track.endswith("-attack"):
                value["stages"]["final"]["victims"] = value["stages"]["initial"]["victims"]
        self.raw = raw
        arena.season = Season.model_validate(raw)
        self.engine = EngineHere(arena.bench, arena.folder / "work")
        self.key = arena.folder / "keys" / "key.pem"
        self.key.parent.mkdir()
        make_key(self.key, self.key.with_name(PUBLIC_KEY))

    @property
    def stages(self) -> tuple[str, str]:
        return f"{self.task}-attack/final", f"{self.task}-defence/final"

    def enter(self, side: str, **programs: str) -> None:
        """Let teams take part, by the names of arguments."""
        stage = f"{self.task}-{side}/final"
        ledger = self.arena.bench.ledger
        receipts = {team: self.arena.submit(f"{self.task}-{side}", team, text) for team, text in programs.items()}
        places = [Place(team, receipt.id, 1) for team, receipt in receipts.items()]
        ledger.stages.enter(stage, [*ledger.stages.entries(stage), *places])

    def hold(self) -> tuple[Board, Board]:
        """Hold the tournament as its pipeline does."""
        bench, season = self.arena.bench, self.arena.season
        for stage in self.stages:
            sweep_stage(bench, season, stage)
            evaluate_submissions(bench, self.engine, stage, package_of(season.stage(stage)))
        play_matches(bench, self.engine, season, self.stages[1])
        boards = []
        for stage in self.stages:
            path = self.arena.folder / "ranking.json"
            write_ranking(path, rank_stage(bench, season, stage))
            boards.append(publish_leaderboard(bench, season, stage, read_ranking(path), self.key))
        return boards[0], boards[1]

    def cell(self, attack: str, defence: str) -> str:
        """Find the run of a cell by what it was run on."""
        runs = self.arena.bench.ledger.runs
        (made,) = [run.run_key for run in runs.all(stage=self.stages[0]) if run.team == attack]
        (found,) = [
            run.run_key
            for run in runs.all(stage=self.stages[1])
            if run.team == defence and runs.plan(run.run_key).version.data.name.endswith(made)
        ]
        return str(found)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "POLL_SECONDS", 0.0)


@pytest.fixture
def reid(arena: Any) -> Tournament:
    return Tournament(arena)


def shift(by: int, last: int = IMAGES, task: str = "reid") -> str:
    """Alter the first images, in the order of their names."""
    return f"""
for place, name in enumerate(names):
    picture, by = read(name), {by} if place < {last} else 0
    write(name, np.where(picture >= 128, picture - by, picture + by))
"""


def right_upto(arena: Any, by: int, task: str = "reid") -> str:
    wrong = "[(row[0] + 1) % 100]" if task == "reid" else "[1 - value for value in row]"
    return (
        arena.oracle(task)
        + f"""
def upto(picture):
    row = see(picture)
    return row if min(np.abs(clean[name] - picture).max() for name in clean) <= {by} else {wrong}
answer((name, upto(read(name))) for name in names)
"""
    )


def cells(board: Board) -> dict[tuple[str, str], float | None]:
    matrix = board.matrix
    assert matrix is not None
    return {
        (attack, defence): value
        for attack, row in zip(matrix.attacks, matrix.deltas, strict=True)
        for defence, value in zip(matrix.defences, row, strict=True)
    }


def rows(board: Board) -> dict[str, Entry]:
    return {entry.team: entry for entry in board.entries}


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_a_cell_is_what_the_attack_takes_image_by_image(arena: Any, task: str) -> None:
    held = Tournament(arena, task)
    held.enter("attack", A=shift(8, 6), B=shift(3, 12), Over=shift(9))
    held.enter("defence", X=right_upto(arena, 4, task), Y=arena.oracle(task) + ALL, Z=right_upto(arena, 0, task))
    attacks, defences = held.hold()
    expected = {
        ("A", "X"): 25, ("A", "Y"): 0, ("A", "Z"): 25, ("B", "X"): 0, ("B", "Y"): 0, ("B", "Z"): 50,
        ("Over", "X"): 0, ("Over", "Y"): 0, ("Over", "Z"): 0,
    }  # fmt: skip
    assert cells(attacks) == cells(defences) == pytest.approx(expected, abs=5e-4)
    assert [(row.rank, row.entry.team) for row in attacks.ranked] == [(1, "A"), (1, "B"), (3, "Over")]
    assert [(row.rank, row.entry.team) for row in defences.ranked] == [(1, "Y"), (2, "X"), (3, "Z")]
    assert [row.entry.flags for row in attacks.ranked] == [("winner",), ("winner",), ()], "a shared first place"
    entry = rows(attacks)["A"]
    per_image = np.repeat([200 / 3, 0.0], [6, IMAGES - 6])
    interval = bootstrap((per_image,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    assert entry.interval is not None
    assert (entry.interval.low, entry.interval.high) == pytest.approx((interval.low, interval.high), abs=2)


def test_rule_7_an_image_that_breaks_epsilon_is_right_even_where_the_defence_was_wrong(reid: Tournament) -> None:
    arena = reid.arena
    third = "\nwrong = sorted(clean)[::4]\ndef some(picture):\n    row = see(picture)\n    "
    third += "near = min(clean, key=lambda name: np.abs(clean[name] - picture).sum())\n    "
    third += "return [(row[0] + 1) % 100] if near in wrong else row\n"
    reid.enter("attack", Over=shift(9), Harmless=shift(0))
    reid.enter("defence", Errs=arena.oracle() + third + "answer((name, some(read(name))) for name in names)")
    _, defences = reid.hold()
    assert cells(defences) == {("Harmless", "Errs"): 0, ("Over", "Errs"): -25}
    parts = {part.name: part.value for part in rows(defences)["Errs"].parts}
    assert parts["clean accuracy"] == 75


def test_rule_6_a_defence_that_fails_as_a_whole_on_a_set_is_wrong_on_all_that_counts(reid: Tournament) -> None:
    arena = reid.arena
    table = "columns = ['who'] if any(not exact(read(name)) for name in names) else columns\n"
    exact = "def exact(picture): return min(np.abs(clean[name] - picture).sum() for name in clean) == 0\n"
    half = shift(8, 12).replace("write(name, np.where", "place % 2 == 0 and write(name, np.where")
    reid.enter("attack", All=shift(8), Half=half)
    reid.enter(
        "defence",
        Crash=arena.oracle() + CRASH_ON_ATTACK + ALL,
        Table=arena.oracle() + exact + table + ALL,
        Firm=arena.oracle() + ALL,
    )
    _, defences = reid.hold()
    expected = {("All", "Crash"): 100, ("All", "Table"): 100, ("All", "Firm"): 0}
    expected |= {("Half", "Crash"): 50, ("Half", "Table"): 50, ("Half", "Firm"): 0}
    assert cells(defences) == pytest.approx(expected, abs=5e-4)
    runs = reid.arena.bench.ledger.runs
    assert runs.get(reid.cell("All", "Crash")).code == "CRASHED"
    assert runs.get(reid.cell("All", "Table")).code == "ANSWER_COLUMNS"
    assert runs.get(reid.cell("All", "Crash")).attempt == 1, "its own failure is no reason to try again"


def test_five_by_five_costs_five_generations_and_thirty_passes(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", **{f"A{by}": shift(by) for by in range(2, 7)})
    reid.enter("defence", **{f"D{by}": right_upto(arena, by) for by in range(1, 6)})
    attacks, defences = reid.hold()
    runs = arena.bench.ledger.runs
    counts = Counter((run.stage, run.state, run.attempt) for run in runs.all())
    assert counts == {("reid-attack/final", "scored", 1): 5, ("reid-defence/final", "scored", 1): 5 + 25}
    programs = [step for run in runs.all() for step in runs.steps(run.run_key) if step.name == "run_submission"]
    assert len(programs) == sum(step.begun for step in programs) == 35
    assert cells(attacks) == {
        (f"A{by}", f"D{upto}"): 100.0 * (by > upto) for by in range(2, 7) for upto in range(1, 6)
    }  # fmt: skip
    assert rows(attacks)["A6"].flags == rows(defences)["D5"].flags == ("winner",)
    assert [row.entry.score for row in attacks.ranked] == [100, 80, 60, 40, 20]


def test_a_lost_cell_leaves_the_matrix_unfinished_and_a_retry_costs_that_cell(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8), B=shift(3))
    reid.enter("defence", X=right_upto(arena, 4), Y=arena.oracle() + ALL)
    version = {}
    real = reid.engine.start

    def start(package: str, arguments: Mapping[str, Any], **words: Any) -> Done:
        plan = arena.bench.ledger.runs.plan(arguments["run_key"])
        version[arguments["run_key"]] = plan.version.data.name
        if package == "match" and plan.version.data.name.startswith("attacks/") and not reid.engine.losing:
            reid.engine.losing = {arguments["run_key"]}
        return real(package, arguments, **words)

    reid.engine.start = start  # type: ignore[method-assign]
    attacks, defences = reid.hold()
    (lost,) = reid.engine.losing
    assert reid.engine.started.count(lost) == 2, "as often as the stage allows"
    for board in (attacks, defences):
        assert board.matrix is not None
        assert board.matrix.missing == 1
        assert len(board.ranked) == 1
        (waiting,) = board.unranked
        assert (waiting.state, waiting.reason_code, waiting.score) == ("unfinished", "MATRIX_UNFINISHED", None)
        assert "1 of 2 cells" in waiting.reason
        assert "Our fault" in waiting.reason
        assert not any(row.entry.flags for row in board.ranked), "nobody has won"
    before = list(reid.engine.started)
    reid.engine.losing = {"nothing"}
    arena.bench.ledger.runs.retry(lost)
    attacks, defences = reid.hold()
    assert reid.engine.started[len(before) :] == [lost]
    assert cells(attacks) == {("A", "X"): 100, ("A", "Y"): 0, ("B", "X"): 0, ("B", "Y"): 0}
    assert [row.entry.flags for row in attacks.ranked] == [("winner",), ()]


def test_a_lost_generation_is_a_row_of_gaps_and_nobody_is_ranked_by_accident(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8), B=shift(3))
    reid.enter("defence", X=arena.oracle() + ALL)
    sweep_stage(arena.bench, arena.season, "reid-attack/final")
    (lost,) = [run.run_key for run in arena.bench.ledger.runs.all(stage="reid-attack/final") if run.team == "B"]
    reid.engine.losing = {lost}
    attacks, defences = reid.hold()
    assert cells(attacks) == {("A", "X"): 0, ("B", "X"): None}
    assert [row.entry.team for row in attacks.ranked] == ["A"]
    assert defences.ranked == ()
    assert rows(defences)["X"].state == rows(attacks)["B"].state == "unfinished"
    assert arena.bench.ledger.submissions.get(rows(attacks)["B"].submission) is not None


def test_who_crashed_is_void_or_disqualified_has_no_line(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8), Crash="sys.exit(3)", Cheat=shift(3))
    reid.enter("defence", X=right_upto(arena, 0), Constant="answer((name, [3]) for name in names)")
    first, _ = reid.hold()
    assert set(cells(first)) == {("A", "X"), ("Cheat", "X")}
    cheat = rows(first)["Cheat"].submission
    said = {"team": "Cheat", "submission": cheat, "verdict": "fail", "note": "An organizer's own team."}
    arena.bench.ledger.reviews.add("reid-attack/final", "jury", {"Cheat": said})
    attacks, defences = reid.hold()
    assert set(cells(attacks)) == set(cells(defences)) == {("A", "X")}
    states = {entry.team: (entry.state, entry.reason_code) for entry in (*attacks.unranked, *defences.unranked)}
    assert states == {
        "Crash": ("failed", "CRASHED"),
        "Cheat": ("disqualified", "REVIEW_FAILED"),
        "Constant": ("void", "CLEAN_ACCURACY_TOO_LOW"),
    }


def test_faithful_to_the_page_a_constant_classifier_has_a_column(arena: Any) -> None:
    held = Tournament(arena)
    held.raw["tracks"]["reid-defence"]["stages"]["initial"]["limits"]["faithful"] = True
    arena.season = Season.model_validate(held.raw)
    held.enter("attack", A=shift(8))
    held.enter("defence", Constant="answer((name, [3]) for name in names)")
    _, defences = held.hold()
    assert cells(defences) == {("A", "Constant"): 0}
    assert rows(defences)["Constant"].flags == ("winner",)


def test_with_nobody_on_the_other_side_everyone_waits(reid: Tournament) -> None:
    reid.enter("attack", A=shift(8))
    reid.enter("defence", Constant="answer((name, [3]) for name in names)")
    attacks, defences = reid.hold()
    assert attacks.matrix is defences.matrix is None
    assert (rows(attacks)["A"].state, rows(defences)["Constant"].state) == ("unfinished", "void")


def test_rule_8_a_defence_that_looks_at_the_whole_batch_is_shown(arena: Any) -> None:
    held = Tournament(arena, second_pass=8)
    held.enter("attack", A=shift(8))
    looks = """
batch = np.mean([min(np.abs(clean[one] - read(name)).mean() for one in clean) for name in names])
def look(picture): return see(picture) if batch > 6 else [(see(picture)[0] + (batch > 0.1)) % 100]
answer((name, look(read(name))) for name in names)
"""
    held.enter("defence", Looks=arena.oracle() + looks, Plain=arena.oracle() + ALL)
    _, defences = held.hold()
    shown = {part.name: part.value for part in rows(defences)["Looks"].parts}
    assert shown["second answers that differ"] >= 8, "the board says so"
    runs = arena.bench.ledger.runs
    found = {team: runs.score(held.cell("A", team)).parts["second answers that differ"] for team in ("Looks", "Plain")}
    assert found == {"Looks": 8, "Plain": 0}


def test_T38_every_set_has_names_of_its_own_and_they_tell_nothing(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8), B=shift(3))
    reid.enter("defence", X=arena.oracle() + ALL)
    reid.hold()
    runs = arena.bench.ledger.runs
    versions = [runs.plan(run.run_key).version for run in runs.all(stage="reid-defence/final")]
    batches = [set_batch(arena.bench, version) for version in versions]
    every = [name for batch in batches for name in batch.names[SET]]
    assert len(set(every)) == len(every) == 3 * IMAGES
    assert not set(every) & set(open_set(arena.bench, versions[0]).hidden.faces.names)
    for batch in batches:
        assert {path.name for path in batch.folder.iterdir()} == {"images", "task.json"}
        order = np.argsort(np.argsort(batch.names[SET]))
        assert abs(np.corrcoef(order, np.arange(IMAGES))[0, 1]) < 0.5


def test_the_lineage_of_a_cell_leads_to_the_attack_and_the_hidden_data(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8, 6))
    reid.enter("defence", X=right_upto(arena, 0))
    reid.hold()
    bench = arena.bench
    plan = bench.ledger.runs.plan(reid.cell("A", "X"))
    (made,) = bench.ledger.runs.all(stage="reid-attack/final")
    assert plan.version.data.name == f"attacks/{made.run_key}"
    described = json.loads((bench.asset(plan.version.data) / "set.json").read_text())
    assert described["data"]["sha256"] == bench.ledger.assets.current("data", "safair/reid").sha256
    table = evidence_table(bench, plan.run_key)
    assert table["right"].tolist() == [0.0] * 6 + [1.0] * (IMAGES - 6)


def test_a_sixth_who_advances_later_costs_its_own_cells(reid: Tournament) -> None:
    arena = reid.arena
    # The last one breaks ε everywhere: the baseline's clean errors count as right then, which is the lowest delta.
    for team, by in (("A", 8), ("B", 6), ("C", 9)):
        arena.judge("reid-attack", team, shift(by))
    arena.judge("reid-defence", "X", arena.oracle() + ALL)

    def publish(track: str, top: int) -> None:
        reid.raw["tracks"][track]["stages"]["initial"]["advance"] = {"top": top}
        arena.season = Season.model_validate(reid.raw)
        stage = f"{track}/initial"
        publish_leaderboard(arena.bench, arena.season, stage, rank_stage(arena.bench, arena.season, stage), reid.key)

    arena.season = Season.model_validate(reid.raw)
    with pytest.raises(UsageError, match="STAGE_STILL_OPEN"):
        preflight(arena.bench, arena.season, "reid-attack/final")
    arena.now = arena.season.stage("reid-attack/final").stage.opens
    publish("reid-attack", 2)
    publish("reid-defence", 2)
    first, _ = reid.hold()
    going = {attack for attack, _ in cells(first)}
    assert len(going) == 2
    before = list(reid.engine.started)
    assert len(before) == 2 + 1 + 2
    publish("reid-attack", 3)
    enter_stage(arena.bench, arena.season, "reid-attack/final")
    second, _ = reid.hold()
    assert {attack for attack, _ in cells(second)} == {"A", "B", "C"}
    assert len(reid.engine.started) == len(before) + 2, "one generation and one cell"
    assert {pair: value for pair, value in cells(second).items() if pair[0] in going} == cells(first)


def test_another_version_names_the_command_that_scores_it_again(reid: Tournament) -> None:
    arena = reid.arena
    reid.enter("attack", A=shift(8))
    reid.enter("defence", X=arena.oracle() + ALL)
    reid.hold()
    reid.raw["tracks"]["reid-defence"]["stages"]["final"]["seed"] = 5
    reid.raw["tracks"]["reid-attack"]["stages"]["final"]["seed"] = 5
    arena.season = Season.model_validate(reid.raw)
    with pytest.raises(UsageError, match="VERSION_CHANGED") as changed:
        preflight(arena.bench, arena.season, "reid-defence/final")
    assert "aisc tournament run reid --rescore" in changed.value.remedy


def test_a_season_without_both_finals_holds_no_tournament(arena: Any) -> None:
    with pytest.raises(UsageError, match="TOURNAMENT_UNKNOWN"):
        finals_of(arena.season, "reid")
    held = Tournament(arena)
    assert [ref.path for ref in finals_of(arena.season, held.task)] == list(held.stages)
