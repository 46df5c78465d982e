"""What the probes cost, against the bare loop of forward and backward passes over the same pictures.

Run: ``python tests/benchmarks/probes.py [--pictures 128] [--least 0.8]``. Prints pictures a second of both and the
ratio for each probe, and exits with 1 if a ratio is under ``--least``. Both sides take turns on one thread, so that a
busy machine slows both alike.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisc.attacks.objectives import away_from
from aisc.attacks.projected import BATCH, PROBES, Probe, attack_pictures
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_package import builtin_classifier, load_classifier_package

ROUNDS = 5


def bare_loop(model: nn.Module, pictures: NDArray[np.uint8], people: NDArray[np.int64], probe: Probe) -> None:
    """Go as many forward and backward passes as the probe does, and nothing else."""
    for at in range(0, len(pictures), BATCH):
        images = torch.from_numpy(pictures[at : at + BATCH]).permute(0, 3, 1, 2).float().requires_grad_()
        goals = torch.from_numpy(people[at : at + BATCH])
        for _ in range(probe.steps):
            torch.autograd.grad(away_from(model(images), goals), images)


def main() -> int:
    """Print the figures; 1 if a probe is too slow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--least", type=float, default=0.8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_classifier(load_classifier_package(builtin_classifier("reid-undefended")))
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (options.pictures, 112, 112, 3), dtype=np.uint8)
    people = rng.integers(0, 100, options.pictures)
    slow = False
    for probe in PROBES:
        bare, own = [], []
        for _ in range(ROUNDS):
            begin = time.process_time()
            bare_loop(model, pictures, people, probe)
            middle = time.process_time()
            attack_pictures(model, away_from, pictures, people, probe)
            bare.append(middle - begin)
            own.append(time.process_time() - middle)
        ratio = statistics.median(bare) / statistics.median(own)
        slow |= ratio < options.least
        rates = [options.pictures / statistics.median(times) for times in (bare, own)]
        print(f"{probe.name}: bare loop {rates[0]:.0f} pictures/s, probe {rates[1]:.0f} pictures/s, ratio {ratio:.2f}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
