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

_FILES = (
    ("validate_submission", "content"),
    ("validate_submission", "verdicts"),
    ("query_victims", "answers"),
)


def evidence_table(bench: Workbench, run_key: str) -> "pd.DataFrame":
    """Give one row an item, with every victim's answer to it.

    Raises:
        UsageError: ``EVIDENCE_MISSING`` for a run that asked no victim.
    """
    plan = bench.ledger.runs.plan(run_key)
    finished = {step.name: step.outputs for step in bench.ledger.runs.steps(run_key) if step.outputs}
    if "query_victims" not in finished:
        raise UsageError("EVIDENCE_MISSING", f"Run {run_key[:12]} asked no victim.", "It was refused before that.")
    with tempfile.TemporaryDirectory() as scratch:
        paths = {}
        for step, name in _FILES:
            paths[name] = Path(scratch, name)
            bench.store.fetch(step_key(run_key, step, finished[step]["attempt"], name), paths[name])
        checked = Checked(paths["content"], paths["verdicts"])
        return evaluation_of(plan.version.rules).evidence(bench, plan.version, checked, paths["answers"])
