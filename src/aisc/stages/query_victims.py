"""Ask every victim whether it takes the changed image for the other person."""

from pathlib import Path

import numpy as np

from aisc.identity import Plan
from aisc.stages.once import once
from aisc.stages.reference import reference
from aisc.submission.images import is_legal
from aisc.victims.verifier import decide, open_verifier
from aisc.workbench import Workbench


def query_victims(bench: Workbench, run_key: str, *, content: Path, verdicts: Path, answers: Path) -> None:
    """Embed the images that obey the pixel rules and compare them with the references.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        content: Pixels, ``.npy`` uint8 (n, 112, 112, 3) RGB.
        verdicts: Verdicts of the pixel rules; an image that failed there is not shown to a victim.
        answers: Gets ``same`` and ``clean``, bool (victims, n), ``.npz``.
    """

    def work(plan: Plan) -> None:
        pixels = np.load(content, mmap_mode="r")
        legal = np.flatnonzero(is_legal(np.load(verdicts)))
        victims = plan.version.victims
        same = np.zeros((len(victims), len(pixels)), dtype=np.bool_)
        clean = np.zeros_like(same)
        shown = pixels if len(legal) == len(pixels) else pixels[legal]
        for row, victim in enumerate(victims):
            verifier = open_verifier(bench.asset(victim))
            known = reference(bench, plan.version, victim, verifier)
            same[row, legal] = decide(verifier.embed(shown), known.compares[legal], verifier.description.threshold)
            clean[row] = known.clean
            print(f"{victim.name}: {len(legal)} images compared", flush=True)
        with answers.open("wb") as file:
            np.savez(file, same=same, clean=clean)

    once(bench, run_key, "query_victims", {"answers": answers}, work)
