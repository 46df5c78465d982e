"""Turn the victims' answers into the score, its interval and its parts."""

import json
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench


def compute_metrics(
    bench: Workbench, run_key: str, *, content: Path, verdicts: Path, answers: Path, scores: Path
) -> dict[str, float | int]:
    """Score a submission.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        content: What the victims saw.
        verdicts: The rules' verdicts.
        answers: The victims' answers.
        scores: Gets the score, JSON: ``value``, ``low``, ``high``, ``parts``.

    Returns:
        The score and its parts by name, for the pipeline's own page.
    """

    def work(plan: Plan) -> None:
        evaluation = evaluation_of(plan.version.rules)
        score = evaluation.score(bench, plan.version, Checked(content, verdicts), answers)
        scores.write_text(json.dumps(score._asdict(), indent=2))

    once(bench, run_key, "compute_metrics", {"scores": scores}, work)
    written = json.loads(scores.read_text())
    return {"score": written["value"], **written["parts"]}
