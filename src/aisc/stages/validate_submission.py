"""Check the archive against the rules and keep what counts: nothing later opens a participant's file again."""

import json
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench

ACCEPTED = "accepted"
REFUSED = "refused"


def validate_submission(
    bench: Workbench, run_key: str, *, archive: Path, content: Path, verdicts: Path, findings: Path
) -> str:
    """Check a submission as its track's rules say.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        archive: The submission as received.
        content: Gets what the victims will see.
        verdicts: Gets the rules' verdict on every item.
        findings: Gets the findings, JSON.

    Returns:
        ``accepted`` or ``refused``.
    """

    def work(plan: Plan) -> str:
        found = evaluation_of(plan.version.rules).validate(bench, plan, archive, Checked(content, verdicts))
        findings.write_text(json.dumps(found.as_json(), indent=2))
        return REFUSED if found.refused else ACCEPTED

    outputs = {"content": content, "verdicts": verdicts, "findings": findings}
    return once(bench, run_key, "validate_submission", outputs, work)
