"""Teams: who may submit, under which name."""

import re
import secrets
import unicodedata
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from aisc.errors import UsageError
from aisc.ledger.database import Database
from aisc.ledger.models import TeamRow

_NAME = re.compile(r"\w(?:[\w .'&+-]{0,62}[\w.+])?")
_ALIKE = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}
_EMAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,190}")


class Team(NamedTuple):
    """A registered team."""

    id: str
    name: str
    email: str | None
    created_at: datetime


def new_id(prefix: str) -> str:
    """Give a fresh id of 80 random bits; ids carry no meaning and no order."""
    return f"{prefix}-{secrets.token_hex(10)}"


def checked_name(name: str) -> str:
    """Normalise a team's name, or refuse it.

    Letters and digits of any script, blanks and ``_ . ' & + -`` are allowed, 64 characters at most: a name is printed
    on pages, in tables and in file names, so nothing that any of them could read as markup gets in.

    Raises:
        UsageError: ``TEAM_NAME``.
    """
    normal = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(normal) or "  " in normal:
        raise UsageError(
            "TEAM_NAME",
            f"{name!r} is not a team's name.",
            "Use 1 to 64 letters, digits, single blanks and _ . ' & + - and begin with a letter or digit.",
        )
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in normal if letter.isalpha()}
    if len(scripts & _ALIKE) > 1:
        raise UsageError(
            "TEAM_NAME", f"{name!r} mixes letters of scripts that look alike.", "Write the name in one script."
        )
    return normal


class Teams:
    """The teams of a season."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, email: str | None = None) -> Team:
        """Register a team.

        Raises:
            UsageError: The name or address is malformed (``TEAM_NAME``, ``TEAM_EMAIL``) or taken (``TEAM_EXISTS``).
        """
        name = checked_name(name)
        folded = unicodedata.normalize("NFKC", name).casefold()
        email = email.strip().casefold() if email else None
        if email and not _EMAIL.fullmatch(email):
            raise UsageError("TEAM_EMAIL", f"{email!r} is not an e-mail address.", "Give one address.")
        with self._database.write() as session:
            self._database.line_up(session, "teams")
            if session.scalar(select(TeamRow.id).where(TeamRow.folded == folded)):
                raise UsageError("TEAM_EXISTS", f"There is a team {name!r} already.", "Choose another name.")
            if email and session.scalar(select(TeamRow.id).where(TeamRow.email == email)):
                raise UsageError("TEAM_EXISTS", f"{email} belongs to a team already.", "One address, one team.")
            row = TeamRow(id=new_id("t"), name=name, folded=folded, email=email, created_at=self._database.now(session))
            session.add(row)
            return _team(row)

    def all(self) -> list[Team]:
        """Give all teams by name."""
        with self._database.read() as session:
            return [_team(row) for row in session.scalars(select(TeamRow).order_by(TeamRow.name))]

    def find(self, name: str) -> Team:
        """Give the team of that name (compared without case).

        Raises:
            UsageError: ``TEAM_UNKNOWN``.
        """
        with self._database.read() as session:
            return _team(find_row(session, name))


def find_row(session: Session, name: str) -> TeamRow:
    """Find a team's row by name inside a transaction; raises ``TEAM_UNKNOWN``."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    row = session.scalar(select(TeamRow).where(TeamRow.folded == folded))
    if row is None:
        # Other teams' names are not told: whoever submits sees this.
        raise UsageError(
            "TEAM_UNKNOWN", f"There is no team {name!r}.",
            "Write the name as it was registered; organizers register a team with 'aisc team add'.",
        )  # fmt: skip
    return row


def _team(row: TeamRow) -> Team:
    return Team(row.id, row.name, row.email, row.created_at)
