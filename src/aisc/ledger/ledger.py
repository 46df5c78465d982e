"""The ledger as one object: what the rest of aisc holds in its hand."""

from collections.abc import Callable
from datetime import datetime
from importlib import resources

from sqlalchemy import inspect

from aisc.errors import UsageError
from aisc.ledger.competition import Assets, Publications, Reviews, Stages
from aisc.ledger.database import Database, ledger_faults
from aisc.ledger.runs import Runs
from aisc.ledger.submissions import Submissions
from aisc.ledger.teams import Teams


class Ledger:
    """All that a season remembers outside the store."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.teams = Teams(database)
        self.submissions = Submissions(database)
        self.assets = Assets(database)
        self.stages = Stages(database)
        self.runs = Runs(database)
        self.reviews = Reviews(database)
        self.publications = Publications(database)

    def now(self) -> datetime:
        """Tell the ledger's time."""
        with self.database.read() as session:
            return self.database.now(session)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()


def open_ledger(url: str, *, create: bool = False, clock: Callable[[], datetime] | None = None) -> Ledger:
    """Open a ledger.

    Args:
        url: A database URL.
        create: Bring the tables up to date first; workers leave this to the command line and the migration hook.
        clock: Replaces the ledger's time in tests.

    Raises:
        UsageError: ``LEDGER_URL`` or, without ``create``, ``LEDGER_EMPTY``.
        TransientError: ``LEDGER_UNAVAILABLE``.
    """
    database = Database(url, clock)
    with ledger_faults():
        if create:
            migrate(database)
        elif not inspect(database.engine).has_table("runs"):
            raise UsageError("LEDGER_EMPTY", "The ledger has no tables yet.", "Run 'aisc doctor' once to create them.")
    return Ledger(database)


def migrate(database: Database, target: str = "head") -> None:
    """Bring the tables to a revision, ``head`` by default; of several at once each waits for the one before it."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.files("aisc.ledger") / "migrations"))
    with database.engine.connect() as connection:
        database.line_up(connection, "migration")
        current = MigrationContext.configure(connection).get_current_revision()
        if target == "head" and current == ScriptDirectory.from_config(config).get_current_head():
            return
        config.attributes["connection"] = connection
        if target == "base" or (current and target != "head" and target < current):
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
        connection.commit()
