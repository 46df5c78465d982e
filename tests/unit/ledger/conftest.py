"""A migrated SQLite ledger to copy: a fresh one for every example of a property test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisc.ledger import open_ledger

MEMORY = "/dev/shm"  # noqa: S108 - the folder is made by tempfile


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """The file of a ledger with tables and nothing in them, in a folder in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        path = Path(folder, "template.db")
        ledger = open_ledger(f"sqlite:///{path}", create=True)
        with ledger.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.close()
        yield path
