"""Do a step of a run once: finished steps are fetched, faults are written down, lost leases write nothing."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aisc.errors import AiscError, PlatformError
from aisc.identity import Plan
from aisc.ledger.runs import Step
from aisc.workbench import Workbench


def once(
    bench: Workbench, run_key: str, step: str, outputs: Mapping[str, Path], work: Callable[[Plan], str | None]
) -> str:
    """Run ``work`` unless an earlier attempt of the run has finished this step; then restore what it made.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        step: The step's name, the same in every attempt.
        outputs: The files that ``work`` writes, by name; they are kept in the store when the step is finished.
        work: Gets the plan; returns a short word that later steps branch on, or nothing.

    Returns:
        The word that ``work`` returned, now or in the attempt that finished the step; ``""`` for none.
    """
    state = bench.ledger.runs.begin_step(run_key, step, bench.attempt)
    with noting_faults(bench, run_key, state):
        if state.outputs is not None:
            for name, path in outputs.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                bench.store.fetch(step_key(run_key, step, state.outputs["attempt"], name), path)
            return str(state.outputs["word"])
        word = work(bench.ledger.runs.plan(run_key)) or ""
        for name, path in outputs.items():
            bench.store.put(step_key(run_key, step, state.attempt, name), path)
        bench.ledger.runs.finish_step(run_key, step, state.attempt, {"word": word, "attempt": state.attempt})
        return word


@contextmanager
def noting_faults(bench: Workbench, run_key: str, step: Step) -> Iterator[None]:
    """Write an exception of the body into the ledger, so that whoever ends the attempt knows whose fault it was."""
    attempt = bench.attempt or step.attempt
    try:
        yield
    except AiscError as error:
        message = f"{step.name}: {error.message}"
        bench.ledger.runs.note_fault(run_key, attempt, error.party, error.code, message)
        raise
    except Exception as error:
        message = f"{step.name}: {traceback.format_exception_only(error)[-1].strip()[:500]}"
        bench.ledger.runs.note_fault(run_key, attempt, "platform", "INTERNAL_ERROR", message)
        raise


def fetch_output(bench: Workbench, run_key: str, step: str, name: str, path: Path) -> None:
    """Fetch what a finished step of a run has kept.

    Raises:
        PlatformError: ``OUTPUT_MISSING`` when the step was never finished.
    """
    for one in bench.ledger.runs.steps(run_key):
        if one.name == step and one.outputs is not None:
            bench.store.fetch(step_key(run_key, step, one.outputs["attempt"], name), path)
            return
    raise PlatformError("OUTPUT_MISSING", f"Run {run_key[:12]} never finished {step}.", "Run the round again.")


def step_key(run_key: str, step: str, attempt: int, name: str) -> str:
    """Name the output of a step in the store."""
    return f"runs/{run_key}/{step}/{attempt}/{name}"
