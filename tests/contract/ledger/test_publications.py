"""The chain of boards: whoever publishes at the same time, no board is lost and none is published twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Barrier
from typing import Any

import pytest

from aisc.errors import TransientError, UsageError
from aisc.identity import Asset, Version
from aisc.ledger import Ledger
from aisc.ledger.competition import Entry, Publication

STAGE = "face/preliminary"
TRIALS = 100
"""Races on each database."""


def name(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def publish_on_top(ledger: Ledger, text: str) -> Publication:
    """Publish as a round does: read the latest board, build on it, and start again when somebody was faster."""
    while True:
        last = ledger.publications.latest(STAGE)
        number, previous = (last.number + 1, last.sha256) if last else (1, None)
        try:
            return ledger.publications.append(STAGE, number, name(f"{text} on {previous}"), previous, "v")
        except TransientError as error:
            if error.code != "BOARD_RACE":
                raise


def test_T54_two_publishers_race_and_no_board_is_lost(open_again: Callable[[], Ledger]) -> None:
    """F09 as well: after every race both boards are in the chain, each on top of the one before it."""
    ledgers = [open_again(), open_again()]
    start = Barrier(2)

    def publish(who: int) -> list[Publication]:
        published = []
        for trial in range(TRIALS):
            start.wait()
            published.append(publish_on_top(ledgers[who], f"publisher {who}, trial {trial}"))
        return published

    with ThreadPoolExecutor(2) as pool:
        published = [board for boards in pool.map(publish, range(2)) for board in boards]
    chain = ledgers[0].publications.all(STAGE)
    assert sorted(published) == chain
    assert [board.number for board in chain] == list(range(1, 2 * TRIALS + 1))
    assert [board.previous_sha256 for board in chain] == [None, *(board.sha256 for board in chain[:-1])]


def test_T54_a_board_that_is_not_on_top_of_the_latest_is_refused(scene: Any) -> None:
    publications = scene.ledger.publications
    first = publications.append(STAGE, 1, name("one"), None, "v")
    assert first == (STAGE, 1, name("one"), None, "v", scene.clock.now)
    for number, previous in ((1, None), (2, None), (2, name("other")), (3, name("one")), (0, None), (1, name("one"))):
        with pytest.raises(TransientError, match=r"^BOARD_RACE"):
            publications.append(STAGE, number, name("two"), previous, "v")
    assert publications.all(STAGE) == [first]
    assert publications.append("face/final", 1, name("x"), None, "v").number == 1
    assert publications.append(STAGE, 2, name("two"), name("one"), "v") == publications.latest(STAGE)


def version(seed: int = 0) -> Version:
    victims = (Asset("victim", "irse", name("irse"), "k1"), Asset("victim", "mobile", name("mobile"), "k2"))
    data = Asset("data", "faces/pairs", name("pairs"), "k0")
    return Version(STAGE, "rules", data, victims, {"patches": 5, "area": 0.1}, seed, "code")


def test_a_stage_keeps_the_version_it_is_pinned_to(scene: Any) -> None:
    assert scene.ledger.stages.pinned(STAGE) is None
    scene.ledger.stages.pin(version())
    assert scene.ledger.stages.pinned(STAGE) == version()
    assert scene.ledger.stages.pinned(STAGE).sha256 == version().sha256
    scene.ledger.stages.pin(version(seed=1))
    assert scene.ledger.stages.pinned(STAGE) == version(seed=1)
    assert scene.ledger.stages.pinned("face/final") is None


def test_F09_two_rounds_pin_a_stage_for_the_first_time_at_once(open_again: Callable[[], Ledger]) -> None:
    ledgers, start = [open_again() for _ in range(8)], Barrier(8)

    def pin(ledger: Ledger) -> None:
        start.wait()
        ledger.stages.pin(version())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pin, ledgers))
    assert ledgers[0].stages.pinned(STAGE) == version()


def test_entries_replace_what_stood_there_and_come_in_the_order_of_receipt(scene: Any) -> None:
    receipts = {}
    for team in "CAB":
        receipts[team] = scene.submit(team, f"of {team}")
        scene.clock.advance(seconds=1)
    entries = {team: Entry(team, receipts[team].id, 3) for team in "ABC"}
    scene.ledger.stages.enter("face/evaluation", entries.values())
    assert scene.ledger.stages.entries("face/evaluation") == [entries["C"], entries["A"], entries["B"]]
    scene.ledger.stages.enter("face/evaluation", [entries["B"]])
    assert scene.ledger.stages.entries("face/evaluation") == [entries["B"]]
    with pytest.raises(UsageError, match=r"^TEAM_UNKNOWN"):
        scene.ledger.stages.enter("face/evaluation", [entries["A"], entries["B"]._replace(team="nobody")])
    assert scene.ledger.stages.entries("face/evaluation") == [entries["B"]]  # all or none


def test_the_asset_registered_last_is_the_current_one(scene: Any) -> None:
    assets = scene.ledger.assets
    old, new = Asset("data", "faces/pairs", name("old"), "k1"), Asset("data", "faces/pairs", name("new"), "k2")
    with pytest.raises(UsageError, match=r"^ASSET_UNKNOWN"):
        assets.current("data", "faces/pairs")
    for asset in (old, new):
        assets.register(asset)  # within one tick of the clock
        assert assets.current("data", "faces/pairs") == asset
    scene.clock.advance(seconds=1)
    assets.register(old)
    assert assets.current("data", "faces/pairs") == old
    with pytest.raises(UsageError, match=r"^ASSET_UNKNOWN"):
        assets.current("victim", "faces/pairs")


def test_the_last_review_of_a_team_counts_and_a_table_is_taken_as_a_whole(scene: Any) -> None:
    for team in "AB":
        scene.ledger.teams.add(team)
    reviews = scene.ledger.reviews
    reviews.add(STAGE, "Ann", {"A": {"verdict": "pass"}, "B": {"verdict": "pass"}})
    reviews.add(STAGE, "Bob", {"B": {"verdict": "fail", "note": "ä\u2028"}})
    with pytest.raises(UsageError, match=r"^TEAM_UNKNOWN"):
        reviews.add(STAGE, "Eve", {"A": {"verdict": "fail"}, "nobody": {"verdict": "pass"}})
    latest = reviews.latest(STAGE)
    assert {team: (review.reviewer, review.content) for team, review in latest.items()} == {
        "A": ("Ann", {"verdict": "pass"}),
        "B": ("Bob", {"verdict": "fail", "note": "ä\u2028"}),
    }
    assert reviews.latest("face/final") == {}
