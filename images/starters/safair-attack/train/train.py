"""Train the surrogate of `own-pgd` and write its weights.

    python train/train.py --kit KIT --out weights

README.md in the folder above says what each method does. One thread; the same kit and PyTorch build give the same
weights.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from faces import read_faces
from lesson import Lesson, teach
from network import save

LESSON = Lesson(epochs=10, plain=5, steps=2, seed=11)
"""As hard as a defence would train: what deceives such a classifier deceives another one of its kind."""


def main(arguments: list[str] | None = None) -> int:
    """Train the surrogate of a kit's task; 0 when it is written."""
    options = _parse(arguments)
    torch.set_num_threads(1)
    faces = read_faces(options.kit)
    print(f"{len(faces.pictures)} pictures for {faces.kind}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    name = f"{faces.kind}-own"
    save(teach(faces, LESSON, options.work / f"{name}.checkpoint"), options.out / f"{name}.safetensors")
    print(f"{name}: {time.process_time() - started:.0f} CPU s", flush=True)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the surrogate of own-pgd.")
    parser.add_argument("--kit", type=Path, required=True, help="folder of a kit, with faces/")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="where the weights go (weights)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="keeps checkpoints (work)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
