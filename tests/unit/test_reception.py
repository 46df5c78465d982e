"""Receiving files: a receipt is there when the bytes are, and nothing is left of what failed."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.errors import SubmissionRefusedError, TransientError, UsageError
from aisc.ledger import open_ledger
from aisc.reception import gate, receive
from aisc.season import Season
from aisc.store import Stored, blob_key
from aisc.workbench import Workbench

STAGE = "face/preliminary"
SEASON = Season.model_validate(
    {
        "season": "dev",
        "timezone": "Europe/Berlin",
        "store": "./artifacts",
        "ledger": "sqlite:///ledger.db",
        "tracks": {
            "face": {
                "rules": "face-verification-patch",
                "stages": {
                    "preliminary": {
                        "opens": "2022-03-01T00:00:00",
                        "closes": "2022-05-01T00:00:00",
                        "data": "faces/pairs",
                        "victims": ["irse"],
                        "quota": {"per_day": 3},
                        "limits": {"max_archive_mib": 1},
                    },
                    "evaluation": {"after": "preliminary", "victims": ["res"]},
                },
            }
        },
    }
)
NOON = datetime(2022, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench with one team, at noon of a day in the stage."""
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", create=True, clock=lambda: NOON)
    ledger.teams.add("A")
    yield Workbench(ledger, FolderStore(tmp_path / "store"), tmp_path / "cache")
    ledger.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my submission.zip"
    path.write_bytes(b"PK content")
    return path


def blobs(bench: Workbench) -> list[Stored]:
    return list(bench.store.list("blobs/"))


def leftovers(bench: Workbench) -> list[Path]:
    return list((bench.cache / "scratch").glob("*"))


def test_a_file_is_stored_under_its_digest_and_a_receipt_given(bench: Workbench, file: Path) -> None:
    receipt = receive(bench, SEASON, STAGE, "A", file)
    sha256 = hashlib.sha256(b"PK content").hexdigest()
    assert (receipt.sha256, receipt.size, receipt.filename, receipt.state) == (sha256, 10, file.name, "received")
    assert (receipt.received_at, receipt.team, receipt.stage) == (NOON, "A", STAGE)
    assert bench.store.read(blob_key(sha256)) == b"PK content"
    assert bench.ledger.submissions.all() == [receipt]
    assert leftovers(bench) == []


def test_the_same_file_again_is_the_same_receipt(bench: Workbench, file: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "other name.zip"
    renamed.write_bytes(file.read_bytes())
    assert receive(bench, SEASON, STAGE, "A", file) == receive(bench, SEASON, STAGE, "A", renamed)
    assert bench.ledger.submissions.attempts_left("A", STAGE, gate(SEASON, SEASON.stage(STAGE))) == 2


@pytest.mark.parametrize("size", [0, (1 << 20) + 1])
def test_T26_a_file_of_no_or_too_many_bytes_is_refused_and_costs_nothing(
    bench: Workbench, file: Path, size: int
) -> None:
    file.write_bytes(b"x" * size)
    with pytest.raises(SubmissionRefusedError) as caught:
        receive(bench, SEASON, STAGE, "A", file)
    assert caught.value.code == ("FILE_TOO_LARGE" if size else "FILE_EMPTY")
    assert file.name in caught.value.message
    assert bench.ledger.submissions.attempts_left("A", STAGE, gate(SEASON, SEASON.stage(STAGE))) == 3
    assert blobs(bench) == []
    file.write_bytes(b"x" * (1 << 20))
    assert receive(bench, SEASON, STAGE, "A", file).size == 1 << 20


@pytest.mark.parametrize(
    ("opens", "closes", "taken"),
    [
        ("2022-03-10T13:00:00", "2022-03-11T00:00:00", True),  # noon in UTC is one o'clock in Berlin
        ("2022-03-10T13:00:01", "2022-03-11T00:00:00", False),
        ("2022-03-01T00:00:00", "2022-03-10T13:00:00", False),
    ],
)
def test_only_teams_that_registered_in_time_may_send(
    bench: Workbench, file: Path, opens: str, closes: str, taken: bool
) -> None:
    written = SEASON.model_dump(mode="json", exclude_none=True)
    written["tracks"]["face"]["registration"] = {"opens": opens, "closes": closes}
    season = Season.model_validate(written)
    if taken:
        assert receive(bench, season, STAGE, "A", file).state == "received"
        return
    with pytest.raises(SubmissionRefusedError, match="REGISTERED_OUTSIDE_WINDOW") as caught:
        receive(bench, season, STAGE, "A", file)
    assert "2022-03-10 12:00 UTC" in caught.value.message
    assert blobs(bench) == []
    assert bench.ledger.submissions.attempts_left("A", STAGE, gate(season, season.stage(STAGE))) == 3


def test_wrong_uses_are_told(bench: Workbench, file: Path) -> None:
    for code, stage, team, path in (
        ("STAGE_TAKES_NO_UPLOADS", "face/evaluation", "A", file),
        ("STAGE_UNKNOWN", "face/finale", "A", file),
        ("TEAM_UNKNOWN", STAGE, "B", file),
        ("FILE_MISSING", STAGE, "A", file.with_name("other.zip")),
        ("FILE_MISSING", STAGE, "A", file.parent),
    ):
        with pytest.raises(UsageError, match=rf"^{code}:"):
            receive(bench, SEASON, stage, team, path)
    assert blobs(bench) == []


class FailingStore(FolderStore):
    """A real store whose connection breaks while a blob is put."""

    fails = True

    def put(self, key: str, source: Path | bytes) -> Stored:
        if self.fails:
            raise TransientError("STORE_UNAVAILABLE", "The store does not answer.")
        return super().put(key, source)


def test_F05_an_upload_that_fails_gives_its_place_back(bench: Workbench, file: Path, tmp_path: Path) -> None:
    store = FailingStore(tmp_path / "store")
    broken = Workbench(bench.ledger, store, bench.cache)
    for _ in range(5):  # more often than the quota allows
        with pytest.raises(TransientError, match=r"^STORE_UNAVAILABLE"):
            receive(broken, SEASON, STAGE, "A", file)
    assert bench.ledger.submissions.all() == []
    assert bench.ledger.submissions.attempts_left("A", STAGE, gate(SEASON, SEASON.stage(STAGE))) == 3
    assert leftovers(bench) == []
    store.fails = False
    assert receive(broken, SEASON, STAGE, "A", file).state == "received"


def test_F12_a_second_upload_of_a_file_that_fails_leaves_the_first_alone(
    bench: Workbench, file: Path, tmp_path: Path
) -> None:
    """Two clients of a team send one file; one connection breaks after the other one's receipt was given."""

    class SlowlyFailingStore(FailingStore):
        def put(self, key: str, source: Path | bytes) -> Stored:
            receive(bench, SEASON, STAGE, "A", file)
            return super().put(key, source)

    with pytest.raises(TransientError):
        receive(Workbench(bench.ledger, SlowlyFailingStore(tmp_path / "store"), bench.cache), SEASON, STAGE, "A", file)
    assert [receipt.state for receipt in bench.ledger.submissions.all()] == ["received"]


def test_T49_a_file_that_changes_while_it_is_sent_spoils_no_name(bench: Workbench, file: Path, tmp_path: Path) -> None:
    """Its owner writes to it after the digest was taken: what is stored under a digest has that digest."""

    class Meddling(FolderStore):
        def put(self, key: str, source: Path | bytes) -> Stored:
            file.write_bytes(b"something else")
            return super().put(key, source)

    before = hashlib.sha256(file.read_bytes()).hexdigest()
    meddled = Workbench(bench.ledger, Meddling(tmp_path / "store"), bench.cache)
    receipt = receive(meddled, SEASON, STAGE, "A", file)
    assert receipt.sha256 == before
    assert hashlib.sha256(bench.store.read(blob_key(before))).hexdigest() == before
    assert all(one.key == blob_key(one.sha256) for one in blobs(bench))


def test_T47_uploads_at_once_store_what_the_quota_allows_and_no_byte_more(bench: Workbench, tmp_path: Path) -> None:
    start = Barrier(20)

    def send(number: int) -> str:
        file = tmp_path / f"{number}.zip"
        file.write_bytes(f"file {number}".encode())
        start.wait()
        try:
            return receive(bench, SEASON, STAGE, "A", file).state
        except SubmissionRefusedError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(send, range(20))) == ["QUOTA_DAY"] * 17 + ["received"] * 3
    assert {one.sha256 for one in blobs(bench)} == {receipt.sha256 for receipt in bench.ledger.submissions.all()}


def test_T48_a_gate_counts_the_days_of_the_seasons_zone() -> None:
    door: Any = gate(SEASON, SEASON.stage(STAGE))
    assert (door.opens, door.closes) == (
        datetime(2022, 2, 28, 23, tzinfo=UTC),
        datetime(2022, 4, 30, 22, tzinfo=UTC),
    )
    start, end = door.day(datetime(2022, 3, 27, 12, tzinfo=UTC))
    assert (end - start).total_seconds() == 23 * 3600
    assert (door.per_day, door.total) == (3, None)
