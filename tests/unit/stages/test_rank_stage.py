"""Rows of a board: what became of every team."""

from typing import Any

import pytest

from aisc.leaderboard.entry import Interval
from aisc.ledger.leases import this_process
from aisc.stages.publish_leaderboard import publish_leaderboard
from aisc.stages.rank_stage import rank_stage
from aisc.stages.sweep_stage import sweep_stage

PRELIMINARY, EVALUATION = "face/preliminary", "face/evaluation"


def test_T53_rows_say_what_became_of_every_team(world: Any) -> None:
    best = world.scored("A", 0.3, 0.8, 0.5)
    world.scored("B", None)
    receipts = [world.submit(team, f"of {team}") for team in "CDE"]
    sweep_stage(world.bench, world.season, PRELIMINARY)
    runs = world.bench.ledger.runs
    for _ in range(2):  # C: we fail twice
        number = runs.claim(world.key(receipts[0]), this_process())
        runs.note_fault(world.key(receipts[0]), number, "platform", "STORE_FULL", "secret path /srv/x")
        runs.end_attempt(world.key(receipts[0]), number)
    runs.cancel(world.key(receipts[1]))
    rows = {row.team: row for row in rank_stage(world.bench, world.season, PRELIMINARY).rows}
    assert set(rows) == {"A", "B", "C", "D"}  # E waits for its turn
    a = rows["A"]
    assert (a.state, a.submission, a.score, a.submissions) == ("scored", best[2].id, 0.5, 3)  # the last one counts
    assert a.interval == Interval(0.25, 0.5)
    assert [(past.at, past.score) for past in a.history] == [(best[0].received_at, 0.3), (best[1].received_at, 0.8)]
    assert [(part.name, part.value) for part in a.parts] == [("irse", 0.5)]
    assert (rows["B"].state, rows["B"].reason_code, rows["B"].reason) == ("refused", "ZIP_BROKEN", "No zip.")
    assert (rows["C"].state, rows["C"].reason_code) == ("failed", "PLATFORM_FAULT")
    assert "secret" not in rows["C"].reason
    assert (rows["D"].state, rows["D"].reason_code) == ("withdrawn", "CANCELLED")
    assert all(row.score is None for row in rows.values() if row.state != "scored")


def test_the_best_counts_where_the_season_says_so(world: Any) -> None:
    receipts = world.scored("A", 0.3, 0.8, 0.5)
    world.season = world.with_stage("preliminary", entries="best")
    (row,) = rank_stage(world.bench, world.season, PRELIMINARY).rows
    assert (row.submission, row.score) == (receipts[1].id, 0.8)


def test_a_failed_last_submission_does_not_take_the_score_before_it_away(world: Any) -> None:
    receipts = world.scored("A", 0.3, None)
    (row,) = rank_stage(world.bench, world.season, PRELIMINARY).rows
    assert (row.state, row.submission, row.score) == ("scored", receipts[0].id, 0.3)


@pytest.mark.parametrize(
    ("verdict", "state", "code"),
    [(None, "awaiting-review", "REVIEW_PENDING"), ("pass", "scored", ""), ("fail", "disqualified", "REVIEW_FAILED")],
)
def test_the_experts_decide_where_a_review_is_required(
    world: Any, signing_key: Any, verdict: str | None, state: str, code: str
) -> None:
    (receipt,) = world.scored("A", 0.5)
    publish_leaderboard(
        world.bench, world.season, PRELIMINARY, rank_stage(world.bench, world.season, PRELIMINARY), signing_key
    )
    world.clock.now = world.season.stage(PRELIMINARY).stage.closes
    sweep_stage(world.bench, world.season, EVALUATION)
    world.end(world.key(receipt, EVALUATION), 0.4)
    if verdict is not None:
        world.bench.ledger.reviews.add(EVALUATION, "Ann", {"A": {"verdict": verdict, "submission": receipt.id}})
    (row,) = rank_stage(world.bench, world.season, EVALUATION).rows
    assert (row.state, row.reason_code) == (state, code)
    assert row.score == (None if verdict == "fail" else 0.4)


def test_a_verdict_on_another_submission_decides_nothing(world: Any, signing_key: Any) -> None:
    (receipt,) = world.scored("A", 0.5)
    rows = rank_stage(world.bench, world.season, PRELIMINARY)
    publish_leaderboard(world.bench, world.season, PRELIMINARY, rows, signing_key)
    world.clock.now = world.season.stage(PRELIMINARY).stage.closes
    sweep_stage(world.bench, world.season, EVALUATION)
    world.end(world.key(receipt, EVALUATION), 0.4)
    world.bench.ledger.reviews.add(EVALUATION, "Ann", {"A": {"verdict": "pass", "submission": "s-another"}})
    (row,) = rank_stage(world.bench, world.season, EVALUATION).rows
    assert row.state == "awaiting-review"


def test_of_equally_good_submissions_the_first_counts(world: Any) -> None:
    stages = world.season.tracks["face"].stages
    stages["preliminary"] = stages["preliminary"].model_copy(update={"entries": "best"})
    first, _, better, _ = world.scored("A", 0.4, 0.4, 0.5, 0.5)
    assert first.id != better.id
    (row,) = rank_stage(world.bench, world.season, PRELIMINARY).rows
    assert (row.submission, row.score) == (better.id, 0.5)


def test_a_stage_that_was_never_swept_has_no_rows(world: Any) -> None:
    world.submit()
    assert rank_stage(world.bench, world.season, PRELIMINARY).rows == []
