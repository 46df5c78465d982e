"""``aisc runs``: what ops do."""

import time
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, say, table, when
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import UsageError
from aisc.ledger.runs import FINAL_STATES, Run
from aisc.stages.sweep_stage import run_command

LAST_LINES = 30
app = typer.Typer(help="List, watch, read, retry and cancel runs.", no_args_is_help=True)
RunKey = Annotated[str, typer.Argument(metavar="RUN", help="A run's key, or enough of its beginning.")]
StageOption = Annotated[str | None, typer.Option("--stage", help="Only this stage.")]


@app.command("list")
def list_runs(stage: StageOption = None, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """List runs: what is queued, running, stuck, and why.

    Example: aisc runs list --stage face/preliminary
    """
    with open_workspace(season) as workspace:
        runs = workspace.bench.ledger.runs.all(stage=stage)
    emit([run._asdict() for run in runs], as_json, lambda: _table(runs))


@app.command()
def watch(stage: StageOption = None, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Wait until every run has its verdict; say every change.

    Example: aisc runs watch --stage face/preliminary
    """
    said: dict[str, str] = {}
    with open_workspace(season) as workspace:
        while True:
            runs = workspace.bench.ledger.runs.all(stage=stage)
            for run in runs:
                if said.get(run.run_key) != run.state:
                    said[run.run_key] = run.state
                    if not as_json:
                        say(f"{run.run_key[:12]}  {run.team}  {run.state}  {run.code or ''}")
            if all(run.state in FINAL_STATES for run in runs):
                break
            time.sleep(1)
    emit([run._asdict() for run in runs], as_json, lambda: None)


@app.command()
def logs(
    run: RunKey,
    full: Annotated[bool, typer.Option("--full", help="All of the tasks' output, not only its end.")] = False,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Show the end of the log of a run's tasks, then its attempts and steps.

    Example: aisc runs logs 3f9a
    """
    with open_workspace(season) as workspace:
        found = _find(workspace, run)
        attempts = workspace.bench.ledger.runs.attempts(found.run_key)
        steps = workspace.bench.ledger.runs.steps(found.run_key)
        file = workspace.logs / found.stage / f"{found.run_key[:16]}.log"
        text = file.read_text(errors="replace") if file.exists() else ""

    def render() -> None:
        lines = text.splitlines()
        say("\n".join(lines if full else lines[-LAST_LINES:]) or f"No log at {file}.")
        if len(lines) > LAST_LINES and not full:
            say(f"(the last {LAST_LINES} of {len(lines)} lines of {file}; --full shows all)")
        _table([found])
        tried = [(a.number, a.started_at, a.ended_at, a.outcome, a.code, a.message) for a in attempts]
        table("Attempts", ["No", "Started (UTC)", "Ended", "Outcome", "Code", "Message"], tried)
        done = [(s.name, s.begun, s.attempt, s.started_at, s.finished_at) for s in steps]
        table("Steps", ["Step", "Begun", "Last in attempt", "Started (UTC)", "Finished"], done)

    found_json = {
        "run": found._asdict(),
        "attempts": [a._asdict() for a in attempts],
        "steps": [s._asdict() for s in steps],
        "log": text,
    }
    emit(found_json, as_json, render)


@app.command()
def retry(run: RunKey, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Queue a quarantined or cancelled run again; the next round takes it up.

    Example: aisc runs retry 3f9a
    """
    with open_workspace(season) as workspace:
        found = _find(workspace, run)
        workspace.bench.ledger.runs.retry(found.run_key)
        done = f"Queued again; '{run_command(workspace.season.stage(found.stage))}' evaluates it."
    emit({"run_key": found.run_key, "state": "pending"}, as_json, lambda: say(done))


@app.command()
def cancel(run: RunKey, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Stop a run that is queued or running.

    Example: aisc runs cancel 3f9a
    """
    with open_workspace(season) as workspace:
        found = _find(workspace, run)
        workspace.bench.ledger.runs.cancel(found.run_key)
    emit({"run_key": found.run_key, "state": "cancelled"}, as_json, lambda: say(f"Cancelled {found.run_key[:12]}."))


def _find(workspace: Workspace, beginning: str) -> Run:
    found = [run for run in workspace.bench.ledger.runs.all() if run.run_key.startswith(beginning)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise UsageError("RUN_UNKNOWN", f"{what} begins with {beginning!r}.", "'aisc runs list' shows the keys.")
    return found[0]


def _table(runs: list[Run]) -> None:
    rows = [
        (
            run.run_key[:12],
            run.team,
            run.stage,
            run.state,
            f"{run.attempt}/{run.attempts_allowed}",
            when(run.queued_at),
            when(run.finished_at),
            f"{run.code or ''} {run.message or ''}".strip(),
        )
        for run in runs
    ]
    table("", ["Run", "Team", "Stage", "State", "Tries", "Queued (UTC)", "Ended", "Why"], rows)
