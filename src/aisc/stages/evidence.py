"""The organizers' view of a run: every victim's answer to every image. Never part of what a team receives."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from aisc.errors import UsageError
from aisc.stages.once import step_key
from aisc.submission.images import Status, image_names
from aisc.workbench import Workbench


def evidence_table(bench: Workbench, run_key: str) -> pd.DataFrame:
    """Give one row an image: status, patches, area, and for every victim whether it was deceived, now and when clean.

    Raises:
        UsageError: ``EVIDENCE_MISSING`` for a run that asked no victim.
    """
    plan = bench.ledger.runs.plan(run_key)
    finished = {step.name: step.outputs for step in bench.ledger.runs.steps(run_key) if step.outputs}
    if "query_victims" not in finished:
        raise UsageError("EVIDENCE_MISSING", f"Run {run_key[:12]} asked no victim.", "It was refused before that.")
    with tempfile.TemporaryDirectory() as scratch:
        paths = {}
        for step, name in (("validate_submission", "verdicts"), ("query_victims", "answers")):
            paths[name] = Path(scratch, name)
            bench.store.fetch(step_key(run_key, step, finished[step]["attempt"], name), paths[name])
        images = np.load(paths["verdicts"])
        with np.load(paths["answers"]) as arrays:
            same, clean = arrays["same"], arrays["clean"]
    columns: dict[str, object] = {
        "image": image_names(len(images)),
        "status": [Status(status).name.lower() for status in images["status"].tolist()],
        "patches": images["patches"],
        "patches_8": images["patches_8"],
        "area_px": images["area"],
    }
    for row, victim in enumerate(plan.version.victims):
        columns[f"{victim.name}_deceived"] = same[row]
        columns[f"{victim.name}_clean"] = clean[row]
    return pd.DataFrame(columns)
