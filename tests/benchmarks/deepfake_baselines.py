"""How good the deepfake starters are, and whether they order as theory says: prints a table, ends with 1 if not.

    python tests/benchmarks/deepfake_baselines.py --seeds 101 102 103

For every seed a preliminary and a final are made. The order that must hold in each: random < untrained < supervised <
everything that learns from unlabelled pictures too; over all finals together, the fused novelty of ``fused-novelty`` is
at least as good as each single measure of the same features.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

STARTER = Path(__file__).parents[2] / "images" / "starters" / "deepfake"
sys.path.insert(0, str(STARTER))

import features  # noqa: E402 - the starter's own modules
import neighbours  # noqa: E402
import novelty  # noqa: E402
from task import read_task  # noqa: E402

from aisc.datasets.forgery_sets import open_forgery_set  # noqa: E402
from aisc.metrics.novelty import novelty_auc  # noqa: E402
from aisc.metrics.precision_at_k import precision_at_k  # noqa: E402
from aisc.synthetic.forgeries import make_task  # noqa: E402

SEMI_SUPERVISED = ("fused-novelty", "pseudo-entropy", "clean-merge", "range-extra-class", "centre-spectral")
METHODS = ("random", "untrained", "supervised", *SEMI_SUPERVISED)


class Scored:
    """One starter on one task: precision at 5, and the area under the curve of each single measure and the fusion."""

    def __init__(self, method: str, folder: Path) -> None:
        task, hidden = read_task(folder), open_forgery_set(folder)
        pairs = ((task.probes, hidden.task.probes), (task.gallery, hidden.task.gallery))
        order = [[names.index(name) for name in part.names] for part, names in pairs]
        new = hidden.truth.new[order[0]]
        if method == "random":
            similarities = neighbours.by_chance(task.probes.digests, len(task.gallery.names))
        else:
            weights = STARTER / "weights" / f"{method}.onnx"
            probes, gallery = (
                features.embed(weights, part.pixels, lambda n: None) for part in (task.probes, task.gallery)
            )
            similarities = neighbours.cosine(probes, gallery)
        found = neighbours.most_similar(similarities, task.neighbours).indices
        labels = hidden.truth.gallery[order[1]][found[~new]]
        self.precision = precision_at_k(labels, hidden.truth.probes[order[0]][~new]).score
        self.auc: dict[str, float] = {}
        if method == "fused-novelty" and new.any():
            kept = np.load(STARTER / "weights" / f"{method}.npz")
            fusion = novelty.Fusion(kept["weights"], float(kept["bias"]), int(kept["clusters"]))
            measures = novelty.measure(probes, gallery, fusion.clusters)
            self.auc = {name: novelty_auc(values, new) for name, values in measures._asdict().items()}
            self.auc["fused"] = novelty_auc(novelty.fuse(measures, fusion), new)


def main() -> int:
    """Score every starter on every task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    options = parser.parse_args()
    wrong, areas = [], []
    for seed in options.seeds:
        for stage, probes in (("preliminary", 500), ("final", 600)):
            with tempfile.TemporaryDirectory() as folder:
                make_task(Path(folder), stage, probes=probes, gallery=400, seed=seed, jobs=2)
                scores = {method: Scored(method, Path(folder)) for method in METHODS}
            print(
                f"{stage} {seed}: " + ", ".join(f"{name} {one.precision:.3f}" for name, one in scores.items()),
                flush=True,
            )
            random, untrained, supervised, *others = (scores[name].precision for name in METHODS)
            if not random < untrained < supervised < min(others):
                wrong.append(f"{stage} {seed}")
            if stage == "final":
                areas.append(scores["fused-novelty"].auc)
    means = {name: float(np.mean([area[name] for area in areas])) for name in areas[0]}
    print("novelty AUC of fused-novelty, mean over the finals: " + ", ".join(f"{n} {v:.3f}" for n, v in means.items()))
    if means["fused"] < max(means.values()):
        wrong.append("fusion")
    print(f"order broken: {', '.join(wrong)}" if wrong else "the order holds everywhere")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
