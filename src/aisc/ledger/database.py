"""One engine for SQLite and PostgreSQL: transactions, and the clock that decides."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from aisc.errors import TransientError, UsageError

BUSY_SECONDS = 60


class Database:
    """A connection pool, its transactions and its clock.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://…``.
        clock: Replaces the ledger's time in tests; returns an aware instant.
    """

    def __init__(self, url: str, clock: Callable[[], datetime] | None = None) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise UsageError("LEDGER_URL", "The ledger's address is no database URL.", "Use sqlite:///FILE.") from error
        self.url = url
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _sqlite_engine(url) if self.is_sqlite else create_engine(url, pool_pre_ping=True)
        self._clock = clock

    def now(self, session: Session) -> datetime:
        """Tell the ledger's time: the database server's on PostgreSQL, this machine's beside a SQLite file."""
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        with session.no_autoflush:  # rows that are still being filled in would be written half
            moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that may write; it commits at the end and leaves nothing behind on an error."""
        with self._session(read_only=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads; on SQLite it waits for no writer."""
        with self._session(read_only=True) as session, session.begin():
            yield session

    @contextmanager
    def _session(self, read_only: bool) -> Iterator[Session]:
        with ledger_faults(), self.engine.connect() as connection:
            connection = connection.execution_options(aisc_read_only=read_only)
            with Session(connection, expire_on_commit=False) as session:
                yield session

    def line_up(self, session: Session | Connection, what: str) -> None:
        """Let the writers of one thing go one after the other until their transactions end.

        PostgreSQL lets two of them look for the same missing row and then both insert it; SQLite has one writer anyway.
        """
        if not self.is_sqlite:
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"aisc {what}"))))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def ledger_faults() -> Iterator[None]:
    """Turn a database that cannot be reached or used into an error that tells what to do.

    Raises:
        TransientError: ``LEDGER_UNAVAILABLE``.
    """
    try:
        yield
    except (OperationalError, PoolTimeoutError) as error:
        raise TransientError(
            "LEDGER_UNAVAILABLE",
            f"The ledger did not answer: {str(getattr(error, 'orig', error)).strip().splitlines()[0]}.",
            "Check that the database is up and has room, then run the command again.",
        ) from error


def _sqlite_engine(url: str) -> Engine:
    """Make a SQLite engine whose writers queue up at BEGIN instead of failing in the middle.

    The driver's own transaction handling begins too late to hold a quota; SQLAlchemy's documentation of the
    pysqlite dialect shows how to take BEGIN over.
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("aisc_read_only", False)
        if read_only:
            connection.exec_driver_sql("BEGIN")
        else:
            _begin_to_write(connection)

    return engine


def _begin_to_write(connection: Connection) -> None:
    """Begin a transaction that writes, waiting for the writer before it at an even pace.

    SQLite itself waits longer from try to try, so that whoever comes last is served first and somebody waits for ever.
    """
    cursor = connection.connection.cursor()
    give_up = time.monotonic() + BUSY_SECONDS
    try:
        cursor.execute("PRAGMA busy_timeout=0")
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
            time.sleep(random.uniform(0.001, 0.006))  # noqa: S311 - only a pause
    finally:
        cursor.execute(f"PRAGMA busy_timeout={round(1000 * BUSY_SECONDS)}")
        cursor.close()
