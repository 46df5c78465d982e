"""Baselines of the deepfake track: from a task folder to `result.csv`.

    python run.py --method fused-novelty --input /input --output /output

README.md beside this file says what each method does and how well it did.
"""

import argparse
import csv
import os
import sys
import time
from pathlib import Path

# Before NumPy starts its threads: they would wait for each other where only one core may be used.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import novelty
import numpy as np
from features import Features, embed
from neighbours import Neighbours, Similarities, by_chance, cosine, most_similar
from novelty import Fusion, Scores
from numpy.typing import NDArray
from task import Task, read_task

WEIGHTS = Path(__file__).parent / "weights"
METHODS = (
    "fused-novelty",
    "pseudo-entropy",
    "clean-merge",
    "range-extra-class",
    "centre-spectral",
    "supervised",
    "untrained",
    "random",
)
CLUSTERS = 80
"""Centres of the gallery for methods that measure the distance to the nearest one."""


def main(arguments: list[str] | None = None) -> int:
    """Answer one task; 0 when the result is written."""
    options = _parse(arguments)
    started = time.monotonic()
    task = read_task(options.input)
    print(f"{options.method}: {len(task.probes.names)} probes, {len(task.gallery.names)} in the gallery", flush=True)
    if options.method == "random":
        similarities, news = _guess(task)
    else:
        similarities, news = _compare(task, options.method)
    options.output.mkdir(parents=True, exist_ok=True)
    target = options.output / task.result
    write_result(target, task, most_similar(similarities, task.neighbours), news if task.novelty else None)
    print(f"{target}: {len(task.probes.names)} rows in {time.monotonic() - started:.1f} s", flush=True)
    return 0


def _guess(task: Task) -> tuple[Similarities, Scores]:
    return by_chance(task.probes.digests, len(task.gallery.names)), by_chance(task.probes.digests, 1)[:, 0]


def _compare(task: Task, method: str) -> tuple[Similarities, Scores]:
    progress = _Progress(len(task.probes.names) + len(task.gallery.names))
    probes, gallery = (embed(WEIGHTS / f"{method}.onnx", part.pixels, progress) for part in (task.probes, task.gallery))
    return cosine(probes, gallery), judge(method, probes, gallery) if task.novelty else np.zeros(len(probes))


def judge(method: str, probes: Features, gallery: Features) -> Scores:
    """Give the probability that each probe's generator is new, `(n,)` in [0, 1], as the method sees it."""
    if method == "fused-novelty":
        fusion = _read_fusion(WEIGHTS / f"{method}.npz")
        return novelty.fuse(novelty.measure(probes, gallery, fusion.clusters), fusion)
    if method == "pseudo-entropy":
        return novelty.centre_entropy(probes, gallery)
    measures = novelty.measure(probes, gallery, CLUSTERS)
    return novelty.logistic(measures.cluster if method == "centre-spectral" else measures.knn)


def write_result(target: Path, task: Task, found: Neighbours, news: NDArray[np.float64] | None) -> None:
    """Write the table: a row a probe, in the order of the probes' names."""
    ranks = range(1, task.neighbours + 1)
    header = ["probe", *(f"g{rank}" for rank in ranks), *(f"s{rank}" for rank in ranks)]
    with target.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header if news is None else [*header, "novelty"])
        for place in np.argsort(task.probes.names):
            names = [task.gallery.names[one] for one in found.indices[place]]
            numbers = [f"{value:.6f}" for value in found.similarities[place]]
            last = [] if news is None else [f"{news[place]:.6f}"]
            table.writerow([task.probes.names[place], *names, *numbers, *last])


def _read_fusion(path: Path) -> Fusion:
    with np.load(path) as kept:
        return Fusion(kept["weights"], float(kept["bias"]), int(kept["clusters"]))


class _Progress:
    """Say after every fifth of the pictures how far it is."""

    def __init__(self, total: int) -> None:
        self._done, self._total = 0, total

    def __call__(self, count: int) -> None:
        fifths = 5 * self._done // self._total
        self._done += count
        if 5 * self._done // self._total > fifths:
            print(f"features: {self._done}/{self._total} pictures", flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    surroundings = os.environ
    parser = argparse.ArgumentParser(description="Baselines of the deepfake track.")
    parser.add_argument("--method", choices=METHODS, default=surroundings.get("APP_METHOD", METHODS[0]))
    parser.add_argument("--input", type=Path, default=Path(surroundings.get("AISC_INPUT", "/input")))
    parser.add_argument("--output", type=Path, default=Path(surroundings.get("AISC_OUTPUT", "/output")))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
