"""What the probes cost, against the bare loop of forward and backward passes over the same pictures.

Run: ``python tests/benchmarks/probes.py [--pictures 128] [--least 0.8]``. Prints pictures a second of both and the
ratio for each probe, and exits with 1 if a ratio is under ``--least``. Both sides take turns on one thread, so that a
busy machine slows both alike. The bare loop is always torch's own network; the probes are run on that one, as for
transfer, and on the same network handed over as ONNX, as white box.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisc.attacks.objectives import away_from
from aisc.attacks.projected import BATCH, PROBES, Probe, attack_pictures
from aisc.victims.builtin import builtin_package
from aisc.victims.classifier_models import export_classifier, load_classifier
from aisc.victims.classifier_package import load_classifier_package
from aisc.victims.model_worker import BATCH as WHITE_BOX_BATCH
from aisc.victims.submitted_model import read_submitted

ROUNDS = 5


def bare_loop(model: nn.Module, pictures: NDArray[np.uint8], people: NDArray[np.int64], probe: Probe) -> None:
    """Go as many forward and backward passes as the probe does, and nothing else."""
    for at in range(0, len(pictures), BATCH):
        images = torch.from_numpy(pictures[at : at + BATCH]).permute(0, 3, 1, 2).float().requires_grad_()
        goals = torch.from_numpy(people[at : at + BATCH])
        for _ in range(probe.steps):
            torch.autograd.grad(away_from(model(images), goals), images)


def compare(
    network: nn.Module,
    probed: nn.Module,
    batch: int,
    pictures: NDArray[np.uint8],
    people: NDArray[np.int64],
    probe: Probe,
) -> tuple[float, float]:
    """Give pictures a second of the bare loop over a network, and of a probe on the same network in another form."""
    bare, own = [], []
    for _ in range(ROUNDS):
        begin = time.process_time()
        bare_loop(network, pictures, people, probe)
        middle = time.process_time()
        attack_pictures(probed, away_from, pictures, people, probe, batch=batch)
        bare.append(middle - begin)
        own.append(time.process_time() - middle)
    return len(pictures) / statistics.median(bare), len(pictures) / statistics.median(own)


def main() -> int:
    """Print the figures; 1 if a probe is too slow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--least", type=float, default=0.8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    package = load_classifier_package(builtin_package("reid-undefended"))
    network = load_classifier(package)
    with tempfile.TemporaryDirectory() as folder:
        _, graph = export_classifier(package, Path(folder))
        handed = read_submitted(graph.read_bytes(), package.description.outputs)
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (options.pictures, 112, 112, 3), dtype=np.uint8)
    people = rng.integers(0, 100, options.pictures)
    slow = False
    for kind, probed, batch in (("transfer", network, BATCH), ("white box", handed, WHITE_BOX_BATCH)):
        for probe in PROBES:
            bare, own = compare(network, probed, batch, pictures, people, probe)
            slow |= own / bare < options.least
            rates = f"bare loop {bare:.0f} pictures/s, probe {own:.0f} pictures/s, ratio {own / bare:.2f}"
            print(f"{kind}, {probe.name}: {rates}", flush=True)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
