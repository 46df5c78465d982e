"""Train the models of a defence and write their weights.

    python train/train.py --kit KIT --method fgsm-training --out weights

README.md in the folder above says what each method does. One thread; the same kit and PyTorch build give the same
weights.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from cleaning import teach_cleaning
from faces import read_faces
from lesson import Lesson, teach
from network import Classifier, load, save
from torch import nn

LESSONS = {
    "none": Lesson(epochs=10, plain=10),
    "fgsm-training": Lesson(epochs=10, plain=5),
    "pgd-training": Lesson(epochs=10, plain=5, steps=2),
}
METHODS = (*LESSONS, "denoising")


def main(arguments: list[str] | None = None) -> int:
    """Train what was asked for; 0 when all is written."""
    options = _parse(arguments)
    torch.set_num_threads(1)
    faces = read_faces(options.kit)
    print(f"{len(faces.pictures)} pictures for {faces.kind}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    for method in METHODS if options.method == "all" else (options.method,):
        started = time.process_time()
        print(method, flush=True)
        name = f"{faces.kind}-{method}"
        if method == "denoising":
            classifier = load(Classifier(faces.outputs), options.out / f"{faces.kind}-none.safetensors")
            network: nn.Module = teach_cleaning(faces, classifier)
        else:
            network = teach(faces, LESSONS[method], options.work / f"{name}.checkpoint")
        save(network, options.out / f"{name}.safetensors")
        print(f"{name}: {time.process_time() - started:.0f} CPU s", flush=True)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the models of the defences.")
    parser.add_argument("--kit", type=Path, required=True, help="folder of a kit, with faces/")
    parser.add_argument("--method", choices=[*METHODS, "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="where the weights go (weights)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="keeps checkpoints (work)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
