"""Steps of a run: made once, fetched afterwards; faults are laid at the right door."""

from pathlib import Path
from typing import Any

import pytest

from aisc.errors import AiscError, PlatformError, SubmissionRefusedError, TransientError, UsageError
from aisc.ledger.leases import this_process
from aisc.stages.once import once, step_key
from aisc.stages.sweep_stage import sweep_stage
from aisc.workbench import Workbench


@pytest.fixture
def run_key(world: Any) -> str:
    """A running run in its first attempt."""
    receipt = world.submit()
    sweep_stage(world.bench, world.season, "face/preliminary")
    key = world.key(receipt)
    assert world.bench.ledger.runs.claim(key, this_process()) == 1
    return key


def writing(path: Path, text: str, word: str | None, done: list[str]) -> Any:
    def work(plan: Any) -> str | None:
        done.append(plan.season)
        path.write_text(text)
        return word

    return work


def test_F13_a_finished_step_is_fetched_and_not_made_again(world: Any, run_key: str, tmp_path: Path) -> None:
    made, again, done = tmp_path / "made", tmp_path / "deeper" / "again", []
    work = writing(made, "content", "accepted", done)
    assert once(world.bench, run_key, "validate", {"findings": made}, work) == "accepted"
    world.bench.ledger.runs.end_attempt(run_key, 1)
    assert world.bench.ledger.runs.claim(run_key, this_process()) == 2
    other = writing(again, "other content", "refused", done)
    assert once(world.bench, run_key, "validate", {"findings": again}, other) == "accepted"
    assert again.read_text() == "content"
    assert done == ["aisc-2022-dev"]
    assert [step.begun for step in world.bench.ledger.runs.steps(run_key)] == [1]


def test_F01_a_step_that_was_cut_is_made_again_beside_what_it_left(world: Any, run_key: str, tmp_path: Path) -> None:
    """The first attempt has stored its output and dies before the ledger hears of it."""
    file, done = tmp_path / "file", []
    world.bench.ledger.runs.begin_step(run_key, "validate")
    world.bench.store.put(step_key(run_key, "validate", 1, "findings"), b"left behind")
    world.bench.ledger.runs.end_attempt(run_key, 1)
    world.bench.ledger.runs.claim(run_key, this_process())
    once(world.bench, run_key, "validate", {"findings": file}, writing(file, "second", None, done))
    assert world.bench.store.read(step_key(run_key, "validate", 2, "findings")) == b"second"
    file.unlink()
    assert once(world.bench, run_key, "validate", {"findings": file}, writing(file, "third", None, done)) == ""
    assert file.read_text() == "second"
    assert len(done) == 1


@pytest.mark.parametrize(
    ("error", "party", "code"),
    [
        (SubmissionRefusedError("CRASH", "It crashed."), "participant", "CRASH"),
        (UsageError("ASSET_UNKNOWN", "No such victim."), "operator", "ASSET_UNKNOWN"),
        (TransientError("STORE_UNAVAILABLE", "Try again."), "transient", "STORE_UNAVAILABLE"),
        (PlatformError("STORE_CORRUPT", "Spoilt."), "platform", "STORE_CORRUPT"),
        (ZeroDivisionError("by zero"), "platform", "INTERNAL_ERROR"),
    ],
)
def test_F03_a_fault_is_noted_with_whose_it_is(
    world: Any, run_key: str, error: Exception, party: str, code: str
) -> None:
    def work(_: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        once(world.bench, run_key, "validate", {}, work)
    world.bench.ledger.runs.end_attempt(run_key, 1)
    (attempt,) = world.bench.ledger.runs.attempts(run_key)
    assert (attempt.outcome, attempt.code) == (party, code)
    assert attempt.message.startswith("validate: ")
    if isinstance(error, AiscError):
        assert error.message in attempt.message


def test_F14_a_worker_whose_attempt_was_taken_over_begins_nothing(world: Any, run_key: str, tmp_path: Path) -> None:
    runs, done = world.bench.ledger.runs, []
    stale = Workbench(world.bench.ledger, world.bench.store, world.bench.cache, attempt=1)
    runs.end_attempt(run_key, 1)
    runs.claim(run_key, this_process())
    with pytest.raises(TransientError, match=r"^LEASE_LOST"):
        once(stale, run_key, "query", {}, writing(tmp_path / "x", "", None, done))
    assert (done, runs.steps(run_key), [one.code for one in runs.attempts(run_key)]) == ([], [], ["WORKER_LOST", None])
