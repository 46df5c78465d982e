"""Rounds: everything queued gets its verdict, whatever the workers do."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisc.ledger.leases import this_process
from aisc.ledger.runs import Run, Runs, Score
from aisc.stages.evaluate_submissions import evaluate_submissions, fair_order
from aisc.stages.once import once
from aisc.stages.sweep_stage import sweep_stage

STAGE = "face/preliminary"
Evaluation = Callable[[str, int], None]


class ThreadJob:
    """A package that runs in a thread; an exception is its exit code 1."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._code: int | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def exit_code(self) -> int | None:
        return None if self.thread.is_alive() else self._code

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            self._code = 1
        else:
            self._code = 0


class ThreadEngine:
    """Starts each run in a thread, which does what a worker process does: claim, evaluate, end the attempt."""

    def __init__(self, runs: Runs, evaluation: Evaluation, slots: int = 4) -> None:
        self._runs = runs
        self._evaluation = evaluation
        self._slots = slots
        self.started: list[str] = []
        self.most = 0
        self.jobs: list[ThreadJob] = []

    def slots(self, pending: int) -> int:
        return max(1, min(pending, self._slots))

    def start(self, package: str, arguments: Mapping[str, Any], *, name: str, slots: int) -> ThreadJob:
        assert package == "face"
        assert name == f"{STAGE}/{arguments['run_key'][:16]}"
        assert 1 <= slots <= self._slots
        self.started.append(arguments["run_key"])
        self.jobs.append(ThreadJob(lambda: self._work(arguments["run_key"])))
        self.most = max(self.most, sum(job.exit_code() is None for job in self.jobs))
        return self.jobs[-1]

    def _work(self, run_key: str) -> None:
        attempt = self._runs.claim(run_key, this_process())
        if attempt is None:
            return
        try:
            self._evaluation(run_key, attempt)
        finally:
            self._runs.end_attempt(run_key, attempt)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisc.stages.evaluate_submissions.POLL_SECONDS", 0.01)


@pytest.fixture
def evaluation(world: Any, tmp_path: Path) -> Evaluation:
    """A small evaluation by the real steps: it scores a submission with its file's length."""

    def run(run_key: str, attempt: int) -> None:
        length = tmp_path / f"{run_key}-{attempt}.txt"

        def measure(plan: Any) -> None:
            length.write_text(str(len(world.bench.store.read(plan.submission.key))))

        once(world.bench, run_key, "measure", {"length": length}, measure)
        world.bench.ledger.runs.begin_step(run_key, "publish_result")
        value = float(length.read_text())
        world.bench.ledger.runs.finish(
            run_key,
            "publish_result",
            "scored",
            code="",
            message="",
            result_key="r",
            score=Score(value, value, value, {}),
        )

    return run


def poisoned(world: Any, evaluation: Evaluation, poison: set[str]) -> Evaluation:
    def run(run_key: str, attempt: int) -> None:
        if world.bench.ledger.runs.get(run_key).submission in poison:
            raise RuntimeError("the worker dies of this one")
        evaluation(run_key, attempt)

    return run


def test_F11_one_poisoned_submission_in_a_hundred_leaves_99_scored(world: Any, evaluation: Evaluation) -> None:
    receipts = [world.submit(f"team {number // 5}", "x" * (number + 1)) for number in range(100)]
    poison = receipts[7]
    sweep_stage(world.bench, world.season, STAGE)
    engine = ThreadEngine(world.bench.ledger.runs, poisoned(world, evaluation, {poison.id}))
    assert evaluate_submissions(world.bench, engine, STAGE, "face") == {"scored": 99, "quarantined": 1}
    runs = world.bench.ledger.runs
    scores = {receipt.id: runs.score(world.key(receipt)) for receipt in receipts}
    assert {key: score and score.value for key, score in scores.items()} == {
        receipt.id: None if receipt is poison else float(receipt.size) for receipt in receipts
    }
    assert Counter(engine.started) == {world.key(one): 2 if one is poison else 1 for one in receipts}
    assert engine.most <= 4
    assert [one.id for one in world.bench.ledger.submissions.all() if one.refunded] == [poison.id]
    # The round again finds nothing to do.
    again = ThreadEngine(runs, evaluation)
    assert evaluate_submissions(world.bench, again, STAGE, "face") == {"scored": 99, "quarantined": 1}
    assert again.started == []


def test_a_stage_that_was_never_swept_has_nothing_to_evaluate(world: Any, evaluation: Evaluation) -> None:
    world.submit()
    engine = ThreadEngine(world.bench.ledger.runs, evaluation)
    assert evaluate_submissions(world.bench, engine, STAGE, "face") == {}


def test_F14_a_frozen_worker_is_replaced_while_its_process_lives_on(world: Any, evaluation: Evaluation) -> None:
    """The first worker stops inside its step, its lease runs out, another finishes; then the first writes nothing."""
    thaw, frozen = threading.Event(), threading.Event()
    late: list[str] = []

    def freeze(run_key: str, attempt: int) -> None:
        if attempt > 1:
            evaluation(run_key, attempt)
            return
        world.bench.ledger.runs.begin_step(run_key, "measure", 1)
        world.clock.advance(hours=1)
        frozen.set()
        thaw.wait(30)
        for use in (
            lambda: world.bench.ledger.runs.finish_step(run_key, "measure", 1, {"word": "stale", "attempt": 1}),
            lambda: world.bench.ledger.runs.begin_step(run_key, "another step", 1),
        ):
            try:
                use()
            except Exception as error:
                late.append(getattr(error, "code", "other"))

    receipt = world.submit()
    sweep_stage(world.bench, world.season, STAGE)
    engine = ThreadEngine(world.bench.ledger.runs, freeze)
    round_ = threading.Thread(target=lambda: evaluate_submissions(world.bench, engine, STAGE, "face"), daemon=True)
    round_.start()
    assert frozen.wait(30)
    round_.join(30)
    assert not round_.is_alive()
    thaw.set()
    engine.jobs[0].thread.join(30)
    run = world.bench.ledger.runs.get(world.key(receipt))
    assert (run.state, run.attempt, len(engine.started)) == ("scored", 2, 2)
    assert late == ["LEASE_LOST"] * 2


def test_F11_a_worker_that_ends_before_it_begins_is_not_started_for_ever(world: Any) -> None:
    """A worker that cannot even load: no attempt is claimed, and still the run comes to an end."""
    receipt = world.submit()
    sweep_stage(world.bench, world.season, STAGE)

    class BrokenEngine(ThreadEngine):
        def _work(self, run_key: str) -> None:
            raise ImportError("libcuda.so")

    engine = BrokenEngine(world.bench.ledger.runs, lambda _key, _attempt: None)
    assert evaluate_submissions(world.bench, engine, STAGE, "face") == {"quarantined": 1}
    run = world.bench.ledger.runs.get(world.key(receipt))
    assert (run.code, run.attempt, len(engine.started)) == ("WORKER_NOT_STARTED", 2, 2)
    assert world.bench.ledger.submissions.get(receipt.id).refunded


def test_F09_two_rounds_at_once_evaluate_everything_once(world: Any, evaluation: Evaluation) -> None:
    for number in range(12):
        world.submit(f"team {number % 4}", f"file {number}")
    sweep_stage(world.bench, world.season, STAGE)
    evaluated: list[str] = []

    def count(run_key: str, attempt: int) -> None:
        evaluated.append(run_key)
        evaluation(run_key, attempt)

    engines = [ThreadEngine(world.bench.ledger.runs, count, slots=2) for _ in range(2)]
    outcomes: list[dict[str, int]] = []
    rounds = [
        threading.Thread(
            target=lambda engine=engine: outcomes.append(evaluate_submissions(world.bench, engine, STAGE, "face"))
        )
        for engine in engines
    ]
    for one in rounds:
        one.start()
    for one in rounds:
        one.join(60)
    assert outcomes == [{"scored": 12}] * 2
    assert len(evaluated) == len(set(evaluated)) == 12


def test_a_cancelled_run_ends_the_round(world: Any, evaluation: Evaluation) -> None:
    one, other = world.submit("A", "one"), world.submit("B", "other")
    sweep_stage(world.bench, world.season, STAGE)
    world.bench.ledger.runs.cancel(world.key(one))
    engine = ThreadEngine(world.bench.ledger.runs, evaluation)
    assert evaluate_submissions(world.bench, engine, STAGE, "face") == {"cancelled": 1, "scored": 1}
    assert engine.started == [world.key(other)]


def queued(teams: str) -> list[Run]:
    return [
        Run(f"{number}", "s", team, STAGE, "v", "pending", 0, 3, None, None, None, None, None, None)  # type: ignore[arg-type]
        for number, team in enumerate(teams)
    ]


def test_T17_a_greedy_team_does_not_starve_the_others() -> None:
    order = "".join(run.team for run in fair_order(queued("a" * 50 + "bcdefghij")))
    assert order == "abcdefghij" + "a" * 49


@given(st.text("abcd", max_size=30))
def test_T17_no_team_waits_for_anothers_second_turn(teams: str) -> None:
    runs = queued(teams)
    ordered = fair_order(runs)
    assert sorted(run.run_key for run in ordered) == sorted(run.run_key for run in runs)
    turn: Counter[str] = Counter()
    turns = []
    for run in ordered:
        turns.append(turn[run.team])
        turn[run.team] += 1
    assert turns == sorted(turns)  # all first turns, then all second ones
    for team in set(teams):  # first in, first out
        mine = [int(run.run_key) for run in ordered if run.team == team]
        assert mine == sorted(mine)
