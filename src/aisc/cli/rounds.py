"""``aisc round`` and ``aisc rescore``: evaluate, rank, publish."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, err, say, table
from aisc.cli.following import Progress, follow, progress
from aisc.cli.next_step import next_step
from aisc.cli.workspace import Workspace, open_workspace
from aisc.engine.local import LocalJob
from aisc.errors import PlatformError, TransientError, UsageError
from aisc.leaderboard.board import Board
from aisc.leaderboard.diff import as_table, diff
from aisc.leaderboard.matrix import Matrix
from aisc.stages import seasons
from aisc.stages.boards import latest_board
from aisc.stages.sweep_stage import enter_stage, preflight, run_command

app = typer.Typer(help="Run rounds and decide who goes on.", no_args_is_help=True)
EngineName = Annotated[Literal["local"], typer.Option(help="Where the compiled packages run.")]


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
        emit(summary(workspace, stage, board), as_json, lambda: show_round(workspace, stage, board))


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
        try:
            entered = {path: enter_stage(workspace.bench, workspace.season, path) for path in following}
        except UsageError as error:
            first = next_step(workspace, workspace.season.stage(following[0]))
            raise UsageError(error.code, error.message, first) from error
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
            emit(summary(workspace, stage, after), as_json, lambda: show_round(workspace, stage, after))
            return
        change = diff(before, after)
        emit(change.as_json(), as_json, lambda: _show_change(workspace, stage, after, as_table(change)))


def run_round(workspace: Workspace, stage: str, *, rescore: bool = False, quiet: bool = False) -> Board:
    """Run the round package on this machine and show its progress from the ledger.

    Raises:
        UsageError: As ``preflight``; ``STAGE_IS_TOURNAMENT``.
        TransientError: ``ROUND_STOPPED``.
        PlatformError: ``ROUND_FAILED``, ``BOARD_MISSING``; the log has the rest.
    """
    bench = workspace.bench
    ref = workspace.season.stage(stage)
    if ref.is_tournament:
        command = run_command(ref) + (" --rescore" if rescore else "")
        raise UsageError(
            "STAGE_IS_TOURNAMENT", f"{stage} is held together with the final of the other side.", f"Run '{command}'."
        )
    preflight(bench, workspace.season, stage, rescore=rescore)
    arguments = {"season": seasons.save(bench, workspace.season), "stage": stage, "rescore": rescore}
    job = workspace.engine().start("round", arguments, name=f"{stage}/round")
    follow(stage, lambda: _states(workspace, stage), job, quiet)
    check_end(job, f"The round of {stage}")
    board = latest_board(bench, stage)
    if board is None:
        raise PlatformError("BOARD_MISSING", f"The round of {stage} ended without a board.", f"Read {job.log}.")
    return board


def check_end(job: LocalJob, what: str) -> None:
    """Wait for the end of a round and raise what came of it.

    Raises:
        TransientError: ``ROUND_STOPPED``: somebody ended its process.
        PlatformError: ``ROUND_FAILED``.
    """
    code = job.wait()
    if code < 0:
        raise TransientError(
            "ROUND_STOPPED", f"{what} was stopped from outside.", "The same command goes on where it was."
        )
    if code > 0:
        raise PlatformError(
            "ROUND_FAILED", f"{what} did not end well{last_words(job.log)}.", f"Read {job.log}, then run it again."
        )


def last_words(log: Path) -> str:
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
    fine = min(digits, 4)
    names = board.part_names
    rows = []
    for row in board.ranked:
        entry = row.entry
        interval = f"{entry.interval.low:.{fine}f} to {entry.interval.high:.{fine}f}" if entry.interval else ""
        parts = {part.name: part.value for part in entry.parts}
        shown = [
            f"{value:.{fine}f}" if isinstance(value := parts.get(name, ""), float) else str(value) for name in names
        ]
        flags = ", ".join((*(("advances",) if entry.advances else ()), *entry.flags))
        rows.append((row.rank, entry.team, f"{entry.score:.{digits}f}", interval, *shown, flags))
    title = f"{board.title}, board {board.number}"
    table(title, ["Rank", "Team", board.measure.name, "95 % interval", *names, ""], rows)
    if board.matrix is not None:
        _show_matrix(board.matrix, fine)
    if board.unranked:
        apart = [(entry.team, entry.state, entry.reason_code, entry.reason) for entry in board.unranked]
        table("Not ranked", ["Team", "State", "Code", "Why"], apart)


def _show_matrix(matrix: Matrix, digits: int) -> None:
    """Print what every attack took from every defence."""
    rows = [
        (attack, *("" if cell is None else f"{cell:.{digits}f}" for cell in row))
        for attack, row in zip(matrix.attacks, matrix.deltas, strict=True)
    ]
    table("Every attack against every defence, points", ["", *matrix.defences], rows)


def summary(workspace: Workspace, stage: str, board: Board) -> dict[str, object]:
    """Give a board and where everything is, for a program."""
    url = workspace.bench.store.url(f"site/{stage}/index.html")
    return {"board": board.as_json(), "sha256": board.sha256, "page": url, "logs": workspace.logs / stage}


def _show_change(workspace: Workspace, stage: str, board: Board, change: object) -> None:
    err.print(change)
    show_round(workspace, stage, board)


def _states(workspace: Workspace, stage: str) -> list[Progress]:
    pinned = workspace.bench.ledger.stages.pinned(stage)
    runs = workspace.bench.ledger.runs.all(stage=stage, version_sha256=pinned.sha256 if pinned else "")
    return [progress(workspace, run) for run in runs]
