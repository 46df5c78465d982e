"""Transactions on SQLite: readers wait for nobody, writers for the one before them, and not for ever."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from aisc.errors import TransientError
from aisc.ledger import Ledger, open_ledger


@pytest.fixture
def ledgers(template: Path, tmp_path: Path) -> Iterator[list[Ledger]]:
    """One ledger, opened twice."""
    shutil.copy(template, tmp_path / "ledger.db")
    opened = [open_ledger(f"sqlite:///{tmp_path}/ledger.db") for _ in range(2)]
    yield opened
    for ledger in opened:
        ledger.close()


def test_a_reader_waits_for_no_writer(ledgers: list[Ledger]) -> None:
    with ledgers[0].database.write() as session:
        session.execute(text("SELECT 1"))  # a transaction begins with its first statement
        assert ledgers[1].teams.all() == []


def test_F05_a_writer_that_never_ends_is_told_of(ledgers: list[Ledger], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisc.ledger.database.BUSY_SECONDS", 0.2)
    with ledgers[0].database.write() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(TransientError, match=r"^LEDGER_UNAVAILABLE.*locked"):
            ledgers[1].teams.add("A")
    assert ledgers[1].teams.add("A").name == "A"


def test_a_writer_waits_for_the_one_before_it(ledgers: list[Ledger]) -> None:
    writer = threading.Thread(target=lambda: ledgers[1].teams.add("A"))
    with ledgers[0].database.write() as session:
        session.execute(text("SELECT 1"))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
    writer.join(30)
    assert [team.name for team in ledgers[0].teams.all()] == ["A"]
