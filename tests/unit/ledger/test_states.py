"""Whatever is done to submissions and runs, in whatever order: what always holds of them.

A model of a few lines says what each call may do; hypothesis looks for an order of calls that breaks it.
"""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aisc.errors import SubmissionRefusedError, TransientError, UsageError
from aisc.identity import Asset, Plan, Version
from aisc.ledger import open_ledger
from aisc.ledger.leases import LEASE
from aisc.ledger.runs import FINAL_STATES, Score
from aisc.ledger.submissions import Gate
from aisc.store import blob_key

STAGE, QUOTA, TEAMS, STEPS = "face/preliminary", 3, ("A", "B"), ("validate", "query")
START = datetime(2022, 3, 1, tzinfo=UTC)
OWNER = "another-machine:1:1"
LEGAL = {
    "pending": {"running", "cancelled"},
    "running": {"pending", "scored", "refused", "failed", "quarantined", "cancelled"},
    "quarantined": {"pending"},
    "cancelled": {"pending"},
    "scored": set(),
    "refused": set(),
    "failed": set(),
}


class LedgerMachine(RuleBasedStateMachine):
    """Two teams, two workers' worth of attempts, one operator and a clock."""

    template: Path
    submissions = Bundle("submissions")
    runs = Bundle("runs")
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.path = self.template.with_name(f"{uuid4().hex}.db")
        shutil.copy(self.template, self.path)
        self.ledger = open_ledger(f"sqlite:///{self.path}", clock=lambda: self.now)
        for team in TEAMS:
            self.ledger.teams.add(team)
        self.states: dict[str, str] = {}
        self.finished_steps: dict[tuple[str, str], tuple[object, ...]] = {}
        self.gate = Gate(START, START + timedelta(days=400), None, QUOTA, lambda now: (now, now))

    def teardown(self) -> None:
        self.ledger.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()

    @rule(target=submissions, team=st.sampled_from(TEAMS), content=st.integers(0, 5))
    def reserve(self, team: str, content: int) -> object:
        name = sha256(f"{content}".encode()).hexdigest()
        charged = self.charged(team)
        known = [one for one in self.stored(team) if one.sha256 == name]
        try:
            return self.ledger.submissions.reserve(team, STAGE, name, 1, "x.zip", self.gate).id
        except SubmissionRefusedError:
            assert charged >= QUOTA
            assert not known
            return multiple()

    @rule(submission=submissions)
    def confirm(self, submission: str) -> None:
        before = self.ledger.submissions.get(submission).state
        try:
            assert self.ledger.submissions.confirm(submission).state == "received"
        except TransientError:
            assert before == "aborted"

    @rule(submission=submissions)
    def abort(self, submission: str) -> None:
        before = self.ledger.submissions.get(submission).state
        self.ledger.submissions.abort(submission)
        after = self.ledger.submissions.get(submission).state
        assert after == ("received" if before == "received" else "aborted")

    @rule(target=runs, submission=submissions, seed=st.integers(0, 1), allowed=st.integers(1, 2))
    def enqueue(self, submission: str, seed: int, allowed: int) -> object:
        receipt = self.ledger.submissions.get(submission)
        if receipt.state != "received":
            return multiple()
        version = Version(STAGE, "rules", None, (), {}, seed, "code")
        archive = Asset("submission", receipt.id, receipt.sha256, blob_key(receipt.sha256))
        plan = Plan(version, archive, season="s", digits=6)
        assert self.ledger.runs.enqueue(plan, allowed) == (plan.run_key not in self.states)
        self.states.setdefault(plan.run_key, "pending")
        return plan.run_key

    @rule(target=attempts, key=runs)
    def claim(self, key: str) -> object:
        before = self.ledger.runs.get(key)
        number = self.ledger.runs.claim(key, OWNER)
        assert number == (before.attempt + 1 if before.state == "pending" else None)
        return multiple() if number is None else (key, number)

    def mine(self, attempt: tuple[str, int]) -> bool:
        run = self.ledger.runs.get(attempt[0])
        return run.state == "running" and run.attempt == attempt[1]

    def leased(self, attempt: tuple[str, int], use: Callable[[], object], done: bool = False) -> bool:
        """Do what only the present attempt may do, and say whether it was done."""
        may = self.mine(attempt) and not done
        try:
            use()
        except TransientError:
            assert not may
            return False
        assert may
        return True

    @rule(attempt=attempts, step=st.sampled_from(STEPS))
    def do_step(self, attempt: tuple[str, int], step: str) -> None:
        key, number = attempt
        if (key, step) in self.finished_steps:
            begun = self.ledger.runs.begin_step(key, step, number)
            assert tuple(begun) == self.finished_steps[key, step]
        elif self.leased(attempt, lambda: self.ledger.runs.begin_step(key, step, number)):
            self.ledger.runs.finish_step(key, step, number, {"attempt": number})
            (done,) = [one for one in self.ledger.runs.steps(key) if one.name == step]
            assert done.outputs == {"attempt": number}
            self.finished_steps[key, step] = tuple(done)

    @rule(attempt=attempts, value=st.floats(0, 1), scored=st.booleans())
    def finish(self, attempt: tuple[str, int], value: float, scored: bool) -> None:
        key, number = attempt
        state, score = ("scored", Score(value, 0.0, 1.0, {})) if scored else ("refused", None)

        def publish() -> None:
            self.ledger.runs.begin_step(key, "publish", number)
            verdict = {"code": "", "message": "", "result_key": "r", "score": score, "attempt": number}
            self.ledger.runs.finish(key, "publish", state, **verdict)  # type: ignore[arg-type]

        if self.ledger.runs.get(key).state not in ("scored", "refused"):
            self.leased(attempt, publish)

    @rule(attempt=attempts, party=st.sampled_from(["participant", "operator", "transient", "platform", None]))
    def fail(self, attempt: tuple[str, int], party: str | None) -> None:
        key, number = attempt
        before, mine = self.ledger.runs.get(key), self.mine(attempt)
        if party is not None:
            self.ledger.runs.note_fault(key, number, party, "CODE", "why")  # type: ignore[arg-type]
        after = self.ledger.runs.end_attempt(key, number)
        if not mine:
            assert after == before.state
        elif party == "participant":
            assert after == "failed"
        else:
            assert after == ("quarantined" if number >= before.attempts_allowed else "pending")

    @rule(attempt=attempts)
    def interrupt(self, attempt: tuple[str, int]) -> None:
        mine, before = self.mine(attempt), self.ledger.runs.get(attempt[0])
        self.ledger.runs.interrupt(*attempt)
        after = self.ledger.runs.get(attempt[0])
        assert (after.state, after.attempts_allowed) == (
            ("pending", before.attempts_allowed + 1) if mine else (before.state, before.attempts_allowed)
        )

    @rule(attempt=attempts)
    def renew(self, attempt: tuple[str, int]) -> None:
        assert self.ledger.runs.renew(*attempt) == self.mine(attempt)

    @rule(key=runs)
    def cancel(self, key: str) -> None:
        before = self.ledger.runs.get(key).state
        try:
            self.ledger.runs.cancel(key)
        except UsageError:
            assert before in FINAL_STATES
        else:
            assert before in ("pending", "running")

    @rule(key=runs)
    def retry(self, key: str) -> None:
        before = self.ledger.runs.get(key).state
        try:
            self.ledger.runs.retry(key)
        except UsageError:
            assert before not in ("quarantined", "cancelled")
        else:
            assert before in ("quarantined", "cancelled")

    @rule(seconds=st.sampled_from([1.0, LEASE.total_seconds() + 1, 3601.0]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.states)
    @rule()
    def reap(self) -> None:
        reaped = self.ledger.runs.reap(STAGE)
        assert len(set(reaped)) == len(reaped)
        assert {self.ledger.runs.get(key).state for key in reaped} <= {"pending", "quarantined", "failed"}

    def stored(self, team: str) -> list[object]:
        return self.ledger.submissions.all(team=team)  # type: ignore[return-value]

    def charged(self, team: str) -> int:
        left = self.ledger.submissions.attempts_left(team, STAGE, self.gate)
        assert left is not None
        return QUOTA - left

    @invariant()
    def no_team_is_charged_more_than_its_quota(self) -> None:
        for team in TEAMS:
            assert sum(not one.refunded for one in self.ledger.submissions.all(team=team)) <= QUOTA

    @invariant()
    def runs_move_as_the_states_allow(self) -> None:
        for run in self.ledger.runs.all(STAGE):
            before = self.states[run.run_key]
            # One call moves a run one step at most, and a failure that is tried again passes through no other state.
            assert run.state == before or run.state in LEGAL[before]
            self.states[run.run_key] = run.state
            assert (run.finished_at is not None) == (run.state in FINAL_STATES)
            assert (run.owner is not None) == (run.state == "running")
            assert (self.ledger.runs.score(run.run_key) is not None) == (run.state == "scored")

    @invariant()
    def at_most_the_last_attempt_is_open_and_only_while_its_run_is_running(self) -> None:
        for run in self.ledger.runs.all(STAGE):
            attempts = self.ledger.runs.attempts(run.run_key)
            assert [attempt.number for attempt in attempts] == list(range(1, run.attempt + 1))
            open_ones = [attempt.number for attempt in attempts if attempt.ended_at is None]
            assert open_ones == ([run.attempt] if run.state == "running" else [])

    @invariant()
    def a_finished_step_stays_as_it_is(self) -> None:
        for (key, name), step in self.finished_steps.items():
            assert step in [tuple(one) for one in self.ledger.runs.steps(key) if one.name == name]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_F07_no_order_of_calls_breaks_the_rules_of_the_ledger(template: Path) -> None:
    LedgerMachine.template = template
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
