"""End a run: the team's bundle, the organizers' evidence, and the verdict in one transaction."""

import json
import tempfile
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.identity import Plan
from aisc.leaderboard.board import Bound, Measure
from aisc.leaderboard.bundle import write_bundle
from aisc.leaderboard.entry import Entry, Interval, Part, State
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Receipt
from aisc.stages.once import noting_faults
from aisc.submission.findings import Finding, Findings
from aisc.workbench import Workbench, pack

STEP = "publish_result"


def bundle_key(team_id: str, run_key: str) -> str:
    """Name a team's bundle in the store: everything of a team lies under the team's own prefix."""
    return f"results/{team_id}/{run_key}.tar"


def publish_result(
    bench: Workbench, run_key: str, *, content: Path, verdicts: Path, findings: Path, scores: Path | None
) -> None:
    """Write what the team and the organizers receive, then the verdict.

    Everything written before the verdict depends on the run alone, so a second attempt writes the same bytes.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        content: What was kept of the submission.
        verdicts: The rules' verdicts.
        findings: Findings, JSON.
        scores: The score, JSON; ``None`` for a refused submission.
    """
    state = bench.ledger.runs.begin_step(run_key, STEP, bench.attempt)
    if state.finished_at is not None:
        return
    with noting_faults(bench, run_key, state):
        plan = bench.ledger.runs.plan(run_key)
        found = read_findings(findings)
        score = Score(**json.loads(scores.read_text())) if scores else None
        receipt = bench.ledger.submissions.get(plan.submission.name)
        code, message = _verdict(found)
        stage = plan.version.stage_name
        evaluation = evaluation_of(plan.version.rules)
        told = evaluation.told(bench, plan.version, Checked(content, verdicts))
        void = evaluation.void(score, plan.version.limits) if score else None
        if void is not None:
            code, message = void
        otherwise: State = "void" if void else "failed" if told.failed else "refused"
        shown = None if void else score
        with tempfile.TemporaryDirectory() as scratch:
            bundle, archive = Path(scratch, "bundle"), Path(scratch, "bundle.tar")
            write_bundle(
                bundle,
                season=plan.season,
                track=plan.version.track,
                stage=stage,
                entry=_entry(plan, receipt, shown, otherwise, code, message),
                measure=Measure(
                    name=evaluation.measure(stage),
                    higher_is_better=evaluation.higher_is_better(stage),
                    digits=plan.digits,
                ),
                version=Bound.of(plan.version) if shown else None,
                findings=found,
                images=told.items,
                pictures=told.pictures,
            )
            pack(bundle, archive)
            key = bundle_key(bench.ledger.teams.find(receipt.team).id, run_key)
            bench.store.put(key, archive)
        verdict = "scored" if score else "failed" if told.failed else "refused"
        bench.ledger.runs.finish(
            run_key,
            STEP,
            verdict,
            attempt=state.attempt,
            code=code,
            message=message,
            result_key=key,
            score=score,
        )


def read_findings(path: Path) -> Findings:
    """Read findings as ``validate_submission`` wrote them."""
    value = json.loads(path.read_text())
    return Findings(
        listed=[Finding(**finding) for finding in value["findings"]],
        counts=value["counts"],
        refused=value["refused"],
    )


def _verdict(findings: Findings) -> tuple[str, str]:
    """Say why a submission is refused, by its first grave finding; two empty texts for an accepted one."""
    grave = [finding for finding in findings.listed if finding.effect == "refused"]
    if not findings.refused or not grave:
        return "", ""
    where = f"{grave[0].where}: " if grave[0].where else ""
    more = sum(findings.counts[code] for code in {finding.code for finding in grave}) - 1
    return grave[0].code, f"{where}{grave[0].message}" + (f" And {more} more." if more else "")


def _entry(plan: Plan, receipt: Receipt, score: Score | None, otherwise: State, code: str, message: str) -> Entry:
    return Entry(
        team=receipt.team,
        submission=receipt.id,
        state="scored" if score else otherwise,
        submitted_at=receipt.received_at,
        score=score.value if score else None,
        interval=Interval(score.low, score.high) if score else None,
        version=plan.version.sha256 if score else "",
        reason_code=code,
        reason=message,
        parts=tuple(Part(name, value) for name, value in score.parts.items()) if score else (),
    )
