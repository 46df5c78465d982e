"""Receipts: who gets a place, when, and what becomes of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.errors import SubmissionRefusedError, TransientError, UsageError
from aisc.ledger import Ledger
from aisc.ledger.submissions import Gate
from aisc.season.clock import day_window
from aisc.store import put_blob

TICK = timedelta(microseconds=1)


def sha(data: bytes) -> str:
    return sha256(data).hexdigest()


def refused(code: str) -> Any:
    return pytest.raises(SubmissionRefusedError, match=f"^{code}:")


def test_a_receipt_says_what_was_received(scene: Any) -> None:
    reserved = scene.reserve(scene.ledger.teams.add("Ämter 5").name, "file")
    assert (reserved.state, reserved.received_at, reserved.refunded) == ("receiving", scene.clock.now, False)
    assert scene.ledger.submissions.all() == []
    receipt = scene.ledger.submissions.confirm(reserved.id)
    assert receipt == reserved._replace(state="received")
    assert (receipt.team, receipt.stage, receipt.size, receipt.filename) == ("Ämter 5", scene.stage, 4, "file.zip")
    assert scene.ledger.submissions.get(receipt.id) == receipt
    assert scene.ledger.submissions.all() == [receipt]
    assert scene.ledger.submissions.all(stage="other/stage") == []
    assert scene.ledger.submissions.all(team="ämter 5") == [receipt]


def test_receipts_are_listed_oldest_first(scene: Any) -> None:
    receipts = []
    for number in range(6):
        receipts.append(scene.submit("AB"[number % 2], f"file {number}"))
        scene.clock.advance(microseconds=1)
    assert scene.ledger.submissions.all() == receipts
    assert scene.ledger.submissions.all(team="B") == receipts[1::2]


def test_the_same_bytes_again_give_the_same_receipt_and_cost_nothing(scene: Any) -> None:
    first = scene.submit(content="same", total=2)
    scene.clock.advance(days=40)  # even after the stage has closed: it was received
    assert scene.reserve("A", "same", total=2) == first
    assert scene.ledger.submissions.attempts_left("A", scene.stage, scene.gate) is None
    assert len(scene.ledger.submissions.all()) == 1


def test_two_teams_may_send_the_same_bytes(scene: Any) -> None:
    assert scene.submit("A", "same", total=1).id != scene.submit("B", "same", total=1).id


def test_quotas_are_counted_by_day_and_in_all(scene: Any) -> None:
    quota = {"per_day": 2, "total": 3}
    door = Gate(scene.gate.opens, scene.gate.closes, 2, 3, scene.gate.day)
    left = [scene.ledger.submissions.attempts_left(scene.ledger.teams.add("A").name, scene.stage, door)]
    for number in range(2):
        scene.submit(content=f"file {number}", **quota)
        left.append(scene.ledger.submissions.attempts_left("A", scene.stage, door))
    with refused("QUOTA_DAY"):
        scene.submit(content="one too many", **quota)
    scene.clock.advance(days=1)
    left.append(scene.ledger.submissions.attempts_left("A", scene.stage, door))
    scene.submit(content="file 2", **quota)
    with refused("QUOTA_TOTAL"):
        scene.submit(content="one too many", **quota)
    left.append(scene.ledger.submissions.attempts_left("A", scene.stage, door))
    assert left == [2, 1, 0, 1, 0]
    scene.submit("B", "another team's", **quota)


def test_T48_the_gate_is_half_open_to_the_microsecond(scene: Any) -> None:
    opens, closes = scene.gate.opens, scene.gate.closes
    table = [
        (opens - TICK, "STAGE_NOT_OPEN"),
        (opens, None),
        (opens + TICK, None),
        (closes - TICK, None),
        (closes, "STAGE_CLOSED"),
        (closes + TICK, "STAGE_CLOSED"),
    ]
    scene.ledger.teams.add("A")
    for number, (moment, code) in enumerate(table):
        scene.clock.now = moment
        if code is None:
            assert scene.submit(content=f"file {number}").received_at == moment
        else:
            with refused(code):
                scene.submit(content=f"file {number}")
    assert len(scene.ledger.submissions.all()) == 3


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2022, 3, 26), 24), ((2022, 3, 27), 23), ((2022, 10, 30), 25)],
    ids=["plain", "spring", "autumn"],
)
def test_T48_a_day_of_the_quota_is_the_zones_day(scene: Any, day: tuple[int, int, int], hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(*day, tzinfo=zone).astimezone(UTC)
    end = start + timedelta(hours=hours)
    gate = {
        "opens": start - timedelta(days=9),
        "closes": end + timedelta(days=9),
        "per_day": 1,
        "day": lambda instant: day_window(instant, zone),
    }
    moments = [start - TICK, start, end - TICK, end]
    for number, moment in enumerate(moments):
        scene.clock.now = moment
        if moment == end - TICK:  # the same day as its first instant, 23 to 25 hours before
            with refused("QUOTA_DAY"):
                scene.submit(content=f"file {number}", **gate)
        else:
            scene.submit(content=f"file {number}", **gate)
    assert [receipt.received_at for receipt in scene.ledger.submissions.all()] == [start - TICK, start, end]


@pytest.mark.parametrize("hours", [-1, 1])
def test_F08_the_time_of_the_client_changes_nothing(scene: Any, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    skewed = time.time() + hours * 3600
    monkeypatch.setattr(time, "time", lambda: skewed)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        scene.clock.now = scene.gate.closes - TICK
        assert scene.submit(content="in time").received_at == scene.gate.closes - TICK
        scene.clock.now = scene.gate.closes
        with refused("STAGE_CLOSED"):
            scene.submit(content="too late")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_F08_the_ledgers_own_clock_gives_utc_and_does_not_run_back(open_again: Callable[[], Ledger]) -> None:
    ledgers = [open_again(), open_again()]
    before = datetime.now(UTC)
    moments = [ledgers[number % 2].now() for number in range(20)]
    assert all(one <= other for one, other in pairwise(moments))
    assert {moment.utcoffset() for moment in moments} == {timedelta(0)}
    assert abs(moments[0] - before) < timedelta(seconds=60)


def test_T47_of_200_submissions_at_once_exactly_the_quota_is_stored(
    open_again: Callable[[], Ledger], memory: Path, scene: Any
) -> None:
    scene.ledger.teams.add("A")
    store, start = FolderStore(memory / "store"), Barrier(200)
    opens = datetime.now(UTC) - timedelta(days=1)
    door = Gate(opens, opens + timedelta(days=30), 3, None, lambda _: (opens, opens + timedelta(days=30)))
    files = [memory / f"{number}.zip" for number in range(200)]
    for file in files:
        file.write_bytes(file.name.encode())

    def send(file: Path) -> str:
        submissions = open_again().submissions  # connections of its own, and the ledger's own clock
        data = file.read_bytes()
        start.wait()
        try:
            receipt = submissions.reserve("A", "face/preliminary", sha(data), len(data), file.name, door)
        except SubmissionRefusedError as error:
            return error.code
        put_blob(store, data)
        return submissions.confirm(receipt.id).state

    with ThreadPoolExecutor(200) as pool:
        outcomes = sorted(pool.map(send, files))
    assert outcomes == ["QUOTA_DAY"] * 197 + ["received"] * 3
    stored = {receipt.sha256 for receipt in scene.ledger.submissions.all()}
    assert len(stored) == 3
    assert {one.sha256 for one in store.list("blobs/")} == stored


def test_a_failed_upload_gives_its_place_back(scene: Any) -> None:
    scene.ledger.teams.add("A")
    failed = scene.reserve("A", "file", total=1)
    with refused("QUOTA_TOTAL"):
        scene.reserve("A", "another", total=1)
    scene.ledger.submissions.abort(failed.id)
    assert scene.ledger.submissions.get(failed.id).state == "aborted"
    assert scene.submit(content="another", total=1).state == "received"
    with refused("QUOTA_TOTAL"):
        scene.reserve("A", "file", total=1)


def test_a_file_whose_upload_failed_may_be_sent_again(scene: Any) -> None:
    scene.ledger.teams.add("A")
    failed = scene.reserve("A", "file", total=1)
    scene.ledger.submissions.abort(failed.id)
    scene.clock.advance(minutes=5)
    receipt = scene.submit(content="file", total=1)
    assert (receipt.id, receipt.received_at, receipt.state) == (failed.id, scene.clock.now, "received")


def test_F13_a_crash_between_reserve_and_confirm_is_resumed_by_the_same_call(scene: Any) -> None:
    scene.ledger.teams.add("A")
    crashed = scene.reserve("A", "file", total=1)
    scene.clock.advance(minutes=59)
    assert scene.reserve("A", "file", total=1) == crashed
    assert scene.ledger.submissions.confirm(crashed.id) == crashed._replace(state="received")


def test_F13_a_crash_that_nobody_resumes_costs_nothing_after_an_hour(scene: Any) -> None:
    scene.ledger.teams.add("A")
    crashed = scene.reserve("A", "file", total=1)
    scene.clock.advance(hours=1)
    with refused("QUOTA_TOTAL"):
        scene.reserve("A", "another", total=1)
    scene.clock.advance(microseconds=1)
    assert scene.submit(content="another", total=1).state == "received"
    assert scene.ledger.submissions.get(crashed.id).state == "aborted"


def test_T47_an_upload_that_comes_back_after_its_place_was_given_away_is_not_counted_in(scene: Any) -> None:
    scene.ledger.teams.add("A")
    slow = scene.reserve("A", "slow", total=1)
    scene.clock.advance(hours=2)
    scene.submit(content="another", total=1)
    with pytest.raises(TransientError, match=r"^PLACE_LAPSED"):
        scene.ledger.submissions.confirm(slow.id)
    assert [receipt.filename for receipt in scene.ledger.submissions.all()] == ["another.zip"]


def test_F12_of_two_uploads_of_one_file_the_failing_one_does_not_take_the_other_away(scene: Any) -> None:
    scene.ledger.teams.add("A")
    first, second = scene.reserve("A", "file"), scene.reserve("A", "file")
    assert first == second
    scene.ledger.submissions.confirm(first.id)
    scene.ledger.submissions.abort(second.id)
    assert scene.ledger.submissions.get(first.id).state == "received"


def test_F07_a_receipt_confirmed_twice_stays_what_it_is(scene: Any) -> None:
    receipt = scene.submit()
    scene.clock.advance(hours=3)
    assert scene.ledger.submissions.confirm(receipt.id) == receipt


@pytest.mark.parametrize("name", ["a\x00b.zip", "a\udcff.zip", "x" * 5000, "\N{RIGHT-TO-LEFT OVERRIDE}zip.exe"])
def test_T44_any_name_of_a_file_can_be_kept(scene: Any, name: str) -> None:
    scene.ledger.teams.add("A")
    receipt = scene.ledger.submissions.reserve("A", scene.stage, sha(b"x"), 1, name, scene.gate)
    kept = scene.ledger.submissions.get(receipt.id).filename
    assert len(kept) == min(len(name), 200)
    kept.encode()
    assert "\x00" not in kept


def test_T50_unknown_names_are_told(scene: Any) -> None:
    calls = [
        lambda: scene.reserve("nobody", "file"),
        lambda: scene.ledger.submissions.attempts_left("nobody", scene.stage, scene.gate),
        lambda: scene.ledger.submissions.all(team="nobody"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"^TEAM_UNKNOWN"):
            call()
    for call in (scene.ledger.submissions.get, scene.ledger.submissions.confirm, scene.ledger.submissions.abort):
        with pytest.raises(UsageError, match=r"^SUBMISSION_UNKNOWN"):
            call("s-0")


def test_two_registrations_of_one_team_at_once(open_again: Callable[[], Ledger]) -> None:
    ledgers = [open_again() for _ in range(16)]
    start = Barrier(16)

    def add(ledger: Ledger) -> str:
        start.wait()
        try:
            return ledger.teams.add("Patch Adams").name
        except UsageError as error:
            return error.code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(add, ledgers)) == ["Patch Adams"] + ["TEAM_EXISTS"] * 15
