"""Do a step of a run once: finished steps are fetched, faults are written down, lost leases write nothing."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from aisc.errors import AiscError
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
    if state.outputs is not None:
        for name, path in outputs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            bench.store.fetch(step_key(run_key, step, state.outputs["attempt"], name), path)
        return str(state.outputs["word"])
    with noting_faults(bench, run_key, state):
        word = work(bench.ledger.runs.plan(run_key)) or ""
        for name, path in outputs.items():
            bench.store.put(step_key(run_key, step, state.attempt, name), path)
        bench.ledger.runs.finish_step(run_key, step, state.attempt, {"word": word, "attempt": state.attempt})
    return word


class noting_faults:  # noqa: N801 - reads as a statement: ``with noting_faults(…):``
    """Write an exception of the body into the ledger, so that whoever ends the attempt knows whose fault it was."""

    def __init__(self, bench: Workbench, run_key: str, step: Step) -> None:
        self._bench = bench
        self._run_key = run_key
        self._step = step

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Note the fault and let it go on."""
        if not isinstance(error, Exception):
            return
        if isinstance(error, AiscError):
            party, code, message = error.party, error.code, f"{self._step.name}: {error.message}"
        else:
            party, code = "platform", "INTERNAL_ERROR"
            message = f"{self._step.name}: {traceback.format_exception_only(error)[-1].strip()[:500]}"
        self._bench.ledger.runs.note_fault(self._run_key, self._step.attempt, party, code, message)


def step_key(run_key: str, step: str, attempt: int, name: str) -> str:
    """Name the output of a step in the store."""
    return f"runs/{run_key}/{step}/{attempt}/{name}"
