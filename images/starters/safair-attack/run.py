"""Attacks on face classifiers: from a task folder to one altered picture for each that was given.

    python run.py --method pgd --input /input --output /output

README.md beside this file says what each method does and how well it did.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Before the libraries start their threads: the sum of floats depends on how many there are.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from aims import Aim, away_from, lead_away_from, lead_turned, towards, turn
from carlini_wagner import smallest_change
from network import Classifier, load
from steps import Model, Steps, as_pixels, as_tensor, climb, random_change
from task import Pixels, Task, read_picture, read_task, write_picture
from torch import Tensor

WEIGHTS = Path(__file__).parent / "weights"
STEPS = {
    "fgsm": Steps(1, 1),
    "bim": Steps(10, 1 / 4),
    "pgd": Steps(10, 1 / 4, random_start=True),
    "mi": Steps(10, 1 / 8, decay=1.0),
    "targeted-pgd": Steps(20, 1 / 4, random_start=True),
    "own-pgd": Steps(10, 1 / 4, random_start=True),
}
METHODS = ("noise", *STEPS, "cw")

Attack = Callable[[Pixels, list[int]], Pixels]
"""One picture and its goal in, the altered picture out."""


def main(arguments: list[str] | None = None) -> int:
    """Attack picture after picture; 0 when all are written."""
    options = _parse(arguments)
    started = time.monotonic()
    torch.set_num_threads(1)
    task = read_task(options.input)
    attack = make_attack(options.method, task, options.input)
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"{options.method}: {len(task.goals)} pictures", flush=True)
    for number, (name, goal) in enumerate(sorted(task.goals.items()), start=1):
        write_picture(options.output / name, attack(read_picture(options.input / "images" / name), goal))
        if number % 100 == 0 or number == len(task.goals):
            print(f"{number}/{len(task.goals)} pictures in {time.monotonic() - started:.1f} s", flush=True)
    return 0


def make_attack(method: str, task: Task, folder: Path) -> Attack:
    """Prepare a method for a task.

    Raises:
        SystemExit: The method is not for this task, or a model is missing.
    """
    if method == "noise":
        return lambda pixels, goal: as_pixels((as_tensor(pixels) + random_change(pixels, task.epsilon)).clamp(0, 255))
    if method == "targeted-pgd" and task.kind != "reid":
        raise SystemExit("targeted-pgd is for reid: attributes have goals in every method; take pgd.")
    surrogate = _surrogate(folder)
    if method == "cw":
        return lambda pixels, goal: smallest_change(surrogate, lead_of(task, surrogate, pixels, goal), pixels)
    models = _own_models(task) if method == "own-pgd" else [surrogate]
    target = method == "targeted-pgd"

    def attack(pixels: Pixels, goal: list[int]) -> Pixels:
        aim = towards(goal[0]) if target else aim_of(task, surrogate, pixels, goal)
        return climb(models, aim, pixels, task.epsilon, STEPS[method])

    return attack


def aim_of(task: Task, surrogate: Model, pixels: Pixels, goal: list[int]) -> Aim:
    """Say what is to be raised, by what the surrogate sees on the clean picture."""
    logits = _clean_logits(surrogate, pixels)
    return away_from(int(logits.argmax())) if task.kind == "reid" else turn(logits > 0, goal)


def lead_of(task: Task, surrogate: Model, pixels: Pixels, goal: list[int]) -> Aim:
    """Say the same in logits, 0 where an answer turns wrong."""
    logits = _clean_logits(surrogate, pixels)
    return lead_away_from(int(logits.argmax())) if task.kind == "reid" else lead_turned(logits > 0, goal)


@torch.no_grad()
def _clean_logits(surrogate: Model, pixels: Pixels) -> Tensor:
    return surrogate(as_tensor(pixels))[0]


def _surrogate(folder: Path) -> Model:
    path = folder / "surrogate.pt"
    if not path.is_file():
        raise SystemExit(f"{path}: the surrogate is missing.")
    model: Model = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return model


def _own_models(task: Task) -> Sequence[Model]:
    return [load(Classifier(task.outputs), WEIGHTS / f"{task.kind}-own.safetensors")]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    surroundings = os.environ
    parser = argparse.ArgumentParser(description="Attacks on face classifiers.")
    parser.add_argument("--method", choices=METHODS, default=surroundings.get("APP_METHOD", "pgd"))
    parser.add_argument("--input", type=Path, default=Path(surroundings.get("AISC_INPUT", "/input")))
    parser.add_argument("--output", type=Path, default=Path(surroundings.get("AISC_OUTPUT", "/output")))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
