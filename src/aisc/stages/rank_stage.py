"""Gather what a stage's board shows: one row a team, scored or with the reason why not."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aisc.leaderboard.board import Measure
from aisc.leaderboard.entry import Entry, Interval, Part, Past, State
from aisc.ledger.competition import Review
from aisc.ledger.runs import Run, Score
from aisc.ledger.submissions import Receipt
from aisc.season import Season, StageRef
from aisc.stages.sweep_stage import stage_submissions
from aisc.tracks.face import MEASURE, PHYSICAL_MEASURE, score_physical
from aisc.workbench import Workbench

PLATFORM_FAULT = "PLATFORM_FAULT"


def rank_stage(bench: Workbench, season: Season, stage: str) -> list[Entry]:
    """Make the rows of a stage's next board from the ledger.

    Args:
        bench: Ledger, store and cache.
        season: The season.
        stage: ``track/stage``.

    Returns:
        One row for every team that has a verdict or owes one.
    """
    ref = season.stage(stage)
    version = bench.ledger.stages.pinned(stage)
    if version is None:
        return []
    reviews = bench.ledger.reviews.latest(stage)
    teams: dict[str, list[Receipt]] = {}
    for receipt in stage_submissions(bench, ref):
        teams.setdefault(receipt.team, []).append(receipt)
    if ref.stage.results == "entered":
        return [_entered_row(team, receipts[-1], reviews.get(team), version.sha256) for team, receipts in teams.items()]
    verdicts = {run.submission: run for run in bench.ledger.runs.all(stage=stage, version_sha256=version.sha256)}
    scores = {
        run.submission: score
        for run in verdicts.values()
        if run.state == "scored" and (score := bench.ledger.runs.score(run.run_key)) is not None
    }
    rows = [_computed_row(ref, team, receipts, verdicts, scores, reviews.get(team)) for team, receipts in teams.items()]
    return [row for row in rows if row is not None]


def write_entries(path: Path, entries: Sequence[Entry]) -> None:
    """Write rows as JSON, for the next component."""
    path.write_text(json.dumps([entry.as_json() for entry in entries], indent=2))


def read_entries(path: Path) -> list[Entry]:
    """Read what ``write_entries`` wrote."""
    return [Entry.from_json(row) for row in json.loads(path.read_text())]


def measure(ref: StageRef) -> Measure:
    """Say what a stage ranks by."""
    return Measure(
        name=PHYSICAL_MEASURE if ref.stage.results == "entered" else MEASURE,
        digits=ref.stage.rounding,
    )


def _computed_row(
    ref: StageRef,
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
        return _unscored_row(team, judged[-1], verdicts[judged[-1].id], len(receipts))
    # Receipts come in the order they were received, and of equally good ones the first counts.
    counting = max(scored, key=lambda receipt: scores[receipt.id].value) if ref.stage.entries == "best" else scored[-1]
    score, run = scores[counting.id], verdicts[counting.id]
    state, code, reason = _reviewed(ref, review if review and review.content["submission"] == counting.id else None)
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
            Past(receipt.received_at, scores[receipt.id].value) for receipt in scored if receipt.id != counting.id
        ),
    )


def _unscored_row(team: str, receipt: Receipt, run: Run, submissions: int) -> Entry:
    """Say why a team has no score; what went wrong on our side is told as ours, without its inside."""
    state: State = "failed"
    code, reason = PLATFORM_FAULT, "Our fault: the attempt was given back and an operator is told."
    if run.state in {"refused", "failed"}:
        state = "refused" if run.state == "refused" else "failed"
        code, reason = run.code or run.state.upper(), run.message or ""
    elif run.state == "cancelled":
        state, code, reason = "withdrawn", "CANCELLED", "Cancelled by an operator."
    return Entry(
        team=team,
        submission=receipt.id,
        state=state,
        submitted_at=receipt.received_at,
        evaluated_at=run.finished_at,
        reason_code=code,
        reason=reason,
        submissions=submissions,
    )


def _reviewed(ref: StageRef, review: Review | None) -> tuple[State, str, str]:
    verdict = review.content.get("verdict") if review else None
    if verdict == "fail":
        note = str(review.content.get("note") or "The experts did not pass this entry.") if review else ""
        return "disqualified", "REVIEW_FAILED", note
    if ref.stage.review == "required" and verdict != "pass":
        return "awaiting-review", "REVIEW_PENDING", "The experts have not judged this entry yet."
    return "scored", "", ""


def _entered_row(team: str, receipt: Receipt, review: Review | None, version: str) -> Entry:
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
    physical = score_physical(review.content)
    if physical.value is None:
        return row("void", physical.code, physical.reason)
    names = {"deceived": "targets deceived", "targets": "targets", "area_cm2": "area, cm²"}
    parts = [Part(shown, review.content[name]) for name, shown in names.items()]
    return row("scored", "", "", physical.value, parts)
