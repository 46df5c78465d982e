"""Runs, their attempts and their steps: leased to one worker at a time, finished once.

States: ``pending`` → ``running`` → one of ``scored``, ``refused`` (the submission breaks a rule), ``failed`` (the
participant's program did), ``quarantined`` (we failed too often), ``cancelled``. A retry raises the attempt, never the
key; an attempt that lost its lease can write nothing any more.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from aisc.errors import Party, PlatformError, TransientError, UsageError
from aisc.identity import Plan
from aisc.ledger.database import Database
from aisc.ledger.leases import LEASE, is_dead
from aisc.ledger.models import AttemptRow, RunRow, ScoreRow, StepRow, SubmissionRow, TeamRow

FINAL_STATES = frozenset({"scored", "refused", "failed", "quarantined", "cancelled"})


class Run(NamedTuple):
    """One evaluation as the ledger knows it."""

    run_key: str
    submission: str
    team: str
    stage: str
    version_sha256: str
    state: str
    attempt: int
    attempts_allowed: int
    owner: str | None
    queued_at: datetime
    finished_at: datetime | None
    code: str | None
    message: str | None
    result_key: str | None


class Attempt(NamedTuple):
    """One try of a run."""

    number: int
    owner: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    code: str | None
    message: str | None


class Step(NamedTuple):
    """One step of a run; ``begun`` counts how often it was started, ``outputs`` is there once it is finished."""

    name: str
    attempt: int
    begun: int
    started_at: datetime
    finished_at: datetime | None
    outputs: dict[str, Any] | None


class Score(NamedTuple):
    """A score with its 95 % interval and its named parts."""

    value: float
    low: float
    high: float
    parts: dict[str, Any]


class Runs:
    """The runs of a season."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, plan: Plan, attempts_allowed: int) -> bool:
        """Add a run unless its key is there already; says whether it was added."""
        with self._database.write() as session:
            self._database.line_up(session, plan.run_key)
            if session.get(RunRow, plan.run_key) is not None:
                return False
            session.add(
                RunRow(
                    run_key=plan.run_key,
                    submission_id=plan.submission.name,
                    stage=plan.version.stage,
                    version_sha256=plan.version.sha256,
                    plan=plan.as_json(),
                    state="pending",
                    attempts_allowed=attempts_allowed,
                    queued_at=self._database.now(session),
                )
            )
            return True

    def plan(self, run_key: str) -> Plan:
        """Give what a run evaluates; raises ``RUN_UNKNOWN``."""
        with self._database.read() as session:
            return Plan.from_json(_row(session, run_key).plan)

    def get(self, run_key: str) -> Run:
        """Give one run; raises ``RUN_UNKNOWN``."""
        with self._database.read() as session:
            _row(session, run_key)
            return _runs(session, _query().where(RunRow.run_key == run_key))[0]

    def all(
        self, stage: str | None = None, version_sha256: str | None = None, submission: str | None = None
    ) -> list[Run]:
        """Give runs in the order they were queued."""
        query = _query()
        for column, wanted in (
            (RunRow.stage, stage),
            (RunRow.version_sha256, version_sha256),
            (RunRow.submission_id, submission),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._database.read() as session:
            return _runs(session, query)

    def attempts(self, run_key: str) -> list[Attempt]:
        """Give the attempts of a run in order."""
        with self._database.read() as session:
            rows = session.scalars(select(AttemptRow).where(AttemptRow.run_key == run_key).order_by(AttemptRow.number))
            return [
                Attempt(row.number, row.owner, row.started_at, row.ended_at, row.outcome, row.code, row.message)
                for row in rows
            ]

    def steps(self, run_key: str) -> list[Step]:
        """Give the steps of a run in the order they began."""
        with self._database.read() as session:
            rows = session.scalars(select(StepRow).where(StepRow.run_key == run_key).order_by(StepRow.started_at))
            return [
                Step(row.name, row.attempt, row.begun, row.started_at, row.finished_at, row.outputs) for row in rows
            ]

    def score(self, run_key: str) -> Score | None:
        """Give a run's score, if it has one."""
        with self._database.read() as session:
            row = session.get(ScoreRow, run_key)
            return None if row is None else Score(row.value, row.low, row.high, dict(row.parts))

    def claim(self, run_key: str, owner: str) -> int | None:
        """Lease a pending run and begin an attempt; ``None`` when somebody else has it or it is finished."""
        with self._database.write() as session:
            row = _locked(session, run_key)
            now = self._database.now(session)
            if row.state != "pending":
                return None
            row.state, row.owner, row.lease_until, row.attempt = "running", owner, now + LEASE, row.attempt + 1
            session.add(AttemptRow(run_key=run_key, number=row.attempt, owner=owner, started_at=now))
            return row.attempt

    def renew(self, run_key: str, attempt: int) -> bool:
        """Prolong a lease; ``False`` tells the worker that the run is no longer its own."""
        with self._database.write() as session:
            row = _locked(session, run_key)
            if row.state != "running" or row.attempt != attempt:
                return False
            row.lease_until = self._database.now(session) + LEASE
            return True

    def begin_step(self, run_key: str, name: str, attempt: int | None = None) -> Step:
        """Begin a step, or give it back finished: then its outputs are to be fetched, not made again.

        Args:
            run_key: The run.
            name: The step's name.
            attempt: The attempt that the worker claimed; without it the step is begun for whichever attempt runs.

        Raises:
            TransientError: ``LEASE_LOST`` when the run is not running, or another attempt of it is.
        """
        with self._database.write() as session:
            run = _locked(session, run_key)
            step = session.get(StepRow, (run_key, name))
            if step is None or step.finished_at is None:
                if run.state != "running" or attempt not in (None, run.attempt):
                    raise _lease_lost(run_key, name)
                now = self._database.now(session)
                if step is None:
                    step = StepRow(run_key=run_key, name=name, begun=0)
                    session.add(step)
                step.attempt, step.begun, step.started_at = run.attempt, step.begun + 1, now
            return Step(step.name, step.attempt, step.begun, step.started_at, step.finished_at, step.outputs)

    def finish_step(self, run_key: str, name: str, attempt: int, outputs: Mapping[str, Any]) -> None:
        """Finish a step, once; raises ``LEASE_LOST`` when another attempt took over meanwhile."""
        with self._database.write() as session:
            run = _locked(session, run_key)
            step = session.get_one(StepRow, (run_key, name))
            if run.attempt != attempt or run.state != "running" or step.finished_at is not None:
                raise _lease_lost(run_key, name)
            step.finished_at, step.outputs = self._database.now(session), dict(outputs)

    def finish(
        self,
        run_key: str,
        step: str,
        state: str,
        *,
        code: str,
        message: str,
        result_key: str,
        score: Score | None,
        attempt: int | None = None,
    ) -> None:
        """End a run with its verdict: the last atomic step, and the only place where a score is written.

        Args:
            run_key: The run.
            step: The step that publishes; it is finished in the same transaction.
            state: ``scored``, ``refused`` or ``failed``.
            code: Stable code of the verdict, ``""`` for a score.
            message: One sentence for the team.
            result_key: Where the store keeps the result.
            score: Given exactly when the state is ``scored``; finite.
            attempt: The attempt that began the step; without it the one that began it last.

        Raises:
            PlatformError: ``VERDICT_INVALID``.
            TransientError: ``LEASE_LOST`` when another attempt took over meanwhile.
        """
        finite = score is None or all(map(math.isfinite, score[:3]))
        if (score is not None) != (state == "scored") or state not in {"scored", "refused", "failed"} or not finite:
            raise PlatformError("VERDICT_INVALID", f"A run cannot end {state!r} with score {score!r}.")
        with self._database.write() as session:
            run = _locked(session, run_key)
            row = session.get_one(StepRow, (run_key, step))
            mine = run.attempt == row.attempt and attempt in (None, run.attempt)
            if run.state != "running" or not mine or row.finished_at is not None:
                raise _lease_lost(run_key, step)
            now = self._database.now(session)
            row.finished_at, row.outputs = now, {}
            if score is not None:
                session.add(ScoreRow(run_key=run_key, scored_at=now, **score._asdict()))
            run.code, run.message, run.result_key = code or None, message or None, result_key
            _close(session, run, now, state, code, message)

    def note_fault(self, run_key: str, attempt: int, party: Party, code: str, message: str) -> None:
        """Write down why an attempt is failing, for ``end_attempt`` to act on."""
        with self._database.write() as session:
            row = session.get(AttemptRow, (run_key, attempt))
            if row is not None and row.ended_at is None:
                row.outcome, row.code, row.message = party, code, message

    def end_attempt(self, run_key: str, attempt: int) -> str:
        """Close an attempt whose worker ended, and decide what becomes of the run; gives the run's state.

        Without a noted fault the worker was lost, which is the platform's fault. A participant's fault ends the run;
        any other is tried again until the allowed attempts are used, then the run is quarantined and the submission's
        attempt is given back.
        """
        with self._database.write() as session:
            run = _locked(session, run_key)
            if run.state == "running" and run.attempt == attempt:
                self._fail(session, run)
            return run.state

    def interrupt(self, run_key: str, attempt: int) -> None:
        """Put a run back because its worker was told to stop; that is nobody's fault and costs no attempt."""
        with self._database.write() as session:
            run = _locked(session, run_key)
            if run.state == "running" and run.attempt == attempt:
                message = "The round that started this worker ended; the run goes on with the next round."
                _close(session, run, self._database.now(session), "pending", "INTERRUPTED", message)
                run.attempts_allowed += 1

    def reap(self, stage: str) -> list[str]:
        """End the attempts whose owner is dead or whose lease has run out; gives their keys."""
        with self._database.write() as session:
            now = self._database.now(session)
            running = select(RunRow).where(RunRow.stage == stage, RunRow.state == "running")
            # One order for all, so that two reapers wait for each other instead of blocking each other.
            running = running.order_by(RunRow.run_key).with_for_update()
            lost = [
                run
                for run in session.scalars(running)
                if (run.lease_until is not None and run.lease_until < now) or (run.owner and is_dead(run.owner))
            ]
            for run in lost:
                self._fail(session, run)
            return [run.run_key for run in lost]

    def cancel(self, run_key: str) -> None:
        """Stop a run; its worker notices at the next beat. Raises ``RUN_FINISHED`` if it has ended."""
        with self._database.write() as session:
            run = _locked(session, run_key)
            if run.state in FINAL_STATES:
                raise UsageError("RUN_FINISHED", f"Run {run_key[:12]} is {run.state} already.", "Nothing to cancel.")
            _close(session, run, self._database.now(session), "cancelled", "CANCELLED", "Cancelled by an operator.")

    def retry(self, run_key: str) -> None:
        """Queue a quarantined or cancelled run again with one more attempt; its finished steps stay finished.

        What was given back to the team stays given back: it may have used the attempt for another submission already.
        """
        with self._database.write() as session:
            run = _locked(session, run_key)
            if run.state not in {"quarantined", "cancelled"}:
                raise UsageError(
                    "RUN_NOT_RETRIABLE",
                    f"Run {run_key[:12]} is {run.state}.",
                    "Only quarantined and cancelled runs are retried; a verdict stands.",
                )
            run.state, run.attempts_allowed, run.finished_at = "pending", run.attempt + 1, None
            run.code = run.message = None

    def _fail(self, session: Session, run: RunRow) -> None:
        now = self._database.now(session)
        attempt = session.get_one(AttemptRow, (run.run_key, run.attempt))
        party = attempt.outcome or "platform"
        code = attempt.code or "WORKER_LOST"
        message = attempt.message or "The worker ended without a word (killed, out of memory, or its machine was lost)."
        if party == "participant":
            _close(session, run, now, "failed", code, message)
        elif run.attempt >= run.attempts_allowed:
            _close(session, run, now, "quarantined", code, message)
            submission = session.get_one(SubmissionRow, run.submission_id)
            # A later stage's run is no attempt at that stage, and the earlier one's was evaluated.
            submission.refunded = submission.refunded or submission.stage == run.stage
        else:
            _close(session, run, now, "pending", code, message)
        attempt.outcome = party


def _close(session: Session, run: RunRow, now: datetime, state: str, code: str, message: str) -> None:
    """End the current attempt, if any, and put the run into its next state."""
    attempt = session.get(AttemptRow, (run.run_key, run.attempt))
    if attempt is not None and attempt.ended_at is None:
        attempt.ended_at = now
        attempt.outcome, attempt.code, attempt.message = state, code or None, message or None
    run.state, run.owner, run.lease_until = state, None, None
    run.code, run.message = code or None, message or None
    run.finished_at = now if state in FINAL_STATES else None


def _query() -> "Select[RunRow, str]":
    return (
        select(RunRow, TeamRow.name)
        .join(SubmissionRow, SubmissionRow.id == RunRow.submission_id)
        .join(TeamRow, TeamRow.id == SubmissionRow.team_id)
        .order_by(RunRow.queued_at, SubmissionRow.received_at, RunRow.run_key)
    )


def _runs(session: Session, query: "Select[RunRow, str]") -> list[Run]:
    return [
        Run(
            row.run_key,
            row.submission_id,
            team,
            row.stage,
            row.version_sha256,
            row.state,
            row.attempt,
            row.attempts_allowed,
            row.owner,
            row.queued_at,
            row.finished_at,
            row.code,
            row.message,
            row.result_key,
        )
        for row, team in session.execute(query)
    ]


def _row(session: Session, run_key: str) -> RunRow:
    row = session.get(RunRow, run_key)
    if row is None:
        raise UsageError("RUN_UNKNOWN", f"There is no run {run_key!r}.", "'aisc runs list' shows the known ones.")
    return row


def _locked(session: Session, run_key: str) -> RunRow:
    row = session.get(RunRow, run_key, with_for_update=True)
    return row if row is not None else _row(session, run_key)


def _lease_lost(run_key: str, step: str) -> TransientError:
    return TransientError(
        "LEASE_LOST", f"Run {run_key[:12]} is no longer this worker's: {step} writes nothing.", "Nothing to do."
    )
