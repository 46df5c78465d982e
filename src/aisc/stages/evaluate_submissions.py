"""Start the runs of a stage, side by side, and wait until each has its verdict."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from aisc.ledger.leases import this_process
from aisc.ledger.runs import FINAL_STATES, Run
from aisc.workbench import Workbench

POLL_SECONDS = 0.2
END_SECONDS = 60.0  # a worker whose run has its verdict needs no longer to end


class Job(Protocol):
    """A started package."""

    def exit_code(self) -> int | None:
        """Give the exit code, or ``None`` while it runs."""


class Started(NamedTuple):
    """A job, and how many attempts its run had before."""

    job: Job
    after: int


class Engine(Protocol):
    """What starts packages: this machine or a cluster."""

    def slots(self, pending: int) -> int:
        """Say how many runs may go side by side."""

    def start(self, package: str, arguments: Mapping[str, Any], *, name: str, slots: int) -> Job:
        """Start a package."""


def evaluate_submissions(bench: Workbench, engine: Engine, stage: str, package: str) -> dict[str, int]:
    """Evaluate everything that is queued for a stage under its pinned version; see :func:`evaluate_runs`."""
    version = bench.ledger.stages.pinned(stage)
    if version is None:
        return {}
    sha256 = version.sha256
    return evaluate_runs(
        bench, engine, stage, package, lambda: bench.ledger.runs.all(stage=stage, version_sha256=sha256)
    )


def evaluate_runs(
    bench: Workbench, engine: Engine, stage: str, package: str, queued: Callable[[], list[Run]]
) -> dict[str, int]:
    """Evaluate runs of a stage until each has ended.

    A run that fails is tried again while it has attempts left; one that is lost with its worker is taken over. Runs
    that another round works on are waited for, not repeated.

    Args:
        bench: Ledger, store and cache.
        engine: Starts the runs.
        stage: ``track/stage``.
        package: The compiled package that evaluates one.
        queued: Gives the runs as the ledger knows them at that moment, in the order they were queued.

    Returns:
        How many runs ended in which state.
    """
    started: dict[str, Started] = {}
    while True:
        ended = {key: code for key, start in started.items() if (code := start.job.exit_code()) is not None}
        bench.ledger.runs.reap(stage)
        runs = queued()
        if all(run.state in FINAL_STATES for run in runs):
            _see_off(start.job for key, start in started.items() if key not in ended)
            return dict(Counter(run.state for run in runs))
        waiting = {run.run_key: run.attempt for run in runs if run.state == "pending"}
        for key, code in ended.items():
            start = started.pop(key)
            if code != 0 and waiting.get(key) == start.after:
                _charge(bench, key, code)
        # A job whose run waits again after another attempt has lost its lease: frozen or not, it is replaced.
        started = {key: start for key, start in started.items() if waiting.get(key, start.after) == start.after}
        pending = [run for run in fair_order(runs) if run.run_key in waiting.keys() - started.keys() - ended.keys()]
        slots = engine.slots(len(pending) + len(started))
        for run in pending[: max(0, slots - len(started))]:
            name = f"{stage}/{run.run_key[:16]}"
            job = engine.start(package, {"run_key": run.run_key}, name=name, slots=slots)
            started[run.run_key] = Started(job, run.attempt)
        time.sleep(POLL_SECONDS)


def _see_off(jobs: Iterable[Job]) -> None:
    """Wait until workers whose runs have their verdicts have ended too: nobody is left to clear up after them later."""
    deadline = time.monotonic() + END_SECONDS
    for job in jobs:
        while job.exit_code() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _charge(bench: Workbench, run_key: str, exit_code: int) -> None:
    """Count an attempt whose worker ended before it could claim the run, so that it cannot be repeated for ever."""
    attempt = bench.ledger.runs.claim(run_key, this_process())
    if attempt is not None:
        message = f"The worker ended with exit code {exit_code} before it began; its log tells why."
        bench.ledger.runs.note_fault(run_key, attempt, "platform", "WORKER_NOT_STARTED", message)
        bench.ledger.runs.end_attempt(run_key, attempt)


def fair_order(runs: Iterable[Run]) -> list[Run]:
    """Order runs so that no team waits behind another team's second submission.

    Every team's first queued run comes before any team's second one; within that, first in, first out. Runs that are
    done or running count, so a team that had its turn lets the others go first.
    """
    turns: Counter[str] = Counter()
    ordered = []
    for position, run in enumerate(runs):
        ordered.append((turns[run.team], position, run))
        turns[run.team] += 1
    return [run for _, _, run in sorted(ordered, key=lambda item: item[:2])]
