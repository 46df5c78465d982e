"""Defences of face classifiers: from a task folder to `predictions.csv`.

    python run.py --method pgd-training --input /input --output /output

README.md beside this file says what each method does and how well it did.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# Before the libraries start their threads: the sum of floats depends on how many there are.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from denoiser import Denoiser
from filters import jpeg_blur
from model import export
from network import Classifier, halve, load
from task import MODEL, RESULT, Pixels, Table, Task, read_picture, read_task
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"
METHODS = ("none", "fgsm-training", "pgd-training", "denoising", "jpeg-blur")


def main(arguments: list[str] | None = None) -> int:
    """Look at picture after picture; 0 when all have an answer."""
    options = _parse(arguments)
    started = time.monotonic()
    torch.set_num_threads(1)
    task = read_task(options.input)
    defence = load_defence(options.method, task)
    options.output.mkdir(parents=True, exist_ok=True)
    if task.wanted == "model":
        # JPEG has no gradient: it is left out, as an attacker would who goes around it (Athalye et al. 2018).
        export(defence, options.output / MODEL)
        return 0
    print(f"{options.method}: {len(task.pictures)} pictures", flush=True)
    with (options.output / RESULT).open("w", newline="", encoding="utf-8") as file:
        table = Table(file, task.columns)
        for number, path in enumerate(task.pictures, start=1):
            logits = look(defence, options.method, read_picture(path))
            said = [int(logits.argmax())] if task.kind == "reid" else (logits > 0).int().tolist()
            table.answer(path.name, said)
            if number % 500 == 0 or number == len(task.pictures):
                print(f"{number}/{len(task.pictures)} in {time.monotonic() - started:.1f} s", flush=True)
    return 0


class Defence(nn.Module):
    """A classifier with what stands in front of it, as one network: grey levels `(n, 3, 112, 112)` in, logits out."""

    def __init__(self, classifier: Classifier, denoiser: Denoiser | None) -> None:
        """Put both together."""
        super().__init__()
        self.classifier, self.denoiser = classifier, denoiser

    def forward(self, images: Tensor) -> Tensor:
        """Give logits `(n, outputs)`."""
        half = halve(images)
        return self.classifier.look(half if self.denoiser is None else self.denoiser(half))


def load_defence(method: str, task: Task) -> Defence:
    """Load the networks of a method."""
    own = method if method in ("fgsm-training", "pgd-training") else "none"
    classifier = load(Classifier(task.outputs), WEIGHTS / f"{task.kind}-{own}.safetensors")
    denoiser = load(Denoiser(), WEIGHTS / f"{task.kind}-denoising.safetensors") if method == "denoising" else None
    return Defence(classifier, denoiser).eval()


@torch.no_grad()
def look(defence: Defence, method: str, pixels: Pixels) -> Tensor:
    """Give the logits `(outputs,)` of one picture; seen alone, none can change another's answer."""
    seen = jpeg_blur(pixels) if method == "jpeg-blur" else pixels
    return defence(torch.tensor(seen).permute(2, 0, 1)[None].float())[0]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    surroundings = os.environ
    parser = argparse.ArgumentParser(description="Defences of face classifiers.")
    parser.add_argument("--method", choices=METHODS, default=surroundings.get("APP_METHOD", "pgd-training"))
    parser.add_argument("--input", type=Path, default=Path(surroundings.get("AISC_INPUT", "/input")))
    parser.add_argument("--output", type=Path, default=Path(surroundings.get("AISC_OUTPUT", "/output")))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
