"""Receipts. Quota and deadline are decided in one transaction, by the ledger's clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from aisc.errors import SubmissionRefusedError, TransientError, UsageError
from aisc.ledger.database import Database
from aisc.ledger.models import SubmissionRow, TeamRow
from aisc.ledger.teams import find_row, new_id

UPLOAD_LIMIT = timedelta(hours=1)


class Receipt(NamedTuple):
    """What a team holds in its hand: the submission exists, with this content, since this instant.

    Attributes:
        id: The submission's id.
        team: The team's name.
        stage: ``track/stage``.
        sha256: Digest of the file.
        size: Bytes.
        filename: The name the team gave the file; shown, never trusted.
        received_at: UTC, by the ledger's clock.
        state: ``receiving``, ``received`` or ``aborted``.
        refunded: Whether the attempt was given back.
    """

    id: str
    team: str
    stage: str
    sha256: str
    size: int
    filename: str
    received_at: datetime
    state: str
    refunded: bool


class Earlier(NamedTuple):
    """What a team has sent already.

    Attributes:
        stage: ``track/stage``.
        filename: The name that the team gave the file.
    """

    stage: str
    filename: str


def _no_rules(earlier: Sequence[Earlier]) -> None:
    """Let everybody in: most stages have no rules about people."""


@dataclass(frozen=True, slots=True)
class Gate:
    """When a stage takes submissions, and how many.

    Attributes:
        opens: First instant that is accepted.
        closes: First instant that is not.
        per_day: Attempts a day, ``None`` for no limit.
        total: Attempts in all, ``None`` for no limit.
        day: Gives the half-open day around an instant, in the season's time zone.
        admit: Refuses a team by what it has sent already, to any stage; called in the transaction that receives.
    """

    opens: datetime
    closes: datetime
    per_day: int | None
    total: int | None
    day: Callable[[datetime], tuple[datetime, datetime]]
    admit: Callable[[Sequence[Earlier]], None] = _no_rules


class Submissions:
    """The receipts of a season."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, team: str, stage: str, sha256: str, size: int, filename: str, gate: Gate) -> Receipt:
        """Decide on a submission and reserve its place; ``confirm`` makes it durable once the bytes are stored.

        The instant of this transaction is the instant of receipt. The same bytes again give the first receipt again
        and cost nothing, so a client that lost our answer may simply repeat its call.

        Raises:
            SubmissionRefusedError: ``STAGE_NOT_OPEN``, ``STAGE_CLOSED``, ``QUOTA_DAY``, ``QUOTA_TOTAL``, and what the
                gate's ``admit`` raises.
            UsageError: ``TEAM_UNKNOWN``.
        """
        with self._database.write() as session:
            owner = find_row(session, team)
            # The team's row is the lock on PostgreSQL; SQLite has one writer anyway.
            session.execute(select(TeamRow.id).where(TeamRow.id == owner.id).with_for_update())
            now = self._database.now(session)
            session.execute(
                update(SubmissionRow)
                .where(
                    SubmissionRow.team_id == owner.id,
                    SubmissionRow.state == "receiving",
                    SubmissionRow.received_at < now - UPLOAD_LIMIT,
                )
                .values(state="aborted")
            )
            row = session.scalar(
                select(SubmissionRow).where(
                    SubmissionRow.stage == stage, SubmissionRow.team_id == owner.id, SubmissionRow.sha256 == sha256
                )
            )
            if row is not None and row.state != "aborted":
                return _receipt(row, owner.name)
            _check(session, owner.id, stage, now, gate)
            gate.admit(_earlier(session, owner.id))
            if row is None:
                row = SubmissionRow(id=new_id("s"), team_id=owner.id, stage=stage, sha256=sha256, size=size)
                session.add(row)
            row.filename, row.received_at, row.state, row.refunded = filename[:200], now, "receiving", False
            return _receipt(row, owner.name)

    def confirm(self, submission: str) -> Receipt:
        """Mark a reserved submission as stored.

        Raises:
            TransientError: ``PLACE_LAPSED`` when the place was given back meanwhile, and may be another's by now.
        """
        with self._database.write() as session:
            row = _row(session, submission, lock=True)
            if row.state == "aborted":
                raise TransientError(
                    "PLACE_LAPSED",
                    f"The upload of {row.filename} was given up or took over an hour: it has no place any more.",
                    "Submit the file again.",
                )
            row.state = "received"
            return _receipt(row, session.get_one(TeamRow, row.team_id).name)

    def abort(self, submission: str) -> None:
        """Give a reserved place back: the upload failed on our side. What another call has confirmed stays."""
        with self._database.write() as session:
            row = _row(session, submission, lock=True)
            if row.state == "receiving":
                row.state = "aborted"

    def attempts_left(self, team: str, stage: str, gate: Gate) -> int | None:
        """Count what is left today and in all; ``None`` where neither is limited."""
        with self._database.read() as session:
            owner = find_row(session, team)
            now = self._database.now(session)
            left = [quota.limit - quota.used for quota in _quotas(session, owner.id, stage, now, gate)]
            return max(0, min(left)) if left else None

    def get(self, submission: str) -> Receipt:
        """Give one receipt; raises ``SUBMISSION_UNKNOWN``."""
        with self._database.read() as session:
            row = _row(session, submission)
            return _receipt(row, session.get_one(TeamRow, row.team_id).name)

    def all(self, stage: str | None = None, team: str | None = None) -> list[Receipt]:
        """Give the stored submissions, oldest first."""
        query = select(SubmissionRow, TeamRow.name).join(TeamRow, TeamRow.id == SubmissionRow.team_id)
        query = query.where(SubmissionRow.state == "received")
        if stage is not None:
            query = query.where(SubmissionRow.stage == stage)
        with self._database.read() as session:
            if team is not None:
                query = query.where(SubmissionRow.team_id == find_row(session, team).id)
            rows = session.execute(query.order_by(SubmissionRow.received_at, SubmissionRow.id))
            return [_receipt(row, name) for row, name in rows]


def _check(session: Session, team_id: str, stage: str, now: datetime, gate: Gate) -> None:
    if now < gate.opens:
        raise SubmissionRefusedError(
            "STAGE_NOT_OPEN", f"{stage} opens at {gate.opens:%Y-%m-%d %H:%M:%S %Z}.", "Submit again after that."
        )
    if now >= gate.closes:
        raise SubmissionRefusedError(
            "STAGE_CLOSED",
            f"{stage} closed at {gate.closes:%Y-%m-%d %H:%M:%S %Z}; this arrived at {now:%H:%M:%S.%f} UTC.",
            "Nothing can be submitted to it any more.",
        )
    for quota in _quotas(session, team_id, stage, now, gate):
        if quota.used >= quota.limit:
            raise SubmissionRefusedError(
                quota.code,
                f"All {quota.limit} attempts {quota.window} at {stage} are used.",
                f"The next day begins at {gate.day(now)[1]:%Y-%m-%d %H:%M %Z}."
                if quota.code == "QUOTA_DAY"
                else "No attempt is left.",
            )


def _earlier(session: Session, team_id: str) -> list[Earlier]:
    """Give what a team has sent and not given up, oldest first; the team's row is locked, so nothing is under way."""
    query = (
        select(SubmissionRow.stage, SubmissionRow.filename)
        .where(SubmissionRow.team_id == team_id, SubmissionRow.state != "aborted")
        .order_by(SubmissionRow.received_at, SubmissionRow.id)
    )
    return [Earlier(*row) for row in session.execute(query)]


class _Quota(NamedTuple):
    code: str
    window: str
    limit: int
    used: int


def _quotas(session: Session, team_id: str, stage: str, now: datetime, gate: Gate) -> list[_Quota]:
    """Give every limit that applies with what is used of it; given-back attempts do not count."""
    counted = (
        select(func.count())
        .select_from(SubmissionRow)
        .where(
            SubmissionRow.team_id == team_id,
            SubmissionRow.stage == stage,
            SubmissionRow.state != "aborted",
            SubmissionRow.refunded.is_(False),
        )
    )
    quotas = []
    if gate.per_day is not None:
        start, end = gate.day(now)
        today = counted.where(SubmissionRow.received_at >= start, SubmissionRow.received_at < end)
        quotas.append(_Quota("QUOTA_DAY", "of today", gate.per_day, session.execute(today).scalar_one()))
    if gate.total is not None:
        quotas.append(_Quota("QUOTA_TOTAL", "in all", gate.total, session.execute(counted).scalar_one()))
    return quotas


def _row(session: Session, submission: str, *, lock: bool = False) -> SubmissionRow:
    row = session.get(SubmissionRow, submission, with_for_update=lock)
    if row is None:
        raise UsageError(
            "SUBMISSION_UNKNOWN", f"There is no submission {submission!r}.", "'aisc status' lists the known ones."
        )
    return row


def _receipt(row: SubmissionRow, team: str) -> Receipt:
    return Receipt(
        row.id, team, row.stage, row.sha256, row.size, row.filename, row.received_at, row.state, row.refunded
    )
