"""What a competition decides: current data and victims, pinned versions, entries, reviews, publications."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from aisc.errors import TransientError, UsageError
from aisc.identity import Asset, Version
from aisc.ledger.database import Database
from aisc.ledger.models import AssetRow, EntryRow, PublicationRow, ReviewRow, StageRow, SubmissionRow, TeamRow
from aisc.ledger.teams import find_row


class Entry(NamedTuple):
    """A team's place in a stage that comes after another one."""

    team: str
    submission: str
    from_board: int


class Review(NamedTuple):
    """What people said last of a team in a stage."""

    team: str
    reviewer: str
    content: dict[str, Any]
    reviewed_at: datetime


class Publication(NamedTuple):
    """A published board."""

    stage: str
    number: int
    sha256: str
    previous_sha256: str | None
    version_sha256: str
    published_at: datetime


class Assets:
    """Datasets and victims by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, asset: Asset) -> None:
        """Make an asset the current one of its name."""
        with self._database.write() as session:
            self._database.line_up(session, "assets")
            row = session.scalar(
                select(AssetRow).where(
                    AssetRow.kind == asset.kind, AssetRow.name == asset.name, AssetRow.sha256 == asset.sha256
                )
            )
            if row is None:
                row = AssetRow(kind=asset.kind, name=asset.name, sha256=asset.sha256)
                session.add(row)
            row.key, row.registered_at = asset.key, self._database.now(session)

    def current(self, kind: str, name: str) -> Asset:
        """Give the asset registered last under a name; raises ``ASSET_UNKNOWN``."""
        with self._database.read() as session:
            rows = session.scalars(
                select(AssetRow)
                .where(AssetRow.kind == kind, AssetRow.name == name)
                .order_by(AssetRow.registered_at.desc(), AssetRow.id.desc())
                .limit(1)
            )
            row = rows.first()
        if row is None:
            remedy = "'aisc data make' or 'aisc data import'" if kind == "data" else "'aisc victims import'"
            raise UsageError("ASSET_UNKNOWN", f"The ledger knows no {kind} {name!r}.", f"Bring it in with {remedy}.")
        return Asset(row.kind, row.name, row.sha256, row.key)  # type: ignore[arg-type]

    def all(self) -> list[Asset]:
        """Give every asset, the current one of a name last."""
        with self._database.read() as session:
            rows = session.scalars(select(AssetRow).order_by(AssetRow.kind, AssetRow.name, AssetRow.registered_at))
            return [Asset(row.kind, row.name, row.sha256, row.key) for row in rows]  # type: ignore[arg-type]


class Stages:
    """Versions that stages are pinned to, and who takes part in the later ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pinned(self, stage: str) -> Version | None:
        """Give the version a stage is scored under, once it has one."""
        with self._database.read() as session:
            row = session.get(StageRow, stage)
            return None if row is None else Version.from_json(row.version)

    def pin(self, version: Version) -> None:
        """Score a stage under this version from now on."""
        with self._database.write() as session:
            self._database.line_up(session, f"stage {version.stage}")
            row = session.get(StageRow, version.stage)
            if row is None:
                row = StageRow(stage=version.stage)
                session.add(row)
            row.version_sha256, row.version = version.sha256, version.as_json()
            row.pinned_at = self._database.now(session)

    def enter(self, stage: str, entries: Iterable[Entry]) -> None:
        """Write down who takes part in a stage, with which submission; replaces what stood there."""
        with self._database.write() as session:
            self._database.line_up(session, f"stage {stage}")
            now = self._database.now(session)
            for row in session.scalars(select(EntryRow).where(EntryRow.stage == stage)):
                session.delete(row)
            session.flush()
            for entry in entries:
                session.add(
                    EntryRow(
                        stage=stage,
                        team_id=find_row(session, entry.team).id,
                        submission_id=entry.submission,
                        from_board=entry.from_board,
                        entered_at=now,
                    )
                )

    def entries(self, stage: str) -> list[Entry]:
        """Give who takes part in a later stage, in the order of receipt."""
        query = (
            select(EntryRow, TeamRow.name)
            .join(TeamRow, TeamRow.id == EntryRow.team_id)
            .join(SubmissionRow, SubmissionRow.id == EntryRow.submission_id)
            .where(EntryRow.stage == stage)
            .order_by(SubmissionRow.received_at, SubmissionRow.id)
        )
        with self._database.read() as session:
            return [Entry(team, row.submission_id, row.from_board) for row, team in session.execute(query)]


class Reviews:
    """Experts' verdicts and marks, and results that organizers enter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, stage: str, reviewer: str, contents: Mapping[str, Mapping[str, Any]]) -> None:
        """Add one review a team, all or none; the last one of a team counts, the earlier ones stay on record."""
        with self._database.write() as session:
            now = self._database.now(session)
            for team, content in contents.items():
                session.add(
                    ReviewRow(
                        stage=stage,
                        team_id=find_row(session, team).id,
                        reviewer=reviewer,
                        content=dict(content),
                        reviewed_at=now,
                    )
                )

    def latest(self, stage: str) -> dict[str, Review]:
        """Give what counts for every reviewed team."""
        query = (
            select(ReviewRow, TeamRow.name)
            .join(TeamRow, TeamRow.id == ReviewRow.team_id)
            .where(ReviewRow.stage == stage)
            .order_by(ReviewRow.id)
        )
        with self._database.read() as session:
            return {
                team: Review(team, row.reviewer, dict(row.content), row.reviewed_at)
                for row, team in session.execute(query)
            }


class Publications:
    """The chain of boards of every stage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, stage: str) -> Publication | None:
        """Give the board published last."""
        query = select(PublicationRow).where(PublicationRow.stage == stage).order_by(PublicationRow.number.desc())
        with self._database.read() as session:
            row = session.scalar(query.limit(1))
            return None if row is None else _publication(row)

    def all(self, stage: str) -> list[Publication]:
        """Give the boards of a stage in order."""
        query = select(PublicationRow).where(PublicationRow.stage == stage).order_by(PublicationRow.number)
        with self._database.read() as session:
            return [_publication(row) for row in session.scalars(query)]

    def append(
        self, stage: str, number: int, sha256: str, previous_sha256: str | None, version_sha256: str
    ) -> Publication:
        """Append a board to its chain if nobody was faster: compare-and-swap on the stage's last number.

        Raises:
            TransientError: ``BOARD_RACE``: another board was published meanwhile; build this one again on top of it.
        """
        race = TransientError(
            "BOARD_RACE", f"Board {number} of {stage} exists already.", "Build the board again on top of the latest."
        )
        try:
            with self._database.write() as session:
                last = session.scalar(select(func.max(PublicationRow.number)).where(PublicationRow.stage == stage))
                previous = session.get(PublicationRow, (stage, last)) if last else None
                if number != (last or 0) + 1 or previous_sha256 != (previous.sha256 if previous else None):
                    raise race
                row = PublicationRow(
                    stage=stage,
                    number=number,
                    sha256=sha256,
                    previous_sha256=previous_sha256,
                    version_sha256=version_sha256,
                    published_at=self._database.now(session),
                )
                session.add(row)
                session.flush()
                return _publication(row)
        except IntegrityError as error:
            raise race from error


def _publication(row: PublicationRow) -> Publication:
    return Publication(row.stage, row.number, row.sha256, row.previous_sha256, row.version_sha256, row.published_at)
