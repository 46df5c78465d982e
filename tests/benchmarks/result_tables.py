"""What checking, reading and scoring a final's result table costs: 20,000 probes, five neighbours, both formats.

Run: ``python tests/benchmarks/result_tables.py [--probes 20000] [--most 2.0]``. Prints wall and processor seconds of
both steps, the child process that reads Parquet included, and exits with 1 if the processor seconds of either format
are over ``--most``: these do not depend on what else the machine does.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from aisc.datasets.forgery_sets import Truth
from aisc.submission.result_tables import Expected, read_result
from aisc.tracks.deepfake import DeepfakeLimits, score_table

METHODS = tuple("abcdefghijk")


def forged(probes: int, gallery: int) -> tuple[pd.DataFrame, Expected, Truth]:
    """Make a random table, what its task asks for, and a truth of nine known methods and two new ones."""
    rng = np.random.default_rng(1)
    digits = rng.bytes(8 * (probes + gallery)).hex()
    ids = [digits[16 * k : 16 * k + 16] for k in range(probes + gallery)]
    expected = Expected(ids[:probes], ids[probes:], novelty=True)
    near = rng.permutation(gallery)
    columns: dict[str, object] = {"probe": ids[:probes]}
    for k in range(5):
        columns[f"g{k + 1}"] = [expected.gallery[near[(place + k) % gallery]] for place in range(probes)]
    for k, values in enumerate(-np.sort(-rng.random((probes, 5)), axis=1).T):
        columns[f"s{k + 1}"] = values
    columns["novelty"] = rng.random(probes)
    new = np.arange(probes) % 3 == 0
    labels = np.where(new, rng.integers(9, 11, probes), rng.integers(0, 9, probes))
    truth = Truth(METHODS, labels, rng.integers(0, 9, gallery), np.where(new, "new", "labelled"))
    return pd.DataFrame(columns).sample(frac=1, random_state=1), expected, truth


def processor_seconds() -> float:
    """Give the processor seconds of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    """Measure both formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--most", type=float, default=2.0)
    options = parser.parse_args()
    table, expected, truth = forged(options.probes, options.probes)
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("result.csv", "result.parquet"):
            path = Path(scratch) / name
            table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
            wall, cpu = time.perf_counter(), processor_seconds()
            read = read_result(path, expected)
            wall_read, cpu_read = time.perf_counter() - wall, processor_seconds() - cpu
            if read.table is None:
                raise SystemExit(f"{name} is refused: {read.findings.listed[0]}")
            score_table(read.table, truth, "final", DeepfakeLimits(), 0)
            wall, cpu = time.perf_counter() - wall, processor_seconds() - cpu
            print(f"{name}: {wall:.2f} s, {cpu:.2f} s of processor; of these reading {wall_read:.2f}, {cpu_read:.2f}")
            worst = max(worst, cpu)
    return int(worst > options.most)


if __name__ == "__main__":
    sys.exit(main())
