"""Starters of the driving track: from the kit's scenes to a zip that can be submitted.

    python attack.py KIT --method adam-objectness --out my.zip

README.md beside this file says what each method does, and which published solution it follows.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from finding import difference_corners, pinhole_corners
from kit import Kit, Shot, canvas_pixels, clean_scenes, read_kit, read_shots, write_submission
from optimise import Method, optimise
from shapes import random_shapes, whole
from terms import near_target, seen

METHODS = {
    "pinhole-class": Method(goal="class", variation=0.05),
    "joint": Method(goal="class"),
    "momentum-objectness": Method(step="momentum", rate=0.1),
    "mask-search": Method(goal="class", blur=0.5),
    "adam-objectness": Method(print_loss=0.1),
}
CONTROLS = ("blank", "noise", "grey", "black")


def main(arguments: list[str] | None = None) -> int:
    """Make a submission."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path)
    parser.add_argument("--method", choices=(*METHODS, *CONTROLS), default="adam-objectness")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--every", type=int, default=10, help="take every n-th frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    kit = read_kit(options.kit)
    canvases = {}
    for target in dict.fromkeys("mannequin" if name.startswith("mannequin") else "truck" for name in kit.canvases):
        if options.method in CONTROLS:
            pixels = _control(options.method, options.seed)
        else:
            pixels = _crafted(kit, target, options)
        canvases |= {name: pixels for name in kit.canvases if name.startswith(target)}
    write_submission(options.out, canvases)
    print(f"{options.out}: {', '.join(canvases)} in {time.monotonic() - started:.0f} s")
    return 0


def _control(name: str, seed: int) -> np.ndarray:
    """Give a canvas that follows no gradient."""
    rng = np.random.default_rng(seed)
    colours = {
        "noise": torch.from_numpy(rng.uniform(0, 255, (3, 24, 53)).astype(np.float32)),
        "grey": torch.full((3, 24, 53), 128.0),
    }.get(name, torch.zeros(3, 24, 53))
    return canvas_pixels(colours, whole() * (name != "blank"))


def _crafted(kit: Kit, target: str, options: argparse.Namespace) -> np.ndarray:
    method = METHODS[options.method]
    shots = _shots(kit, target, options)
    detectors = kit.detectors if options.method == "joint" else kit.detectors[:1]
    mask = _best_mask(kit, shots, target, options.seed) if options.method == "mask-search" else whole()

    def tell(step: int, loss: float) -> None:
        if step % 20 == 0:
            print(f"{target} step {step} of {options.steps}, loss {loss:.3f}", flush=True)

    return canvas_pixels(optimise(detectors, shots, target, mask, method, options.steps, options.seed, tell=tell), mask)


def _shots(kit: Kit, target: str, options: argparse.Namespace) -> list[Shot]:
    """Read frames of the clean training scenes, with the corners that the method can find."""
    # A kit without a mannequin's scenes still has trucks: a poor stand-in, but better than none.
    packs = clean_scenes(kit, target) or clean_scenes(kit, "truck")
    patched = {pack.name: pack for pack in kit.scenes if pack.description.patched}
    shots: list[Shot] = []
    for pack in packs:
        corners = np.stack([pose.corners for pose in pack.poses])
        twin = patched.get(pack.name.replace("clean", "patched"))
        if options.method == "pinhole-class":
            corners = pinhole_corners(corners[0], corners[-1], len(pack))
        elif options.method == "momentum-objectness" and twin is not None:
            pairs = zip(pack.frames(), twin.frames(), strict=True)
            found = [difference_corners(clean, other) for clean, other in pairs]
            corners = np.stack([known if one is None else one for known, one in zip(corners, found, strict=True)])
        # The first quarter of a drive shows too few pixels of the patch to steer by.
        shots += read_shots(pack, options.every, corners, first=len(pack) // 4)
    return shots


def _best_mask(kit: Kit, shots: list[Shot], target: str, seed: int, tries: int = 24) -> torch.Tensor:
    """Try random shapes filled with noise, and keep the one that hides the target best."""
    from aisc.placement.differentiable import place_tensor

    rng = np.random.default_rng(seed)
    sample = [shots[k] for k in rng.choice(len(shots), min(6, len(shots)), replace=False)]
    best, lowest = whole(), float("inf")
    for _ in range(tries):
        mask = random_shapes(rng, 0.65)
        colours = torch.from_numpy(rng.uniform(0, 255, (3, *mask.shape[1:])).astype(np.float32))
        colours = torch.nn.functional.avg_pool2d(colours, 9, 1, 4)
        with torch.no_grad():
            frames = torch.stack([place_tensor(s.pixels, colours, mask, s.pose, samples=2) for s in sample])
            boxes, scores, _ = kit.detectors[0].confidences(frames)
            total = sum(
                float(seen(values.amax(1), near_target(one, shot.pose.corners, target)))
                for one, values, shot in zip(boxes, scores, sample, strict=True)
            )
        if total < lowest:
            best, lowest = mask, total
    return best


if __name__ == "__main__":
    raise SystemExit(main())
