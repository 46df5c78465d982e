"""The ledger's tables. Nothing here that SQLite or PostgreSQL refuses; changes go with a migration."""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Dialect, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept in UTC with microseconds; naive times are a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; SQLite has no zones and gets the bare UTC time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the instant back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class FreeText(TypeDecorator[str]):
    """Text that quotes what others wrote; what no database can keep (NUL, half a surrogate pair) becomes U+FFFD."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return None if value is None else _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of it on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Instant, dict[str, Any]: JSON, str: String}  # noqa: RUF012


class TeamRow(Base):
    """A team; ``folded`` is its name as compared: two names that look alike are one team."""

    __tablename__ = "teams"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    folded: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class SubmissionRow(Base):
    """A receipt. ``state``: receiving, received, aborted; ``refunded``: the attempt was given back."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("stage", "team_id", "sha256"), Index(None, "stage", "received_at"))
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id"))
    stage: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    filename: Mapped[str] = mapped_column(FreeText)
    state: Mapped[str]
    received_at: Mapped[datetime]
    refunded: Mapped[bool] = mapped_column(default=False)


class AssetRow(Base):
    """A dataset or victim by name and content; of several contents under one name the last registered is current."""

    __tablename__ = "assets"
    __table_args__ = (UniqueConstraint("kind", "name", "sha256"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    key: Mapped[str]
    registered_at: Mapped[datetime]


class StageRow(Base):
    """The version that a stage's scores are bound to at present."""

    __tablename__ = "stages"
    stage: Mapped[str] = mapped_column(primary_key=True)
    version_sha256: Mapped[str]
    version: Mapped[dict[str, Any]]
    pinned_at: Mapped[datetime]


class EntryRow(Base):
    """Who takes part in a stage that comes after another one, and with which submission."""

    __tablename__ = "entries"
    __table_args__ = (UniqueConstraint("stage", "team_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    stage: Mapped[str]
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id"))
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    from_board: Mapped[int]
    entered_at: Mapped[datetime]


class RunRow(Base):
    """One evaluation of one submission under one version; ``attempt`` counts tries, the key never changes."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "stage", "state"),)
    run_key: Mapped[str] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    stage: Mapped[str]
    version_sha256: Mapped[str]
    plan: Mapped[dict[str, Any]]
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    attempts_allowed: Mapped[int]
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    code: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(FreeText)
    result_key: Mapped[str | None]


class AttemptRow(Base):
    """One try of a run: who tried, when, and how it ended."""

    __tablename__ = "attempts"
    run_key: Mapped[str] = mapped_column(ForeignKey("runs.run_key"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    code: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(FreeText)


class StepRow(Base):
    """One step of a run. It may be begun more than once; it is finished once, and never begun again after that."""

    __tablename__ = "steps"
    run_key: Mapped[str] = mapped_column(ForeignKey("runs.run_key"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    begun: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outputs: Mapped[dict[str, Any] | None]


class ScoreRow(Base):
    """The score of a run, written in the transaction that ends the run."""

    __tablename__ = "scores"
    run_key: Mapped[str] = mapped_column(ForeignKey("runs.run_key"), primary_key=True)
    value: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    parts: Mapped[dict[str, Any]]
    scored_at: Mapped[datetime]


class ReviewRow(Base):
    """What people say of a team's entry: experts' verdicts, marks, results of a physical final. The last one counts."""

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "stage", "team_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    stage: Mapped[str]
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id"))
    reviewer: Mapped[str]
    content: Mapped[dict[str, Any]]
    reviewed_at: Mapped[datetime]


class PublicationRow(Base):
    """A published board; (stage, number) is unique, so of two publishers who race one loses and starts again."""

    __tablename__ = "publications"
    stage: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    previous_sha256: Mapped[str | None]
    version_sha256: Mapped[str]
    published_at: Mapped[datetime]
