"""Baseline attacks on the face track: from the kit's pairs to a zip that can be submitted.

    python attack.py KIT --attack ensemble --out my.zip

README.md beside this file says what each attack does and how well it did.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from masks import eye_rectangle, fence, veil
from pictures import Pairs, Pictures, broken_rules, change_everywhere, read_limits, read_pairs, write_submission

MASKS = {"rectangle": eye_rectangle, "mi": fence, "ensemble": veil}


def main(arguments: list[str] | None = None) -> int:
    """Run one attack; 0 when every picture keeps the rules."""
    options = _parse(arguments)
    started = time.monotonic()
    limits = read_limits(options.kit)
    pairs = read_pairs(options.kit, options.images)
    mask = MASKS[options.attack](limits.pixels)
    if options.attack == "rectangle":
        changed = np.zeros_like(pairs.originals)
    else:
        changed = _follow_gradients(pairs, mask, options)
    pictures = change_everywhere(pairs.originals, changed, mask)
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


def _follow_gradients(pairs: Pairs, mask: np.ndarray, options: argparse.Namespace) -> Pictures:
    import torch  # here, because the black rectangle does without
    from gradients import Method, craft, load_surrogates

    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    surrogates = load_surrogates(options.kit)
    method = Method(options.steps)
    if options.attack == "ensemble":
        method = method._replace(blur=1.0, diversity=0.7)
    else:
        surrogates = surrogates[:1]
    return craft(surrogates, pairs.originals, pairs.compares, mask, method, options.seed, _show_progress)


def _show_progress(done: int, total: int) -> None:
    """Redraw a bar on a terminal; print plain lines elsewhere."""
    if sys.stderr.isatty():
        filled = 40 * done // total
        bar = f"\r[{'#' * filled}{'.' * (40 - filled)}] {done}/{total}"
        print(bar, end="\n" if done == total else "", file=sys.stderr, flush=True)
    else:
        print(f"{done}/{total} pictures", file=sys.stderr, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Baseline attacks on the face track.")
    parser.add_argument("kit", type=Path, metavar="KIT", help="folder that holds pairs/, surrogates/ and stage.json")
    parser.add_argument("--attack", choices=sorted(MASKS), default="ensemble")
    parser.add_argument("--out", type=Path, default=Path("my.zip"), help="the zip to write (default: my.zip)")
    parser.add_argument("--steps", type=int, default=25, help="gradients for each picture (default: 25)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the random transformations (default: 0)")
    parser.add_argument("--images", type=int, help="attack the first so many pairs only (default: all)")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (default: 2)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
