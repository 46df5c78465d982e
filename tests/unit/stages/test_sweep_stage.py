"""What a stage evaluates, under which version, and who goes on."""

from typing import Any

import pytest

from aisc.errors import UsageError
from aisc.ledger.competition import Entry
from aisc.ledger.submissions import Gate
from aisc.stages.publish_leaderboard import publish_leaderboard
from aisc.stages.rank_stage import rank_stage
from aisc.stages.sweep_stage import enter_stage, preflight, stage_submissions, sweep_stage

PRELIMINARY, EVALUATION, FINAL = "face/preliminary", "face/evaluation", "face/final"


def refused(code: str) -> Any:
    return pytest.raises(UsageError, match=rf"^{code}:")


def publish(world: Any, signing_key: Any, stage: str = PRELIMINARY) -> None:
    publish_leaderboard(world.bench, world.season, stage, rank_stage(world.bench, world.season, stage), signing_key)


def close(world: Any) -> None:
    world.clock.now = world.season.stage(PRELIMINARY).stage.closes


def test_a_sweep_queues_every_submission_once_and_the_next_one_only_what_is_new(world: Any) -> None:
    first = [world.submit("A", "1"), world.submit("B", "2")]
    assert sweep_stage(world.bench, world.season, PRELIMINARY) == 2
    assert sweep_stage(world.bench, world.season, PRELIMINARY) == 0
    later = world.submit("A", "3")
    assert sweep_stage(world.bench, world.season, PRELIMINARY) == 1
    runs = world.bench.ledger.runs.all(PRELIMINARY)
    assert [run.submission for run in runs] == [one.id for one in (*first, later)]
    assert {run.attempts_allowed for run in runs} == {2}
    plan = world.bench.ledger.runs.plan(runs[0].run_key)
    assert plan.submission.sha256 == first[0].sha256
    assert [victim.name for victim in plan.version.victims] == ["irse", "mobile"]
    assert plan.version.limits["max_archive_mib"] == 1


def test_a_submission_without_its_bytes_is_not_swept(world: Any) -> None:
    door = world.season.stage(PRELIMINARY).stage
    world.bench.ledger.teams.add("A")
    gate = Gate(door.opens, door.closes, None, None, world.season.day_window)
    world.bench.ledger.submissions.reserve("A", PRELIMINARY, "0" * 64, 1, "x.zip", gate)
    assert sweep_stage(world.bench, world.season, PRELIMINARY) == 0


@pytest.mark.parametrize("change", ["victim", "data", "limits", "seed"])
def test_a_stage_stays_on_its_version_until_it_is_rescored(world: Any, change: str) -> None:
    receipts = [world.submit("A", "1"), world.submit("B", "2")]
    sweep_stage(world.bench, world.season, PRELIMINARY)
    before = world.bench.ledger.stages.pinned(PRELIMINARY)
    old_keys = [world.key(receipt) for receipt in receipts]
    for key in old_keys:
        world.end(key, 0.5)
    if change == "victim":
        world.register("victim", "mobile", "mobile 2")
    elif change == "data":
        world.register("data", "faces/pairs", "pairs 2")
    elif change == "limits":
        world.season = world.with_stage("preliminary", limits={"max_archive_mib": 1, "patches": 4})
    else:
        world.season = world.with_stage("preliminary", seed=1)
    with refused("VERSION_CHANGED"):
        preflight(world.bench, world.season, PRELIMINARY)
    with refused("VERSION_CHANGED") as caught:
        sweep_stage(world.bench, world.season, PRELIMINARY)
    assert {"victim": "victims", "data": "data"}.get(change, change) in caught.value.message
    assert world.bench.ledger.stages.pinned(PRELIMINARY) == before
    assert len(world.bench.ledger.runs.all(PRELIMINARY)) == 2
    assert sweep_stage(world.bench, world.season, PRELIMINARY, rescore=True) == 2
    after = world.bench.ledger.stages.pinned(PRELIMINARY)
    assert after.sha256 != before.sha256
    assert [world.bench.ledger.runs.score(key).value for key in old_keys] == [0.5, 0.5]  # kept beside the new ones
    assert rank_stage(world.bench, world.season, PRELIMINARY).rows == []  # and never mixed with them
    world.end(world.key(receipts[0]), 0.25)
    (row,) = rank_stage(world.bench, world.season, PRELIMINARY).rows
    assert (row.team, row.score, row.version) == ("A", 0.25, after.sha256)
    assert sweep_stage(world.bench, world.season, PRELIMINARY) == 0


def test_a_sweep_that_cannot_be_scored_changes_nothing(world: Any) -> None:
    world.submit()
    world.season = world.with_stage("preliminary", victims=["irse", "unheard-of"])
    with refused("ASSET_UNKNOWN"):
        sweep_stage(world.bench, world.season, PRELIMINARY)
    assert world.bench.ledger.stages.pinned(PRELIMINARY) is None
    assert world.bench.ledger.runs.all() == []


def test_a_later_stage_waits_for_the_board_before_it(world: Any, signing_key: Any) -> None:
    world.scored("A", 0.5)
    with refused("STAGE_STILL_OPEN"):
        sweep_stage(world.bench, world.season, EVALUATION)
    close(world)
    with refused("STAGE_NOT_PUBLISHED"):
        sweep_stage(world.bench, world.season, EVALUATION)
    assert world.bench.ledger.stages.pinned(EVALUATION) is None
    with refused("STAGE_TAKES_UPLOADS"):
        enter_stage(world.bench, world.season, PRELIMINARY)
    publish(world, signing_key)
    assert sweep_stage(world.bench, world.season, EVALUATION) == 1


def test_nobody_goes_on_while_a_submission_in_time_has_no_verdict(world: Any, signing_key: Any) -> None:
    """A board made before the close may lack the last ones to arrive."""
    early = world.submit("A", "1")
    sweep_stage(world.bench, world.season, PRELIMINARY)
    world.end(world.key(early), 0.5)
    publish(world, signing_key)
    late = world.submit("B", "2")
    close(world)
    with pytest.raises(UsageError, match=rf"^SUBMISSIONS_WAIT: .*{late.id}") as waits:
        enter_stage(world.bench, world.season, EVALUATION)
    assert waits.value.remedy == f"Run 'aisc round run {PRELIMINARY}' once more."
    sweep_stage(world.bench, world.season, PRELIMINARY)
    with refused("SUBMISSIONS_WAIT"):
        enter_stage(world.bench, world.season, EVALUATION)
    world.end(world.key(late), 0.25)
    publish(world, signing_key)
    assert [entry.team for entry in enter_stage(world.bench, world.season, EVALUATION)] == ["A", "B"]


def test_every_ranked_team_enters_with_its_last_scored_submission(world: Any, signing_key: Any) -> None:
    a = world.scored("A", 0.9, 0.2)
    b = world.scored("B", 0.4, None)  # the last one was refused: the one before it goes on
    world.scored("C", None)  # no score, no entry
    close(world)
    publish(world, signing_key)
    assert sweep_stage(world.bench, world.season, EVALUATION) == 2
    assert world.bench.ledger.stages.entries(EVALUATION) == [Entry("A", a[1].id, 1), Entry("B", b[0].id, 1)]
    assert [run.submission for run in world.bench.ledger.runs.all(EVALUATION)] == [a[1].id, b[0].id]
    assert sweep_stage(world.bench, world.season, EVALUATION) == 0
    assert world.key(a[1], EVALUATION) != world.key(a[1], PRELIMINARY)


def test_a_later_stage_may_take_the_best_submission(world: Any, signing_key: Any) -> None:
    a = world.scored("A", 0.9, 0.2)
    close(world)
    publish(world, signing_key)
    world.season = world.with_stage("evaluation", entries="best")
    sweep_stage(world.bench, world.season, EVALUATION)
    assert world.bench.ledger.stages.entries(EVALUATION) == [Entry("A", a[0].id, 1)]


def test_the_cut_decides_who_reaches_the_final_and_with_the_same_submission(world: Any, signing_key: Any) -> None:
    scores = {"A": 0.5, "B": 0.7, "C": 0.6, "D": 0.6, "E": 0.9}
    receipts = {team: world.scored(team, 0.5)[0] for team in scores}
    close(world)
    publish(world, signing_key)
    sweep_stage(world.bench, world.season, EVALUATION)
    for team, value in scores.items():
        world.end(world.key(receipts[team], EVALUATION), value)
    ledger = world.bench.ledger
    sent = {team: {"submission": receipt.id} for team, receipt in receipts.items()}
    ledger.reviews.add(EVALUATION, "Ann", {team: sent[team] | {"verdict": "pass"} for team in "ABCD"})
    ledger.reviews.add(EVALUATION, "Ann", {"E": sent["E"] | {"verdict": "fail", "note": "cannot be worn"}})
    publish(world, signing_key, EVALUATION)
    assert sweep_stage(world.bench, world.season, FINAL) == 0  # nothing to compute
    entered = ledger.stages.entries(FINAL)
    # E is out; B is first; C and D share the second place, which the cut of two takes in whole.
    assert entered == [Entry(team, receipts[team].id, 1) for team in "BCD"]
    assert [one.id for one in stage_submissions(world.bench, world.season.stage(FINAL))] == [
        receipts[team].id for team in "BCD"
    ]
    rows = {row.team: row for row in rank_stage(world.bench, world.season, FINAL).rows}
    assert {row.state for row in rows.values()} == {"awaiting-review"}
    attempt = {"targets": 4, "deceived": 3, "area_cm2": 59.0, "liveness": "passed"}
    attempts = {"B": attempt, "C": attempt | {"area_cm2": 61.0}, "D": attempt | {"deceived": 4}}
    ledger.reviews.add(FINAL, "Ann", {team: sent[team] | content for team, content in attempts.items()})
    rows = {row.team: row for row in rank_stage(world.bench, world.season, FINAL).rows}
    assert {team: (row.state, row.score) for team, row in rows.items()} == {
        "B": ("scored", 75.0),
        "C": ("void", None),
        "D": ("scored", 100.0),
    }


def test_entries_stay_when_an_earlier_board_changes_afterwards(world: Any, signing_key: Any) -> None:
    (a,) = world.scored("A", 0.5)
    close(world)
    publish(world, signing_key)
    sweep_stage(world.bench, world.season, EVALUATION)
    world.register("victim", "irse", "irse 2")
    sweep_stage(world.bench, world.season, PRELIMINARY, rescore=True)
    world.end(world.key(a), None)
    publish(world, signing_key)
    sweep_stage(world.bench, world.season, EVALUATION)
    assert world.bench.ledger.stages.entries(EVALUATION) == [Entry("A", a.id, 1)]
