"""Runs: one owner at a time, every fault laid at somebody's door, finished once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from threading import Barrier
from typing import Any

import pytest

from aisc.errors import PlatformError, TransientError, UsageError
from aisc.identity import Asset
from aisc.ledger import Ledger
from aisc.ledger.leases import LEASE
from aisc.ledger.runs import FINAL_STATES, Score
from aisc.store import blob_key

STEPS = ("ingest", "validate", "query")
VERDICT = {"code": "", "message": "", "result_key": "results/x.tar", "score": Score(0.5, 0.4, 0.6, {"part": 0.5})}


def lease_lost() -> Any:
    return pytest.raises(TransientError, match=r"^LEASE_LOST")


def test_a_run_is_queued_once_and_keeps_its_plan(scene: Any) -> None:
    receipt = scene.submit()
    key = scene.queue(receipt)
    runs = scene.ledger.runs
    assert not runs.enqueue(runs.plan(key), 9)
    (run,) = runs.all(scene.stage)
    assert runs.get(key) == run
    assert (run.state, run.attempt, run.attempts_allowed, run.team) == ("pending", 0, 3, "A")
    assert (run.submission, run.queued_at, run.owner, run.finished_at) == (receipt.id, scene.clock.now, None, None)
    assert runs.plan(key).run_key == key


def test_F09_two_sweeps_at_once_queue_a_run_once(scene: Any, open_again: Callable[..., Ledger]) -> None:
    plan = scene.ledger.runs.plan(scene.queued(seed=1))
    fresh = [scene.submit("A", f"file {number}") for number in range(8)]
    ledgers = [open_again(scene.clock) for _ in range(8)]
    start = Barrier(8)

    def sweep(ledger: Ledger) -> int:
        start.wait()
        archives = [Asset("submission", one.id, one.sha256, blob_key(one.sha256)) for one in fresh]
        return sum(ledger.runs.enqueue(replace(plan, submission=archive), 3) for archive in archives)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(sweep, ledgers)) == 8
    assert len(scene.ledger.runs.all(scene.stage)) == 9


def test_F07_of_32_claimers_one_gets_the_run(scene: Any, open_again: Callable[..., Ledger]) -> None:
    key = scene.queued()
    ledgers = [open_again(scene.clock) for _ in range(32)]
    start = Barrier(32)

    def claim(ledger: Ledger) -> int | None:
        start.wait()
        return ledger.runs.claim(key, scene.me)

    with ThreadPoolExecutor(32) as pool:
        assert sorted(pool.map(claim, ledgers), key=str) == [1] + [None] * 31
    assert [attempt.number for attempt in scene.ledger.runs.attempts(key)] == [1]


def test_a_run_goes_from_step_to_step_and_ends_with_its_score(scene: Any) -> None:
    key, runs = scene.running(), scene.ledger.runs
    for number, name in enumerate(STEPS):
        step = runs.begin_step(key, name)
        assert (step.attempt, step.begun, step.outputs, step.finished_at) == (1, 1, None, None)
        scene.clock.advance(seconds=1)
        runs.finish_step(key, name, 1, {"number": number})
    scene.score(key, 0.634889)
    run = runs.get(key)
    assert (run.state, run.code, run.message, run.owner) == ("scored", None, None, None)
    assert (run.result_key, run.finished_at) == (f"results/{key}.tar", scene.clock.now)
    assert runs.score(key) == Score(0.634889, 0.634889 - 0.1, 0.634889 + 0.1, {"part": 0.634889})
    assert [step.name for step in runs.steps(key)] == [*STEPS, "publish_result"]
    (attempt,) = runs.attempts(key)
    assert (attempt.outcome, attempt.ended_at) == ("scored", scene.clock.now)


def test_F13_a_finished_step_is_never_begun_again_and_gives_its_outputs(scene: Any) -> None:
    key, runs = scene.running(), scene.ledger.runs
    runs.begin_step(key, "validate")
    runs.finish_step(key, "validate", 1, {"word": "accepted", "attempt": 1})
    runs.begin_step(key, "query")
    runs.end_attempt(key, 1)
    assert scene.attempt(key) == 2
    again = runs.begin_step(key, "validate", 2)
    assert (again.attempt, again.begun, again.outputs) == (1, 1, {"word": "accepted", "attempt": 1})
    unfinished = runs.begin_step(key, "query", 2)
    assert (unfinished.attempt, unfinished.begun, unfinished.outputs) == (2, 2, None)


def test_F14_a_frozen_worker_is_replaced_when_its_lease_runs_out(scene: Any, elsewhere: str) -> None:
    key = scene.running(owner=elsewhere)
    scene.clock.advance(seconds=LEASE.total_seconds())
    assert scene.ledger.runs.reap(scene.stage) == []
    scene.clock.advance(microseconds=1)
    assert scene.ledger.runs.reap("another/stage") == []
    assert scene.ledger.runs.reap(scene.stage) == [key]
    assert scene.ledger.runs.reap(scene.stage) == []
    assert scene.attempt(key) == 2
    lost, now = scene.ledger.runs.attempts(key)
    assert (lost.outcome, lost.code, lost.ended_at) == ("platform", "WORKER_LOST", scene.clock.now)
    assert (now.outcome, now.ended_at) == (None, None)


def test_F14_a_worker_that_beats_keeps_its_run(scene: Any, elsewhere: str) -> None:
    key = scene.running(owner=elsewhere)
    for _ in range(10):
        scene.clock.advance(seconds=LEASE.total_seconds() - 1)
        assert scene.ledger.runs.renew(key, 1)
        assert scene.ledger.runs.reap(scene.stage) == []
    assert not scene.ledger.runs.renew(key, 2)
    assert scene.ledger.runs.get(key).state == "running"


def test_F02_a_dead_owner_on_this_machine_is_replaced_at_once(scene: Any, dead: str) -> None:
    lost, alive = scene.running("A", owner=dead), scene.running("B")
    assert scene.ledger.runs.reap(scene.stage) == [lost]
    assert scene.ledger.runs.get(lost).state == "pending"
    assert scene.ledger.runs.get(alive).state == "running"


def test_F14_a_stale_attempt_writes_nothing(scene: Any, elsewhere: str) -> None:
    key, runs = scene.running(owner=elsewhere), scene.ledger.runs
    runs.begin_step(key, "query", 1)
    scene.clock.advance(hours=1)
    runs.reap(scene.stage)
    for use in (  # while nobody has it
        lambda: runs.begin_step(key, "query", 1),
        lambda: runs.finish_step(key, "query", 1, {}),
        lambda: runs.finish(key, "query", "scored", attempt=1, **VERDICT),
    ):
        with lease_lost():
            use()
    assert scene.attempt(key) == 2
    runs.begin_step(key, "query", 2)
    for use in (  # while another worker is in the same step
        lambda: runs.begin_step(key, "query", 1),
        lambda: runs.begin_step(key, "publish", 1),
        lambda: runs.finish_step(key, "query", 1, {}),
        lambda: runs.finish(key, "query", "scored", attempt=1, **VERDICT),
    ):
        with lease_lost():
            use()
    assert not runs.renew(key, 1)
    assert runs.end_attempt(key, 1) == "running"
    runs.interrupt(key, 1)
    runs.note_fault(key, 1, "participant", "SLANDER", "The one before me did it.")
    run = runs.get(key)
    assert (run.state, run.attempt, run.attempts_allowed, runs.score(key)) == ("running", 2, 3, None)
    assert [attempt.code for attempt in runs.attempts(key)] == ["WORKER_LOST", None]
    runs.finish_step(key, "query", 2, {})
    scene.score(key, attempt=2)
    assert runs.get(key).state == "scored"


def test_F01_the_verdict_is_written_as_a_whole_or_not_at_all(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies inside the last transaction, after the score's row and before the run's state."""
    key, runs = scene.running(), scene.ledger.runs

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("aisc.ledger.runs._close", die)
        with pytest.raises(KeyboardInterrupt):
            scene.score(key)
    assert runs.score(key) is None
    assert runs.get(key).state == "running"
    assert [step.finished_at for step in runs.steps(key)] == [None]
    scene.score(key)
    assert (runs.get(key).state, runs.score(key).value) == ("scored", 0.5)


def test_F07_a_second_verdict_changes_nothing(scene: Any) -> None:
    key, runs = scene.running(), scene.ledger.runs
    scene.score(key, 0.5)
    with lease_lost():
        runs.finish(key, "publish_result", "scored", **VERDICT | {"score": Score(0.9, 0.9, 0.9, {})})
    with lease_lost():
        runs.finish(key, "publish_result", "refused", **VERDICT | {"score": None})
    assert runs.end_attempt(key, 1) == "scored"
    runs.interrupt(key, 1)
    assert (runs.get(key).state, runs.score(key).value) == ("scored", 0.5)
    assert runs.claim(key, scene.me) is None


@pytest.mark.parametrize(
    ("state", "score"),
    [
        ("scored", None),
        ("refused", Score(0.5, 0.4, 0.6, {})),
        ("pending", None),
        ("cancelled", None),
        ("scored", Score(float("nan"), 0.0, 1.0, {})),
        ("scored", Score(0.5, 0.0, float("inf"), {})),
    ],
)
def test_T35_a_verdict_that_is_none_is_refused(scene: Any, state: str, score: Score | None) -> None:
    key = scene.running()
    scene.ledger.runs.begin_step(key, "publish_result")
    with pytest.raises(PlatformError, match=r"^VERDICT_INVALID"):
        scene.ledger.runs.finish(key, "publish_result", state, **VERDICT | {"score": score})
    assert scene.ledger.runs.get(key).state == "running"


@pytest.mark.parametrize("party", ["platform", "transient", "operator", None])
def test_F11_what_is_not_the_participants_fault_is_tried_again_then_quarantined(scene: Any, party: str | None) -> None:
    receipt = scene.submit(total=1)
    key, runs = scene.queue(receipt, attempts=2), scene.ledger.runs
    for number, state in ((1, "pending"), (2, "quarantined")):
        assert scene.attempt(key) == number
        if party is not None:
            runs.note_fault(key, number, party, "SOME_FAULT", "It broke.")
        assert runs.end_attempt(key, number) == state
    run = runs.get(key)
    code = "WORKER_LOST" if party is None else "SOME_FAULT"
    assert (run.code, run.finished_at, run.owner) == (code, scene.clock.now, None)
    assert {(attempt.outcome, attempt.code) for attempt in runs.attempts(key)} == {(party or "platform", code)}
    assert scene.ledger.submissions.get(receipt.id).refunded
    assert scene.submit(content="another", total=1).state == "received"  # the attempt was given back


def test_the_participants_fault_ends_the_run_and_costs_the_attempt(scene: Any) -> None:
    receipt = scene.submit(total=1)
    key, runs = scene.queue(receipt), scene.ledger.runs
    number = scene.attempt(key)
    runs.note_fault(key, number, "participant", "OUT_OF_MEMORY", "The program used more than 8 GiB.")
    assert runs.end_attempt(key, number) == "failed"
    assert (runs.get(key).code, runs.get(key).attempt) == ("OUT_OF_MEMORY", 1)
    assert not scene.ledger.submissions.get(receipt.id).refunded


def test_a_refusal_costs_the_attempt(scene: Any) -> None:
    receipt = scene.submit()
    key, runs = scene.queue(receipt), scene.ledger.runs
    scene.attempt(key)
    runs.begin_step(key, "publish_result")
    verdict = {"code": "ZIP_PATH_ESCAPE", "message": "../x leaves the archive.", "result_key": "r", "score": None}
    runs.finish(key, "publish_result", "refused", **verdict)
    run = runs.get(key)
    assert (run.state, run.code, run.message) == ("refused", "ZIP_PATH_ESCAPE", "../x leaves the archive.")
    assert not scene.ledger.submissions.get(receipt.id).refunded
    assert runs.score(key) is None


@pytest.mark.parametrize("text", ["a\x00b", "half a pair \ud800", "line\nfeed \x1b[31m", "x" * 100_000])
def test_T44_a_message_that_quotes_anything_can_be_kept(scene: Any, text: str) -> None:
    key, runs = scene.running(attempts=2), scene.ledger.runs
    runs.note_fault(key, 1, "platform", "INTERNAL_ERROR", text)
    runs.end_attempt(key, 1)
    assert len(runs.get(key).message) == len(text)
    scene.attempt(key)
    runs.begin_step(key, "publish_result")
    verdict = {"code": "ZIP_NAME", "message": text, "result_key": "r", "score": None}
    runs.finish(key, "publish_result", "refused", **verdict)
    assert (runs.get(key).state, len(runs.get(key).message)) == ("refused", len(text))


def test_the_fault_noted_last_counts_and_none_after_the_end(scene: Any) -> None:
    key, runs = scene.running(), scene.ledger.runs
    runs.note_fault(key, 1, "participant", "FIRST", "")
    runs.note_fault(key, 1, "platform", "SECOND", "")
    runs.note_fault(key, 7, "platform", "NO_SUCH_ATTEMPT", "")
    runs.end_attempt(key, 1)
    runs.note_fault(key, 1, "participant", "THIRD", "")
    assert [(attempt.outcome, attempt.code) for attempt in runs.attempts(key)] == [("platform", "SECOND")]


def test_an_interrupted_run_goes_back_and_costs_no_attempt(scene: Any) -> None:
    key, runs = scene.running(attempts=1), scene.ledger.runs
    for number in (1, 2, 3):
        runs.interrupt(key, number)
        assert runs.get(key).state == "pending"
        assert scene.attempt(key) == number + 1
    runs.interrupt(key, 2)  # one that was interrupted before
    assert runs.end_attempt(key, 4) == "quarantined"
    assert [attempt.code for attempt in runs.attempts(key)] == ["INTERRUPTED"] * 3 + ["WORKER_LOST"]


def test_a_cancelled_run_stops_and_can_be_retried(scene: Any) -> None:
    pending, running = scene.queued("A"), scene.running("B")
    runs = scene.ledger.runs
    runs.begin_step(running, "validate", 1)
    for key in (pending, running):
        runs.cancel(key)
        assert (runs.get(key).state, runs.get(key).code) == ("cancelled", "CANCELLED")
        with pytest.raises(UsageError, match=r"^RUN_FINISHED"):
            runs.cancel(key)
    assert not runs.renew(running, 1)
    with lease_lost():
        runs.finish_step(running, "validate", 1, {})
    assert runs.end_attempt(running, 1) == "cancelled"
    assert [attempt.outcome for attempt in runs.attempts(running)] == ["cancelled"]
    runs.retry(running)
    assert (runs.get(running).state, runs.get(running).finished_at, runs.get(running).code) == ("pending", None, None)
    assert scene.attempt(running) == 2


def test_a_retry_gives_one_more_attempt_and_keeps_what_is_finished(scene: Any) -> None:
    key, runs = scene.running(attempts=1), scene.ledger.runs
    runs.begin_step(key, "validate")
    runs.finish_step(key, "validate", 1, {"word": "accepted"})
    assert runs.end_attempt(key, 1) == "quarantined"
    runs.retry(key)
    assert scene.attempt(key) == 2
    assert runs.begin_step(key, "validate", 2).outputs == {"word": "accepted"}
    assert runs.end_attempt(key, 2) == "quarantined"


@pytest.mark.parametrize("state", ["pending", "running", "scored", "refused", "failed"])
def test_a_verdict_stands_and_work_in_progress_is_not_retried(scene: Any, state: str) -> None:
    key, runs = scene.queued(), scene.ledger.runs
    if state != "pending":
        scene.attempt(key)
    if state == "scored":
        scene.score(key)
    elif state == "refused":
        runs.begin_step(key, "publish_result")
        runs.finish(key, "publish_result", "refused", **VERDICT | {"score": None})
    elif state == "failed":
        runs.note_fault(key, 1, "participant", "CRASH", "")
        runs.end_attempt(key, 1)
    assert runs.get(key).state == state
    with pytest.raises(UsageError, match=r"^RUN_NOT_RETRIABLE"):
        runs.retry(key)


def test_T47_what_was_given_back_is_not_taken_again_by_a_retry(scene: Any) -> None:
    receipt = scene.submit(total=1)
    key, runs = scene.queue(receipt, attempts=1), scene.ledger.runs
    runs.end_attempt(key, scene.attempt(key))
    other = scene.submit(content="another", total=1)
    runs.retry(key)
    charged = [one for one in scene.ledger.submissions.all() if not one.refunded]
    assert charged == [other]


def test_a_quarantine_in_a_later_stage_gives_no_attempt_at_the_earlier_one(scene: Any) -> None:
    receipt = scene.submit()
    key = scene.queue(receipt, attempts=1, stage="face/evaluation")
    assert scene.ledger.runs.end_attempt(key, scene.attempt(key)) == "quarantined"
    assert not scene.ledger.submissions.get(receipt.id).refunded


def test_F07_events_doubled_and_in_any_order_lead_to_the_same_end(scene: Any) -> None:
    """Four late events of a scored run, each twice, in every order: the state of the ledger does not move."""
    key, runs = scene.running(), scene.ledger.runs
    scene.score(key)
    before = (runs.get(key), runs.attempts(key), runs.steps(key), runs.score(key))
    events = (
        lambda: runs.end_attempt(key, 1),
        lambda: runs.note_fault(key, 1, "participant", "LATE", ""),
        lambda: runs.interrupt(key, 1),
        lambda: runs.renew(key, 1),
    )
    for order in permutations(events):
        for event in order:
            event()
            event()
        scene.clock.advance(hours=1)
        assert runs.reap(scene.stage) == []
    assert (runs.get(key), runs.attempts(key), runs.steps(key), runs.score(key)) == before


def test_F02_reapers_at_once_end_every_attempt_once(scene: Any, open_again: Callable[..., Ledger], dead: str) -> None:
    keys = {scene.running("A", f"file {number}", owner=dead, attempts=1) for number in range(24)}
    ledgers = [open_again(scene.clock) for _ in range(8)]
    start = Barrier(8)

    def reap(ledger: Ledger) -> list[str]:
        start.wait()
        return ledger.runs.reap(scene.stage)

    with ThreadPoolExecutor(8) as pool:
        reaped = [key for part in pool.map(reap, ledgers) for key in part]
    assert len(reaped) == 24
    assert set(reaped) == keys
    assert {run.state for run in scene.ledger.runs.all(scene.stage)} == {"quarantined"}


def test_unknown_runs_are_told(scene: Any) -> None:
    runs = scene.ledger.runs
    for use in (runs.get, runs.plan, runs.cancel, runs.retry, lambda key: runs.claim(key, "x:1:1")):
        with pytest.raises(UsageError, match=r"^RUN_UNKNOWN"):
            use("f" * 64)
    assert runs.score("f" * 64) is None
    assert FINAL_STATES.isdisjoint({"pending", "running"})
