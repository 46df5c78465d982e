"""Compute the attacked images that a defence is shown: once for all submissions of a stage."""

import json
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench


def perturb_images(bench: Workbench, run_key: str, *, probes: Path) -> None:
    """Make sure that the attacked images are there before a program is run on them.

    Args:
        bench: Ledger, store and cache; the images are kept in the store under the digest of what they are made of.
        run_key: The run.
        probes: Gets the settings and the size of the changes, JSON.
    """

    def work(plan: Plan) -> None:
        facts = evaluation_of(plan.version.rules).perturb(bench, plan.version)
        probes.write_text(json.dumps(facts, indent=2))

    once(bench, run_key, "perturb_images", {"probes": probes}, work)
