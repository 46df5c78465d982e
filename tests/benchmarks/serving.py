"""Throughput of victims on a Triton server on this machine, against the same victims in this process.

Run: ``python -m tests.benchmarks.serving [--cores 1] [--images 640] [--rounds 5] [--least 0.9]``. Server and caller
share the very cores that the bare model has, with as many threads. Both sides take turns within one process, and the
median of the paired ratios is taken, so that a busy machine slows both alike; processor time says the same where the
machine is too busy for a clock. Pictures go in batches of 64, through gRPC with shared memory and, for comparison, over
the wire alone. Exits with 1 if a face victim's ratio with shared memory is under ``--least``.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from aisc.adapters.triton import TritonVictims
from aisc.adapters.triton_endpoint import Endpoint
from aisc.adapters.triton_server import TritonServer
from aisc.victims.builtin import builtin_names, builtin_package
from tests.services import triton


class Spent(NamedTuple):
    """Seconds on the wall, and of processors: the caller's and the server's together."""

    wall: float
    processor: float


def spend(work: Callable[[], object], server: TritonServer) -> Spent:
    family = [psutil.Process(), psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    before, start = sum(_processor(one) for one in family), time.perf_counter()
    work()
    return Spent(time.perf_counter() - start, sum(_processor(one) for one in family) - before)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def ratios(
    local: Callable[[], object], served: dict[str, Callable[[], object]], server: TritonServer, rounds: int
) -> dict[str, list[Spent]]:
    """Spend on all in turns; give what the local one took over what a served one took, of each round."""
    for work in [local, *served.values()]:
        work()
    found: dict[str, list[Spent]] = {name: [] for name in served}
    for _ in range(rounds):
        bare = spend(local, server)
        for name, work in served.items():
            took = spend(work, server)
            found[name].append(Spent(bare.wall / took.wall, bare.processor / took.processor))
    return found


def compare(server: TritonServer, options: argparse.Namespace) -> dict[str, float]:
    """Print a line a victim; give the median ratio of each face victim with shared memory."""
    from aisc.victims.detectors import open_detector
    from aisc.victims.verifier import open_verifier

    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (options.images, 112, 112, 3), dtype=np.uint8)
    frames = rng.integers(0, 256, (max(16, options.images // 16), 256, 416, 3), dtype=np.uint8)
    shared, wire = TritonVictims(server.endpoint), TritonVictims(Endpoint(server.endpoint.address))
    faces: dict[str, float] = {}
    for name in options.victims:
        folder, images = builtin_package(name), frames
        if name in builtin_names("verifier"):
            images = pictures
            asks = [make(folder).embed for make in (open_verifier, shared.open_verifier, wire.open_verifier)]
        else:
            asks = [make(folder).detect for make in (open_detector, shared.open_detector, wire.open_detector)]
        here, memory_ask, wire_ask = (partial(ask, images) for ask in asks)
        found = ratios(here, {"shared memory": memory_ask, "wire": wire_ask}, server, options.rounds)
        told = []
        for kind, each in found.items():
            wall, processor = (statistics.median(values) for values in zip(*each, strict=True))
            spread = f"{min(each).wall:.2f}-{max(each).wall:.2f}"
            told.append(f"{kind} {wall:.2f} ({spread}) by the clock, {processor:.2f} by processor time")
        print(f"{name:20s} {'; '.join(told)}", flush=True)
        if images is pictures:
            faces[name] = statistics.median(one.wall for one in found["shared memory"])
    return faces


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=0.9)
    parser.add_argument("--victims", nargs="*", default=[*builtin_names("verifier"), *builtin_names("detector")])
    options = parser.parse_args()
    if not triton.available():
        print(triton.MISSING)
        return 0
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # the server inherits it

    import torch

    torch.set_num_threads(options.cores)
    packages = {name: builtin_package(name) for name in options.victims}
    with tempfile.TemporaryDirectory() as folder, triton.running_triton(packages, Path(folder)) as served:
        faces = compare(served.server, options)
    slow = {name: ratio for name, ratio in faces.items() if ratio < options.least}
    print(f"least of the face victims: {min(faces.values(), default=float('nan')):.2f} (bound {options.least})")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
