"""What every submission of a face stage is compared with: decoded pairs, and what victims say of the clean ones."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.face_pairs import FacePairs, decode_pairs, open_pairs
from aisc.evaluations.assets import stage_data
from aisc.identity import Asset, Version
from aisc.victims.verifier import FaceVerifier, decide
from aisc.workbench import Workbench


class Reference(NamedTuple):
    """A victim's view of the clean pairs.

    Attributes:
        compares: Embeddings of the comparison images, float32 (n, d).
        clean: Whether the victim takes the unchanged image for the other person, bool (n,): its false accepts.
    """

    compares: NDArray[np.float32]
    clean: NDArray[np.bool_]


def stage_pairs(bench: Workbench, version: Version) -> FacePairs:
    """Give the pairs of a stage, decoded once a machine."""
    data = stage_data(version)
    source = bench.asset(data)
    return open_pairs(bench.cached(f"pairs-{data.sha256}", lambda folder: decode_pairs(source, folder)))


def reference(bench: Workbench, version: Version, victim: Asset, verifier: FaceVerifier | None = None) -> Reference:
    """Give a victim's reference, computed once a stage: half of all forward passes, and the clean control.

    Args:
        bench: Ledger, store and cache.
        version: The stage's version.
        victim: One of its victims.
        verifier: The opened victim, when the caller has it already.
    """
    pairs = stage_pairs(bench, version)

    def make(target: Path) -> None:
        model = verifier or bench.victims.open_verifier(bench.asset(victim))
        compares = model.embed(pairs.compares)
        clean = decide(model.embed(pairs.originals), compares, model.description.threshold)
        with target.open("wb") as file:
            np.savez(file, compares=compares, clean=clean)

    inputs = {"data": stage_data(version).sha256, "victim": victim.sha256, "code": version.code}
    with np.load(bench.derived("reference.npz", inputs, make)) as arrays:
        return Reference(arrays["compares"], arrays["clean"])
