"""A whole stage under the database's own clock, and the rush at its deadline."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median, quantiles

import pytest

from aisc.errors import SubmissionRefusedError
from aisc.identity import Asset, Plan, Version
from aisc.ledger import Ledger
from aisc.ledger.competition import Entry
from aisc.ledger.leases import this_process
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Gate
from aisc.stages.evaluate_submissions import fair_order
from aisc.store import blob_key

STAGE = "face/preliminary"


def name(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def whole(instant: datetime) -> tuple[datetime, datetime]:
    return instant - timedelta(days=1), instant + timedelta(days=1)


def gate(attempts: int) -> Gate:
    now = datetime.now(UTC)
    return Gate(now - timedelta(days=1), now + timedelta(hours=1), None, attempts, whole)


def test_a_stage_from_the_first_team_to_the_board(open_again: Callable[[], Ledger]) -> None:
    ledger = open_again()
    ledger.teams.add("A", "a@example.org")
    ledger.assets.register(Asset("data", "faces/pairs", name("pairs"), "k"))
    version = Version(STAGE, "rules", ledger.assets.current("data", "faces/pairs"), (), {}, 0, "code")
    ledger.stages.pin(version)
    receipt = ledger.submissions.confirm(ledger.submissions.reserve("A", STAGE, name("x"), 1, "x.zip", gate(1)).id)
    plan = Plan(version, Asset("submission", receipt.id, receipt.sha256, "k"), season="s", digits=6)
    assert ledger.runs.enqueue(plan, 2)
    for number in (1, 2):
        assert ledger.runs.claim(plan.run_key, this_process()) == number
        assert ledger.runs.renew(plan.run_key, number)
        assert ledger.runs.reap(STAGE) == []
        if number == 1:
            ledger.runs.end_attempt(plan.run_key, number)
    ledger.runs.begin_step(plan.run_key, "publish_result", 2)
    score = Score(0.5, 0.4, 0.6, {"irse": 0.5})
    ledger.runs.finish(plan.run_key, "publish_result", "scored", code="", message="", result_key="r", score=score)
    ledger.reviews.add(STAGE, "Ann", {"A": {"verdict": "pass"}})
    ledger.stages.enter("face/evaluation", [Entry("A", receipt.id, 1)])
    board = ledger.publications.append(STAGE, 1, name("board"), None, version.sha256)
    run = ledger.runs.get(plan.run_key)
    moments = [receipt.received_at, run.queued_at, run.finished_at, board.published_at]
    assert moments == sorted(moments)
    assert (run.state, ledger.runs.score(plan.run_key), ledger.stages.pinned(STAGE)) == ("scored", score, version)


TEAMS, CLIENTS = 50, 16


def test_F12_a_thousand_submissions_at_the_deadline(open_again: Callable[[], Ledger], url: str) -> None:
    """0 lost, 0 twice: what got a receipt is there, what got none is not, and every team is served in turn."""
    ledger = open_again()
    each = 20 if url.startswith("sqlite") else 5  # 1,000 on SQLite, whose one writer is the narrow place
    teams = [ledger.teams.add(f"team {number:02d}").name for number in range(TEAMS)]
    sent = [(team, f"{team} {number}") for team in teams[:2] for number in range(each)]  # two were early
    sent += [(team, f"{team} {number}") for number in range(each) for team in teams[2:]]
    clients = [open_again() for _ in range(CLIENTS)]
    door = gate(each)

    def send(client: int) -> list[tuple[str, float]]:
        submissions, receipts = clients[client].submissions, []
        for team, content in sent[client::CLIENTS]:
            before = time.monotonic()
            receipt = submissions.reserve(team, STAGE, name(content), len(content), "x.zip", door)
            submissions.confirm(receipt.id)
            receipts.append((receipt.id, time.monotonic() - before))
        return receipts

    started = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        receipts = [receipt for part in pool.map(send, range(CLIENTS)) for receipt in part]
    times = [1000 * seconds for _, seconds in receipts]
    print(f"{len(times)} receipts in {time.monotonic() - started:.1f} s by {CLIENTS} clients; ", end="")
    print(f"one: median {median(times):.0f} ms, p99 {quantiles(times, n=100)[98]:.0f} ms")
    stored = ledger.submissions.all(stage=STAGE)
    assert len(stored) == len(sent) == TEAMS * each
    assert sorted(receipt.id for receipt in stored) == sorted({identity for identity, _ in receipts})
    assert Counter((receipt.team, receipt.sha256) for receipt in stored) == {
        (team, name(content)): 1 for team, content in sent
    }
    with pytest.raises(SubmissionRefusedError):
        ledger.submissions.reserve(teams[0], STAGE, name("one too many"), 1, "x.zip", door)
    late = Gate(door.opens, datetime.now(UTC), None, None, whole)
    with pytest.raises(SubmissionRefusedError, match=r"^STAGE_CLOSED"):
        ledger.submissions.reserve(teams[0], STAGE, name("too late"), 1, "x.zip", late)

    version = Version(STAGE, "rules", None, (), {}, 0, "code")
    for receipt in stored:
        archive = Asset("submission", receipt.id, receipt.sha256, blob_key(receipt.sha256))
        ledger.runs.enqueue(Plan(version, archive, season="s", digits=6), 3)
    order = [run.team for run in fair_order(ledger.runs.all(STAGE))]
    for turn in range(each):  # every team once before any team again
        assert sorted(order[turn * TEAMS : (turn + 1) * TEAMS]) == teams
