"""How much a whole run costs beyond the bare forward passes of its victims (`make bench`).

One submission of 3000 images against three victims, evaluated from the compiled package by the local engine, against
the same forward passes alone: same machine, same threads, one process working at a time, measured in turn. The
comparison images' embeddings exist already in both cases, as they do for every submission but a stage's first.
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
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from aisc.cli.rounds import run_round
from aisc.cli.workspace import Workspace, open_workspace
from aisc.datasets.face_pairs import describe
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.sweep_stage import sweep_stage
from aisc.synthetic.faces.pairs import make_pairs
from aisc.victims.builtin import builtin_package

STAGE = "face/preliminary"
VICTIMS = ("ires", "vgg", "dense")
RENDERED = 300
BARE = """
import sys, time
import numpy as np
from pathlib import Path
from aisc.victims.verifier import open_verifier
pixels = np.load(sys.argv[1])
verifiers = [open_verifier(Path(folder)) for folder in sys.argv[2:]]
for verifier in verifiers:
    verifier.embed(pixels[:64])
started = time.perf_counter()
for verifier in verifiers:
    verifier.embed(pixels)
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure and print the ratio and the largest process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = _season(folder, options.images)
        with open_workspace(file) as workspace:
            _submit(workspace, folder, 0)
            run_round(workspace, STAGE, quiet=True)
            pixels = next(workspace.bench.cache.glob("pairs-*/originals.npy"))
            whole, bare, peaks = [], [], []
            for number in range(1, options.rounds + 1):
                _submit(workspace, folder, number)
                sweep_stage(workspace.bench, workspace.season, STAGE)
                seconds, peak = _whole_run(workspace)
                whole.append(seconds)
                peaks.append(peak)
                bare.append(_bare(pixels))
                print(f"whole run {seconds:.1f} s, bare forwards {bare[-1]:.1f} s", flush=True)
    ratio = statistics.median(one / other for one, other in zip(whole, bare, strict=True))
    print(f"whole run / bare forwards: {ratio:.2f} (median of {options.rounds}; bound 1.5)")
    print(f"largest process: {max(peaks) / 2**20:.2f} GiB (bound 1.5)")


def _season(folder: Path, images: int) -> Path:
    file = folder / "season.yaml"
    text = season_text("bench", datetime.now(UTC).date()).replace("per_day: 5", "per_day: 100")
    file.write_text(text)
    rendered, pairs = folder / "rendered", folder / "pairs"
    rendered.mkdir()
    pairs.mkdir()
    make_pairs(min(RENDERED, images), 0, rendered, jobs=2)
    for number in range(1, images + 1):
        for suffix in ("", "_compare"):
            source = rendered / f"{(number - 1) % RENDERED + 1:04d}{suffix}.png"
            os.link(source, pairs / f"{number:04d}{suffix}.png")
    describe(pairs, {"recipe": "benchmark", "pairs": images})
    with open_workspace(file) as workspace:
        workspace.bench.register("data", "faces/pairs", pairs)
        for name in VICTIMS:
            workspace.bench.register("victim", name, builtin_package(name))
        workspace.bench.ledger.teams.add("Bench")
    return file


def _submit(workspace: Workspace, folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = folder / f"{seed}.zip"
    sources = sorted(path for path in (folder / "pairs").glob("*.png") if not path.stem.endswith("_compare"))
    with zipfile.ZipFile(target, "w") as archive:
        for source in sources:
            picture = np.asarray(cv2.imread(str(source))).copy()
            picture[40:72, 40:72] = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            archive.writestr(source.name, cv2.imencode(".png", picture)[1].tobytes())
    receive(workspace.bench, workspace.season, STAGE, "Bench", target)


def _whole_run(workspace: Workspace) -> tuple[float, int]:
    """Run the one pending run; give seconds and the largest process of it in KiB."""
    run = next(run for run in workspace.bench.ledger.runs.all(stage=STAGE) if run.state == "pending")
    started = time.perf_counter()
    job = workspace.engine().start("face", {"run_key": run.run_key}, name="bench")
    _, status, usage = os.wait4(job.pid, 0)
    seconds = time.perf_counter() - started
    state = workspace.bench.ledger.runs.get(run.run_key).state
    if status != 0 or state != "scored":
        raise SystemExit(f"the run ended {state}: {job.log.read_text()[-2000:]}")
    return seconds, usage.ru_maxrss


def _bare(pixels: Path) -> float:
    packages = [str(builtin_package(name)) for name in VICTIMS]
    threads = {"OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    command = [sys.executable, "-c", BARE, str(pixels), *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | threads)
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    main()
