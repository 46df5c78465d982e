"""Baseline attacks on the face track: from the kit's pairs to a zip that can be submitted.

    python attack.py KIT --attack ensemble --out my.zip

README.md beside this file says what each attack does and how well it did.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from masks import eye_rectangle, fence, veil
from numpy.typing import NDArray
from pictures import Pairs, Pictures, broken_rules, change_everywhere, read_limits, read_pairs, write_submission

if TYPE_CHECKING:
    from gradients import Surrogates

Masks = NDArray[np.bool_]
"""`(n, 112, 112)`: where each picture may be changed."""


def main(arguments: list[str] | None = None) -> int:
    """Run one attack; 0 when every picture keeps the rules."""
    options = _parse(arguments)
    started = time.monotonic()
    limits = read_limits(options.kit)
    pairs = read_pairs(options.kit, options.images)
    pictures = change_everywhere(pairs.originals, *ATTACKS[options.attack](pairs, limits.pixels, options))
    broken = 0
    for name, original, picture in zip(pairs.names, pairs.originals, pictures, strict=True):
        for rule in broken_rules(original, picture, limits):
            print(f"{name}.png: {rule}", file=sys.stderr)
            broken += 1
    if broken:
        return 1
    write_submission(options.out, pairs.names, pictures)
    print(f"{options.out}: {len(pictures)} legal pictures in {time.monotonic() - started:.0f} s")
    return 0


def rectangle(pairs: Pairs, pixels: int, _: argparse.Namespace) -> tuple[Pictures, Masks]:
    """Paint a black rectangle over the eyes: what a patch does that looks at nobody."""
    return np.zeros_like(pairs.originals), _same_for_all(eye_rectangle(pixels), pairs)


def momentum(pairs: Pairs, pixels: int, options: argparse.Namespace) -> tuple[Pictures, Masks]:
    """Climb one surrogate with momentum (MI) inside a fence."""
    from gradients import Method, craft  # here, because the rectangle does without torch

    surrogates = _start_torch(options)[:1]
    masks = _same_for_all(fence(pixels), pairs)
    progress = _Progress("climbing")
    return craft(surrogates, pairs, masks, Method(options.steps), options.seed, options.threads, progress), masks


def ensemble(pairs: Pairs, pixels: int, options: argparse.Namespace) -> tuple[Pictures, Masks]:
    """Climb all surrogates at once with MI, TI and DI inside a veil cut for each face."""
    from gradients import Method, craft, pixel_worth

    surrogates = _start_torch(options)
    worths = pixel_worth(surrogates, pairs, options.seed, options.threads, _Progress("weighing pixels"))
    masks = np.stack([veil(pixels, worth) for worth in worths])
    method = Method(options.steps, shift=3, diversity=0.5, start=1.0)
    return craft(surrogates, pairs, masks, method, options.seed, options.threads, _Progress("climbing")), masks


ATTACKS = {"rectangle": rectangle, "mi": momentum, "ensemble": ensemble}


def _same_for_all(mask: Masks, pairs: Pairs) -> Masks:
    return np.broadcast_to(mask, (len(pairs.names), *mask.shape))


def _start_torch(options: argparse.Namespace) -> "Surrogates":
    import torch
    from gradients import load_surrogates

    torch.use_deterministic_algorithms(True)
    return load_surrogates(options.kit)


@dataclass(frozen=True)
class _Progress:
    """Redraw a bar on a terminal; print plain lines elsewhere."""

    task: str

    def __call__(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            filled = 40 * done // total
            bar = f"\r{self.task} [{'#' * filled}{'.' * (40 - filled)}] {done}/{total}"
            print(bar, end="\n" if done == total else "", file=sys.stderr, flush=True)
        else:
            print(f"{self.task}: {done}/{total} pictures", file=sys.stderr, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Baseline attacks on the face track.")
    parser.add_argument("kit", type=Path, metavar="KIT", help="folder that holds pairs/, surrogates/ and stage.json")
    parser.add_argument("--attack", choices=list(ATTACKS), default="ensemble")
    parser.add_argument("--out", type=Path, default=Path("my.zip"), help="the zip to write (default: my.zip)")
    parser.add_argument("--steps", type=int, default=40, help="gradients for each picture (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the random transformations (default: 0)")
    parser.add_argument("--images", type=int, help="attack the first so many pairs only (default: all)")
    parser.add_argument("--threads", type=int, default=2, help="batches at work side by side (default: 2)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
