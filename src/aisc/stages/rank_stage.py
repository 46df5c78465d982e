"""Gather what a stage's board shows: one row a team, scored or with the reason why not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from aisc.evaluations import evaluation_of
from aisc.identity import Version
from aisc.leaderboard.board import Measure
from aisc.leaderboard.entry import Entry, Interval, Part, Past, State
from aisc.leaderboard.matrix import Matrix
from aisc.ledger.competition import Review
from aisc.ledger.runs import Run, Score
from aisc.ledger.submissions import Receipt
from aisc.season import Season, StageRef
from aisc.stages.rows import reviewed, scoreless_row, unscored_row
from aisc.stages.sweep_stage import pick_counting, stage_submissions
from aisc.workbench import Workbench

MEAN_DELTA: Final = "mean delta, points"
"""What both sides of a tournament are ranked by: attacks by the highest, defences by the lowest."""


class Ranking(NamedTuple):
    """The rows of a stage's next board.

    Attributes:
        after: Number of the board that was the latest before the rows were gathered, 0 for none: whoever finds a later
            one gathers them anew, so that no older ranking ends up on top of a newer one.
        rows: One row for every team that has a verdict or owes one.
        matrix: Of a tournament, what every attack took from every defence.
    """

    after: int
    rows: list[Entry]
    matrix: Matrix | None = None


def rank_stage(bench: Workbench, season: Season, stage: str) -> Ranking:
    """Gather the rows of a stage's next board from the ledger.

    Args:
        bench: Ledger, store and cache.
        season: The season.
        stage: ``track/stage``.
    """
    latest = bench.ledger.publications.latest(stage)
    after = latest.number if latest else 0
    if season.stage(stage).is_tournament:
        from aisc.stages.final_rows import gather_final  # reads pictures, which no other stage's rows need

        return Ranking(after, *gather_final(bench, season, stage))
    return Ranking(after, _gather_rows(bench, season, stage))


def write_ranking(path: Path, ranking: Ranking) -> None:
    """Write a ranking as JSON, for the next component."""
    matrix = None if ranking.matrix is None else ranking.matrix.as_json()
    value = {"after": ranking.after, "rows": [entry.as_json() for entry in ranking.rows], "matrix": matrix}
    path.write_text(json.dumps(value, indent=2))


def read_ranking(path: Path) -> Ranking:
    """Read what ``write_ranking`` wrote."""
    value = json.loads(path.read_text())
    matrix = None if value["matrix"] is None else Matrix.from_json(value["matrix"])
    return Ranking(value["after"], [Entry.from_json(row) for row in value["rows"]], matrix)


def measure(ref: StageRef) -> Measure:
    """Say what a stage ranks by."""
    evaluation = evaluation_of(ref.rules)
    name = MEAN_DELTA if ref.is_tournament else evaluation.measure(ref.name, entered=ref.stage.results == "entered")
    return Measure(name=name, higher_is_better=evaluation.higher_is_better(ref.name), digits=ref.stage.rounding)


def _gather_rows(bench: Workbench, season: Season, stage: str) -> list[Entry]:
    ref = season.stage(stage)
    version = bench.ledger.stages.pinned(stage)
    if version is None:
        return []
    reviews = bench.ledger.reviews.latest(stage)
    teams: dict[str, list[Receipt]] = {}
    for receipt in stage_submissions(bench, ref):
        teams.setdefault(receipt.team, []).append(receipt)
    if ref.stage.results == "entered":
        return [
            _entered_row(ref, team, receipts[-1], reviews.get(team), version.sha256) for team, receipts in teams.items()
        ]
    verdicts = {run.submission: run for run in bench.ledger.runs.all(stage=stage, version_sha256=version.sha256)}
    scores = {
        run.submission: score
        for run in verdicts.values()
        if run.state == "scored" and (score := bench.ledger.runs.score(run.run_key)) is not None
    }
    rows = [
        _computed_row(ref, version, team, receipts, verdicts, scores, reviews.get(team))
        for team, receipts in teams.items()
    ]
    return [row for row in rows if row is not None]


def _computed_row(
    ref: StageRef,
    version: Version,
    team: str,
    receipts: list[Receipt],
    verdicts: dict[str, Run],
    scores: dict[str, Score],
    review: Review | None,
) -> Entry | None:
    judged = [receipt for receipt in receipts if receipt.id in verdicts and verdicts[receipt.id].finished_at]
    scored = [receipt for receipt in judged if receipt.id in scores]
    if not judged:
        return None
    if not scored:
        return unscored_row(team, judged[-1], verdicts[judged[-1].id], len(receipts))
    counting = pick_counting(version, scored, {receipt.id: scores[receipt.id] for receipt in scored}, ref.stage.entries)
    score, run = scores[counting.id], verdicts[counting.id]
    evaluation = evaluation_of(ref.rules)
    void = evaluation.void(score, version.limits)
    if void is not None:
        return scoreless_row("void", team, counting, run, len(receipts), *void)
    own_review = review if review and review.content["submission"] == counting.id else None
    state, code, reason = reviewed(ref, own_review)
    if own_review is not None:
        score = evaluation.judge(ref.name, score, own_review.content)
    return Entry(
        team=team,
        submission=counting.id,
        state=state,
        submitted_at=counting.received_at,
        evaluated_at=run.finished_at,
        score=None if state == "disqualified" else score.value,
        interval=None if state == "disqualified" else Interval(score.low, score.high),
        version=run.version_sha256,
        reason_code=code,
        reason=reason,
        parts=() if state == "disqualified" else tuple(Part(name, value) for name, value in score.parts.items()),
        submissions=len(receipts),
        history=tuple(
            Past(receipt.received_at, scores[receipt.id].value)
            for receipt in scored
            if receipt.id != counting.id and evaluation.void(scores[receipt.id], version.limits) is None
        ),
    )


def _entered_row(ref: StageRef, team: str, receipt: Receipt, review: Review | None, version: str) -> Entry:
    def row(state: State, code: str, reason: str, score: float | None = None, parts: Iterable[Part] = ()) -> Entry:
        return Entry(
            team=team,
            submission=receipt.id,
            state=state,
            submitted_at=receipt.received_at,
            evaluated_at=review.reviewed_at if review else None,
            score=score,
            version="" if score is None else version,
            reason_code=code,
            reason=reason,
            parts=tuple(parts),
        )

    if review is None or review.content["submission"] != receipt.id:
        return row("awaiting-review", "RESULT_PENDING", "The organizers have not entered a result yet.")
    result = evaluation_of(ref.rules).entered(review.content)
    if result.value is None:
        return row("void", result.code, result.reason)
    parts = [Part(name, value) for name, value in result.parts.items()]
    return row("scored", "", "", result.value, parts)
