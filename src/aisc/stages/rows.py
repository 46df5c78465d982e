"""Rows of a board that any stage may have: without a score, or waiting for the experts."""

from aisc.leaderboard.entry import Entry, State
from aisc.ledger.competition import Review
from aisc.ledger.runs import Run
from aisc.ledger.submissions import Receipt
from aisc.season import StageRef

PLATFORM_FAULT = "PLATFORM_FAULT"


def unscored_row(team: str, receipt: Receipt, run: Run, submissions: int) -> Entry:
    """Say why a team has no score; what went wrong on our side is told as ours, without its inside."""
    state: State = "failed"
    code, reason = PLATFORM_FAULT, "Our fault: the attempt was given back and an operator is told."
    if run.state in {"refused", "failed"}:
        state = "refused" if run.state == "refused" else "failed"
        code, reason = run.code or run.state.upper(), run.message or ""
    elif run.state == "cancelled":
        state, code, reason = "withdrawn", "CANCELLED", "Cancelled by an operator."
    return scoreless_row(state, team, receipt, run, submissions, code, reason)


def scoreless_row(
    state: State, team: str, receipt: Receipt, run: Run, submissions: int, code: str, reason: str
) -> Entry:
    """Say why a team has no place, by a code and in words."""
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


def reviewed(ref: StageRef, review: Review | None) -> tuple[State, str, str]:
    """Give a scored entry's state by what the experts said of it, and a code and a reason where it is not ranked."""
    verdict = review.content.get("verdict") if review else None
    if verdict == "fail":
        note = str(review.content.get("note") or "The experts did not pass this entry.") if review else ""
        return "disqualified", "REVIEW_FAILED", note
    if ref.stage.review == "required" and verdict != "pass":
        return "awaiting-review", "REVIEW_PENDING", "The experts have not judged this entry yet."
    return "scored", "", ""
