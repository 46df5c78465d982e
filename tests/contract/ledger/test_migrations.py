"""The tables: what the migrations make is what the models say, from whichever side and however often."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from aisc.errors import TransientError, UsageError
from aisc.ledger import Database, Ledger, open_ledger
from aisc.ledger.ledger import migrate
from aisc.ledger.models import Base


@pytest.fixture
def database(url: str) -> Database:
    return Database(url)


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    migrate(database)
    assert tables(database) == set(Base.metadata.tables)
    assert differences(database) == []
    database.close()


def test_down_and_up_again(database: Database) -> None:
    migrate(database)
    migrate(database, "base")
    assert tables(database) == set()
    migrate(database)
    assert differences(database) == []
    database.close()


def test_to_open_twice_changes_nothing(open_again: Callable[[], Ledger]) -> None:
    team = open_again().teams.add("A")
    migrate(open_again().database)
    assert open_again().teams.all() == [team]


OPENER = """
import sys
from aisc.ledger import open_ledger
print("loaded", flush=True)
sys.stdin.readline()
ledger = open_ledger(sys.argv[1], create=True)
print(len(ledger.teams.all()))
"""


def test_eight_processes_open_a_new_ledger_at_once(url: str) -> None:
    command = [sys.executable, "-c", OPENER, url]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "loaded\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    outcomes = [(opener.communicate(timeout=120)[0], opener.returncode) for opener in openers]
    assert outcomes == [("0\n", 0)] * 8
    with open_ledger(url).database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar_one() == 1


def test_a_worker_does_not_make_tables(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_ledger(url)
    assert caught.value.code == "LEDGER_EMPTY"


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError) as caught:
        open_ledger(f"postgresql+psycopg://aisc@/aisc?host={tmp_path}", create=True)
    assert caught.value.code == "LEDGER_UNAVAILABLE"
    with pytest.raises(TransientError):
        open_ledger(f"postgresql+psycopg://aisc@/aisc?host={tmp_path}")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        open_ledger("ledger.db")
    assert caught.value.code == "LEDGER_URL"
