"""The organizers' view of a run: every victim's answer to every item. Never part of what a team receives."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.stages.once import step_key
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd


def evidence_table(bench: Workbench, run_key: str) -> "pd.DataFrame":
    """Give one row an item, with every victim's answer to it.

    Raises:
        UsageError: ``EVIDENCE_MISSING`` for a run that ended before its answers were there.
    """
    plan = bench.ledger.runs.plan(run_key)
    finished = {step.name: step.outputs for step in bench.ledger.runs.steps(run_key) if step.outputs}
    evaluation = evaluation_of(plan.version.rules)
    missing = {step for step, _ in evaluation.evidence_files.values()} - finished.keys()
    if missing:
        raise UsageError(
            "EVIDENCE_MISSING",
            f"Run {run_key[:12]} never finished {min(missing)}.",
            "'aisc status' tells why it ended.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        paths = {}
        for use, (step, name) in evaluation.evidence_files.items():
            paths[use] = Path(scratch, use)
            bench.store.fetch(step_key(run_key, step, finished[step]["attempt"], name), paths[use])
        checked = Checked(paths["content"], paths["verdicts"])
        return evaluation.evidence(bench, plan.version, checked, paths["answers"])
