"""Check the archive against the rules and keep its pixels: nothing later opens a participant's file again."""

import json
from pathlib import Path

import numpy as np

from aisc.identity import Plan
from aisc.stages.once import once
from aisc.stages.reference import stage_pairs
from aisc.tracks.face import FaceLimits, check_images
from aisc.workbench import Workbench

ACCEPTED = "accepted"
REFUSED = "refused"


def validate_submission(
    bench: Workbench, run_key: str, *, archive: Path, content: Path, verdicts: Path, findings: Path
) -> str:
    """Decode, compare with the originals, count patches and area.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        archive: The zip as received.
        content: Gets the pixels, ``.npy`` uint8 (n, 112, 112, 3) RGB.
        verdicts: Gets the pixel rules' verdict on every image, ``.npy`` of ``IMAGE_DTYPE``.
        findings: Gets the findings, JSON.

    Returns:
        ``accepted`` or ``refused``.
    """

    def work(plan: Plan) -> str:
        originals = stage_pairs(bench, plan.version.data).originals
        pixels = np.lib.format.open_memmap(content, mode="w+", dtype=np.uint8, shape=originals.shape)
        limits = FaceLimits.model_validate(plan.version.limits)
        report = check_images(archive, originals, pixels, limits)
        pixels.flush()
        with verdicts.open("wb") as file:
            np.save(file, report.images)
        findings.write_text(json.dumps(report.findings.as_json(), indent=2))
        return REFUSED if report.findings.refused else ACCEPTED

    outputs = {"content": content, "verdicts": verdicts, "findings": findings}
    return once(bench, run_key, "validate_submission", outputs, work)
