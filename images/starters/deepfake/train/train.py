"""Train the network of a method and write it as ONNX.

    python train/train.py TRAIN_FOLDER --method fused-novelty --out weights

README.md in the folder above says what each method does. One thread; the same folder, seed and PyTorch build give the
same network.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# Before NumPy and scikit-learn start their threads: one thread each, so that results do not depend on the machine.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from album import NAMELESS, Album, read_album
from calibrate import calibrate
from export import export
from lesson import describe
from network import FingerprintNetwork
from pool import Pool, make_pool
from recipes import RECIPES, Material, supervised

SHARED = "supervised.pt"
"""State of the network that most recipes start from."""


def main(arguments: list[str] | None = None) -> int:
    """Train what was asked for; 0 when all is written."""
    options = _parse(arguments)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    album = read_album(options.folder)
    print(f"{len(album.pixels)} pictures, {(album.classes == NAMELESS).sum()} without a name, {album.methods}")
    options.out.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    workshop = _Workshop(album, options.work, options.seed)
    for method in RECIPES if options.method == "all" else (options.method,):
        begun = time.process_time()
        print(method, flush=True)
        network = workshop.basic() if method == "supervised" else RECIPES[method](workshop.material)
        export(network, options.out / f"{method}.onnx")
        if method == "fused-novelty":
            _write_fusion(network, workshop, options.out)
        print(f"{method}: {time.process_time() - begun:.0f} CPU s", flush=True)
    return 0


class _Workshop:
    """What methods share: the pools, and the network that learned the named methods; kept for the next run."""

    def __init__(self, album: Album, work: Path, seed: int) -> None:
        self._work = work
        self._pools: dict[bool, Pool] = {}
        self.material = Material(album, self._pool, self.basic, seed)

    def _pool(self, stretch: bool) -> Pool:
        if stretch not in self._pools:
            keep = self._work / ("spectra-stretched.npy" if stretch else "spectra.npy")
            self._pools[stretch] = make_pool(self.material.album.pixels, self.material.seed, stretch=stretch, keep=keep)
        return self._pools[stretch]

    def basic(self) -> FingerprintNetwork:
        """Give the network that learned the named methods: from an earlier run, or learned now and kept."""
        kept = self._work / SHARED
        if not kept.exists():
            torch.save(supervised(self.material).state_dict(), kept)
        network = FingerprintNetwork()
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()


def _write_fusion(network: FingerprintNetwork, workshop: _Workshop, out: Path) -> None:
    album = workshop.material.album
    features = describe(network, workshop.material.pool(False))
    fusion = calibrate(features, album.classes, workshop.material.seed)
    print(f"  weight of kNN, cluster and LOF: {fusion.weights[0]:.3f} each, bias {fusion.bias:.3f}")
    np.savez(out / "fused-novelty.npz", **fusion._asdict())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the network of a method.")
    parser.add_argument("folder", type=Path, metavar="TRAIN_FOLDER", help="folder with images/ and labels.csv")
    parser.add_argument("--method", choices=[*RECIPES, "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="where the ONNX files go (weights)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="keeps what methods share (work)")
    parser.add_argument("--seed", type=int, default=0, help="fixes everything that is drawn (0)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
