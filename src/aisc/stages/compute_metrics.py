"""Turn the victims' answers into the score, its interval and its parts."""

import json
from pathlib import Path

import numpy as np

from aisc.identity import Plan
from aisc.stages.once import once
from aisc.submission.images import is_legal
from aisc.tracks.face import score_images
from aisc.workbench import Workbench


def compute_metrics(
    bench: Workbench, run_key: str, *, verdicts: Path, answers: Path, scores: Path
) -> dict[str, float | int]:
    """Score a submission.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        verdicts: Verdicts of the pixel rules.
        answers: The victims' answers.
        scores: Gets the score, JSON: ``value``, ``low``, ``high``, ``parts``.

    Returns:
        The score and its parts by name, for the pipeline's own page.
    """

    def work(plan: Plan) -> None:
        legal = is_legal(np.load(verdicts))
        names = [victim.name for victim in plan.version.victims]
        with np.load(answers) as arrays:
            score = score_images(arrays["same"], legal, arrays["clean"], names, plan.version.seed)
        scores.write_text(json.dumps(score._asdict(), indent=2))

    once(bench, run_key, "compute_metrics", {"scores": scores}, work)
    written = json.loads(scores.read_text())
    return {"score": written["value"], **written["parts"]}
