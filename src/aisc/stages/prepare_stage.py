"""Compute once what every submission of a stage is compared with."""

import json

from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.workbench import Workbench


def prepare_stage(bench: Workbench, stage: str) -> None:
    """Compute the references of a stage's pinned version before the first run needs them.

    Raises:
        UsageError: ``STAGE_NOT_SWEPT``.
    """
    version = bench.ledger.stages.pinned(stage)
    if version is None:
        raise UsageError(
            "STAGE_NOT_SWEPT", f"Nothing of {stage} was queued yet.", f"Run 'aisc round run {stage}' first."
        )
    if version.data is not None:
        evaluation_of(version.rules).prepare(
            bench, version, lambda facts: print(json.dumps({"stage": stage} | facts), flush=True)
        )
