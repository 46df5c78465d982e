"""How much a driving run costs beyond its detectors, and what it holds in memory (`make bench`).

One submission driven through five scenes before two detectors, evaluated from the compiled package by the local engine,
against the same detectors over the same decoded frames alone: same machine, same threads, measured in turn. The run
also places the patch, shows 120 frames to the white box once more for the team's pictures, and starts five processes.
What is seen in the clean scenes is there already, as for every submission but a stage's first. Beside the clock stands
processor time, which a busy machine does not stretch.

Frames are mapped from the cache and stream in groups of eight, so the largest process must not grow with their number
but for the mapped pages of one scene (0.3 MiB a frame), which the kernel takes back when it needs them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.cli.rounds import run_round
from aisc.cli.workspace import Workspace, open_workspace
from aisc.datasets.scene_packs import SceneHead, write_scene, write_set
from aisc.placement.light import FacePose
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.sweep_stage import sweep_stage
from aisc.submission.canvases import CANVAS_SIZE
from aisc.synthetic.driving.scenes import FPS, scene_frames, scene_specs
from aisc.victims.builtin import builtin_package

STAGE = "driving/preliminary"
VICTIMS = ("road-anchors", "road-distances")
RENDERED = 4
"""Frames drawn a scene; they are shown again until the scene has its length."""
BARE = """
import sys, time
import numpy as np
from pathlib import Path
from aisc.victims.detectors import BATCH, open_detector
scenes = [np.load(path, mmap_mode="r") for path in sys.argv[3:]]
detectors = [open_detector(Path(folder)) for folder in sys.argv[1:3]]
for detector in detectors:
    detector.detect(np.array(scenes[0][:BATCH]))
started, used = time.perf_counter(), time.process_time()
for scene in scenes:
    for start in range(0, len(scene), BATCH):
        for detector in detectors:
            detector.detect(np.array(scene[start : start + BATCH]))
print([time.perf_counter() - started, time.process_time() - used])
"""


class Cost(NamedTuple):
    """Seconds by the clock, seconds of processors, and KiB of the largest process."""

    wall: float
    processor: float
    peak: int = 0


def main() -> None:
    """Measure and print the ratio and the largest process at two lengths of a scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--short", type=int, default=60, help="frames a scene of the run that memory is compared with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peaks = {}
    for frames, rounds in ((options.short, 1), (options.frames, options.rounds)):
        with tempfile.TemporaryDirectory() as scratch:
            whole, bare = _measure(Path(scratch), frames, rounds)
        peaks[frames] = max(cost.peak for cost in whole) / 2**20
    pairs = list(zip(whole, bare, strict=True))
    ratio, effort = (
        statistics.median(getattr(a, key) / getattr(b, key) for a, b in pairs) for key in ("wall", "processor")
    )
    print(f"whole run / bare detectors: {ratio:.2f} by the clock, {effort:.2f} in processor time "
          f"(median of {options.rounds}; bound 1.3)")  # fmt: skip
    grown = peaks[options.frames] - peaks[options.short]
    print(f"largest process: {peaks[options.frames]:.2f} GiB (bound 1.5), {grown:+.2f} GiB on {options.short} "
          "frames a scene (bound 0.15)")  # fmt: skip


def _measure(folder: Path, frames: int, rounds: int) -> tuple[list[Cost], list[Cost]]:
    file = _season(folder, frames)
    whole, bare = [], []
    with open_workspace(file) as workspace:
        _submit(workspace, folder, 0)
        run_round(workspace, STAGE, quiet=True)
        scenes = sorted(workspace.bench.cache.glob("frames-*/frames.npy"))
        for number in range(1, rounds + 1):
            _submit(workspace, folder, number)
            sweep_stage(workspace.bench, workspace.season, STAGE)
            whole.append(_whole_run(workspace))
            bare.append(_bare(scenes))
            print(
                f"{frames} frames a scene: whole run {whole[-1].wall:.1f} s, detectors {bare[-1].wall:.1f} s",
                flush=True,
            )
    return whole, bare


def _season(folder: Path, frames: int) -> Path:
    file = folder / "season.yaml"
    text = season_text("bench", datetime.now(UTC).date(), tracks=["driving"])
    file.write_text(text.replace("per_day: 5", "per_day: 100"))
    for spec in scene_specs("truck"):
        head = SceneHead(spec.name, spec.target, spec.role, FPS)
        write_scene(folder / "scenes" / spec.name, head, _repeated(list(scene_frames(spec, RENDERED)), frames))
    write_set(folder / "scenes")
    with open_workspace(file) as workspace:
        workspace.bench.register("data", "driving/truck", folder / "scenes")
        for name in VICTIMS:
            workspace.bench.register("victim", name, builtin_package(name))
        workspace.bench.ledger.teams.add("Bench")
    return file


def _repeated(
    drawn: list[tuple[NDArray[np.uint8], FacePose]], count: int
) -> Iterator[tuple[NDArray[np.uint8], FacePose]]:
    for number in range(count):
        yield drawn[number % len(drawn)]


def _submit(workspace: Workspace, folder: Path, seed: int) -> None:
    canvas = np.full((*CANVAS_SIZE, 4), 255, np.uint8)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 13, 3), dtype=np.uint8)
    canvas[..., :3] = cv2.resize(coarse, CANVAS_SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    target = folder / f"{seed}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("truck.png", cv2.imencode(".png", canvas)[1].tobytes())
    receive(workspace.bench, workspace.season, STAGE, "Bench", target)


def _whole_run(workspace: Workspace) -> Cost:
    """Run the one pending run; its usage is that of all its processes, their largest counts."""
    run = next(run for run in workspace.bench.ledger.runs.all(stage=STAGE) if run.state == "pending")
    started = time.perf_counter()
    job = workspace.engine().start("driving", {"run_key": run.run_key}, name="bench")
    _, _, usage = os.wait4(job.pid, 0)
    seconds = time.perf_counter() - started
    state = workspace.bench.ledger.runs.get(run.run_key).state
    if state != "scored":
        raise SystemExit(f"the run ended {state}: {job.log.read_text()[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def _bare(scenes: list[Path]) -> Cost:
    words = [str(builtin_package(name)) for name in VICTIMS] + [str(path) for path in scenes]
    threads = {"OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    command = [sys.executable, "-c", BARE, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | threads)
    return Cost(*json.loads(done.stdout))


if __name__ == "__main__":
    main()
