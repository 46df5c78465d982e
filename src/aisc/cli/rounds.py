"""``aisc round`` and ``aisc rescore``: evaluate, rank, publish."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.live import Live
from rich.table import Table

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, err, say, table
from aisc.cli.workspace import Workspace, open_workspace
from aisc.engine.local import LocalJob
from aisc.errors import PlatformError, UsageError
from aisc.leaderboard.board import Board
from aisc.leaderboard.diff import as_table, diff
from aisc.ledger.runs import FINAL_STATES
from aisc.stages import seasons
from aisc.stages.boards import latest_board
from aisc.stages.sweep_stage import enter_stage, preflight

app = typer.Typer(help="Run rounds and decide who goes on.", no_args_is_help=True)
EngineName = Annotated[Literal["local"], typer.Option(help="Where the compiled packages run.")]
STEPS = (
    "ingest_submission",
    "validate_submission",
    "run_submission",
    "query_victims",
    "compute_metrics",
    "publish_result",
)


@app.command()
def run(
    stage: StageName, engine: EngineName = "local", season: SeasonFile = DEFAULT_SEASON, as_json: Json = False
) -> None:
    """Evaluate what is pending in a stage, rank it and publish the board.

    A round that was killed is continued by running it again: finished steps are not repeated.

    Example: aisc round run face/preliminary
    """
    with open_workspace(season) as workspace:
        board = run_round(workspace, stage, quiet=as_json)
        emit(_summary(workspace, stage, board), as_json, lambda: show_round(workspace, stage, board))


@app.command()
def advance(stage: StageName, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Decide who goes on from a stage, by its latest board.

    Example: aisc round advance face/evaluation
    """
    with open_workspace(season) as workspace:
        ref = workspace.season.stage(stage)
        following = [
            other.path
            for other in workspace.season.stages()
            if other.track == ref.track and other.stage.after == ref.name
        ]
        if not following:
            raise UsageError("STAGE_IS_LAST", f"No stage follows {stage}.", "Name the stage that teams come from.")
        entered = {path: enter_stage(workspace.bench, workspace.season, path) for path in following}
    rows = [(path, entry.team, entry.submission, entry.from_board) for path in entered for entry in entered[path]]
    emit(
        {path: [entry._asdict() for entry in entries] for path, entries in entered.items()},
        as_json,
        lambda: table("", ["Enters", "Team", "With submission", "By board"], rows),
    )


def rescore(stage: StageName, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Score a stage again under the present data, victims, limits and code, and show what changed.

    The earlier scores and boards stay; the new board is the next one of the chain.

    Example: aisc rescore face/preliminary
    """
    with open_workspace(season) as workspace:
        before = latest_board(workspace.bench, stage)
        after = run_round(workspace, stage, rescore=True, quiet=as_json)
        if before is None or before.sha256 == after.sha256:
            emit(_summary(workspace, stage, after), as_json, lambda: show_round(workspace, stage, after))
            return
        change = diff(before, after)
        emit(change.as_json(), as_json, lambda: _show_change(workspace, stage, after, as_table(change)))


def run_round(workspace: Workspace, stage: str, *, rescore: bool = False, quiet: bool = False) -> Board:
    """Run the round package on this machine and show its progress from the ledger.

    Raises:
        UsageError: As ``preflight``.
        PlatformError: ``ROUND_FAILED``, ``BOARD_MISSING``; the log has the rest.
    """
    bench = workspace.bench
    preflight(bench, workspace.season, stage, rescore=rescore)
    arguments = {"season": seasons.save(bench, workspace.season), "stage": stage, "rescore": rescore}
    job = workspace.engine().start("round", arguments, name=f"{stage}/round")
    _follow(workspace, stage, job, quiet)
    if job.wait() != 0:
        raise PlatformError(
            "ROUND_FAILED", f"The round did not end well{_last_words(job.log)}.", f"Read {job.log}, then run it again."
        )
    board = latest_board(bench, stage)
    if board is None:
        raise PlatformError("BOARD_MISSING", f"The round of {stage} ended without a board.", f"Read {job.log}.")
    return board


def _last_words(log: Path) -> str:
    """Give the last error that a package's log names, as the rest of a sentence."""
    said = re.findall(r"^\s*aisc\.errors\.\w+: (.+?)\.?$", log.read_text(errors="replace"), re.MULTILINE)
    return f": {said[-1]}" if said else ""


def show_round(workspace: Workspace, stage: str, board: Board) -> None:
    """Print a board and where everything is."""
    show_board(board)
    bench = workspace.bench
    say(f"Page   {bench.store.url(f'site/{stage}/index.html')}")
    say(f"Logs   {workspace.logs / stage}")
    states = Counter(run.state for run in bench.ledger.runs.all(stage=stage))
    if states["quarantined"]:
        say(f"{states['quarantined']} runs are quarantined: 'aisc runs list --stage {stage}' tells why.")


def show_board(board: Board) -> None:
    """Print a board as a table."""
    digits = board.measure.digits
    names = board.part_names
    rows = []
    for row in board.ranked:
        entry = row.entry
        interval = f"{entry.interval.low:.4f} to {entry.interval.high:.4f}" if entry.interval else ""
        parts = {part.name: part.value for part in entry.parts}
        shown = [f"{value:.4f}" if isinstance(value := parts.get(name, ""), float) else str(value) for name in names]
        flags = ", ".join((*(("advances",) if entry.advances else ()), *entry.flags))
        rows.append((row.rank, entry.team, f"{entry.score:.{digits}f}", interval, *shown, flags))
    title = f"{board.title}, board {board.number}"
    table(title, ["Rank", "Team", board.measure.name, "95 % interval", *names, ""], rows)
    if board.unranked:
        apart = [(entry.team, entry.state, entry.reason_code, entry.reason) for entry in board.unranked]
        table("Not ranked", ["Team", "State", "Code", "Why"], apart)


def _summary(workspace: Workspace, stage: str, board: Board) -> dict[str, object]:
    url = workspace.bench.store.url(f"site/{stage}/index.html")
    return {"board": board.as_json(), "sha256": board.sha256, "page": url, "logs": workspace.logs / stage}


def _show_change(workspace: Workspace, stage: str, board: Board, change: object) -> None:
    err.print(change)
    show_round(workspace, stage, board)


def _follow(workspace: Workspace, stage: str, job: LocalJob, quiet: bool) -> None:
    """Show the runs of a stage until the job ends: a live table on a terminal, a line a change elsewhere."""
    if quiet or not err.is_terminal:
        said: dict[str, str] = {}
        while job.exit_code() is None:
            for team, key, state, step in _states(workspace, stage):
                line = f"{team}  {key[:12]}  {state}{' ' + step if step else ''}"
                if not quiet and said.get(key) != line:
                    said[key] = line
                    err.print(line, markup=False)
            time.sleep(0.5)
        return
    with Live(console=err, refresh_per_second=4, transient=True) as live:
        while job.exit_code() is None:
            live.update(_progress_table(workspace, stage))
            time.sleep(0.25)


def _progress_table(workspace: Workspace, stage: str) -> Table:
    states = _states(workspace, stage)
    ended = sum(state in FINAL_STATES for _, _, state, _ in states)
    shown = Table(title=f"{stage}: {ended} of {len(states)} evaluated", title_justify="left")
    for column in ("Team", "Run", "State", "Step", ""):
        shown.add_column(column)
    going = [row for row in states if row[2] not in FINAL_STATES] or states
    for team, key, state, step in going[:20]:
        stage = step.partition("/")[0]
        done = STEPS.index(stage) if stage in STEPS else len(STEPS) if state in FINAL_STATES else 0
        shown.add_row(team, key[:12], state, step, "█" * done + "░" * (len(STEPS) - done))
    return shown


def _states(workspace: Workspace, stage: str) -> list[tuple[str, str, str, str]]:
    runs = workspace.bench.ledger.runs
    pinned = workspace.bench.ledger.stages.pinned(stage)
    found = []
    for run in runs.all(stage=stage, version_sha256=pinned.sha256 if pinned else ""):
        steps = [step.name for step in runs.steps(run.run_key) if step.finished_at is None] if run.owner else []
        found.append((run.team, run.run_key, run.state, steps[-1] if steps else ""))
    return found
