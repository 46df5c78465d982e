"""What placing a patch costs, against one detector's time over the same frames.

Run: ``python tests/benchmarks/placement.py [--frames 1200] [--most 0.15]``. Renders nothing: random frames with the
corners of the five truck scenes. Prints both times, their ratio and the growth of memory, and exits with 1 if the
ratio is over ``--most``. Both sides take turns on one thread, so that a busy machine slows both alike.
"""

import argparse
import resource
import statistics
import sys
import time

import cv2
import numpy as np
import torch

from aisc.placement.compose import place
from aisc.placement.light import FacePose
from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.camera import FRAME
from aisc.synthetic.driving.scenes import CANVAS, FPS, FRAMES, build_scene, scene_specs
from aisc.synthetic.driving.things import Thing
from aisc.victims.builtin import builtin_package
from aisc.victims.detectors import Detector, open_detector

GROUP = 8


def poses(count: int) -> list[FacePose]:
    """Take the poses of the truck scenes, evenly, without rendering them."""
    rng = np.random.default_rng(1)
    found = []
    for spec in scene_specs("truck"):
        world = build_scene(spec)
        (target,) = (thing for thing in world.things if thing.face is not None)
        found += [pose_at(target, world.drive.camera(k / FPS), k / FPS, rng) for k in range(FRAMES)]
    return [found[k * len(found) // count] for k in range(count)]


def pose_at(target: Thing, camera: object, seconds: float, rng: np.random.Generator) -> FacePose:
    """Project the target's face, and light it at random."""
    corners = camera.project(target.points(target.face, seconds))  # type: ignore[attr-defined]
    gain = rng.uniform(0.5, 1, (6, 12, 3)).astype(np.float32)
    return FacePose(corners, gain, np.float32([4, 5, 6]), (0, 0, 0, 0), np.zeros((0, 0), np.uint8))


def measure(detector: Detector, count: int) -> tuple[list[float], list[float]]:
    """Time placement and detection of each group of frames."""
    rng = np.random.default_rng(2)
    canvas = Pyramid(rng.integers(0, 256, (*CANVAS, 3), dtype=np.uint8), np.ones(CANVAS, bool))
    frames = rng.integers(0, 256, (GROUP, *FRAME, 3), dtype=np.uint8)
    every = poses(count)
    placing, detecting = [], []
    for start in range(0, count, GROUP):
        begin = time.perf_counter()
        for frame, pose in zip(frames, every[start : start + GROUP], strict=False):
            place(frame, canvas, pose)
        middle = time.perf_counter()
        detector.detect(frames)
        placing.append(middle - begin)
        detecting.append(time.perf_counter() - middle)
    return placing, detecting


def main() -> int:
    """Print the ratio; 1 when it is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--detector", default="road-anchors")
    parser.add_argument("--most", type=float, default=0.15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = open_detector(builtin_package(options.detector))
    measure(detector, 5 * GROUP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    placing, detecting = measure(detector, options.frames)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    ratio = sum(placing) / sum(detecting)
    paired = statistics.median(a / b for a, b in zip(placing, detecting, strict=True))
    print(f"{options.frames} frames: placement {sum(placing):.2f} s, {options.detector} {sum(detecting):.2f} s")
    print(f"ratio {ratio:.3f} (median of groups {paired:.3f}, at most {options.most}); memory grew by {grown:.0f} MiB")
    return int(ratio > options.most)


if __name__ == "__main__":
    sys.exit(main())
