"""Run a participant's program in the sandbox and keep what it said."""

import json
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench

COMPLETED = "completed"
FAILED = "failed"


def run_submission(
    bench: Workbench, run_key: str, *, archive: Path, content: Path, verdicts: Path, findings: Path
) -> str:
    """Run the program of a submission on the stage's inputs.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        archive: The image's archive as received, admitted by its digest.
        content: Gets what the program said, checked and read.
        verdicts: Gets the record of the run: the sandbox's verdict and its evidence, for organizers.
        findings: Gets the findings, JSON, as the team may read them.

    Returns:
        ``completed`` when there are answers to score, else ``failed``.
    """

    def work(plan: Plan) -> str:
        found = evaluation_of(plan.version.rules).run(bench, plan, archive, Checked(content, verdicts))
        findings.write_text(json.dumps(found.as_json(), indent=2))
        return FAILED if found.refused else COMPLETED

    outputs = {"content": content, "verdicts": verdicts, "findings": findings}
    return once(bench, run_key, "run_submission", outputs, work)
