"""What a person sees of a round while it runs."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple

from rich.live import Live
from rich.table import Table

from aisc.cli.console import err
from aisc.cli.stopping import stops_aloud
from aisc.cli.workspace import Workspace
from aisc.engine.local import LocalJob
from aisc.ledger.leases import is_dead
from aisc.ledger.runs import FINAL_STATES, Run

STEPS: Final = (
    "ingest_submission",
    "validate_submission",
    "run_submission",
    "query_victims",
    "compute_metrics",
    "publish_result",
)


class Progress(NamedTuple):
    """A run as far as it has come."""

    team: str
    key: str
    state: str
    step: str
    owner: str | None


def progress(workspace: Workspace, run: Run, team: str = "") -> Progress:
    """Tell how far a run has come; ``team`` where more than the team's name is to be shown."""
    steps = workspace.bench.ledger.runs.steps(run.run_key) if run.owner else []
    going = [step.name for step in steps if step.finished_at is None]
    owner = run.owner if run.state == "running" else None
    return Progress(team or run.team, run.run_key, run.state, going[-1] if going else "", owner)


def follow(title: str, states: Callable[[], list[Progress]], job: LocalJob, quiet: bool) -> None:
    """Show runs until the job ends: a live table on a terminal, a line a change elsewhere.

    What another round has begun is waited for, and said once; so is that a job stopped from outside goes on later.
    """
    on_terminal = err.is_terminal and not quiet
    said: dict[str, str] = {}
    alone = True
    with ExitStack() as stack:
        stack.enter_context(stops_aloud(title))
        live = stack.enter_context(Live(console=err, refresh_per_second=4, transient=True)) if on_terminal else None
        while job.exit_code() is None:
            found = [] if quiet else states()
            if alone and any(one.owner and not is_dead(one.owner) and not job.leads(one.owner) for one in found):
                alone = False
                err.print(f"{title}: another round is at work; this one waits for what that one has begun.")
            if live is not None:
                live.update(_progress_table(title, found))
            else:
                _say_changes(found, said)
            time.sleep(0.25 if on_terminal else 0.5)


def _say_changes(found: list[Progress], said: dict[str, str]) -> None:
    for one in found:
        line = f"{one.team}  {one.key[:12]}  {one.state}{' ' + one.step if one.step else ''}"
        if said.get(one.key) != line:
            said[one.key] = line
            err.print(line, markup=False)


def _progress_table(title: str, states: list[Progress]) -> Table:
    ended = sum(one.state in FINAL_STATES for one in states)
    shown = Table(title=f"{title}: {ended} of {len(states)} evaluated", title_justify="left")
    for column in ("Team", "Run", "State", "Step", ""):
        shown.add_column(column)
    going = [one for one in states if one.state not in FINAL_STATES] or states
    for one in going[:20]:
        stage = one.step.partition("/")[0]
        done = STEPS.index(stage) if stage in STEPS else len(STEPS) if one.state in FINAL_STATES else 0
        shown.add_row(one.team, one.key[:12], one.state, one.step, "█" * done + "░" * (len(STEPS) - done))
    return shown
