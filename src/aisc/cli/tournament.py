"""``aisc tournament``: hold the finals of both sides of a task."""

from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, say
from aisc.cli.following import Progress, follow, progress
from aisc.cli.rounds import EngineName, check_end, show_round, summary
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import PlatformError
from aisc.leaderboard.board import Board
from aisc.stages import seasons
from aisc.stages.boards import latest_board
from aisc.stages.sweep_stage import preflight
from aisc.stages.tournament import Finals, contestants, finals_of, matches

app = typer.Typer(help="Hold tournaments: every attack meets every defence.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Hold tournaments: every attack meets every defence."""


@app.command()
def run(
    task: Annotated[str, typer.Argument(metavar="TRACK", help="reid or attributes: both sides of it.")],
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Compute everything again under the present versions.")
    ] = False,
    engine: EngineName = "local",
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Hold both finals of a task, or what is missing of them, and publish both boards.

    Every attack is run once, every defence on the clean pictures and on what each attack made. What was computed before
    is not computed again: one that was killed is continued, and a new entry costs its own cells.

    Example: aisc tournament run reid
    """
    with open_workspace(season) as workspace:
        finals = finals_of(workspace.season, task)
        boards = run_tournament(workspace, task, rescore=rescore, quiet=as_json)
        told = {ref.path: summary(workspace, ref.path, board) for ref, board in zip(finals, boards, strict=True)}
        emit(told, as_json, lambda: _show(workspace, finals, boards))


def run_tournament(
    workspace: Workspace, task: str, *, rescore: bool = False, quiet: bool = False
) -> tuple[Board, Board]:
    """Run the tournament package on this machine; gives the attacks' and the defences' board.

    Raises:
        UsageError: ``TOURNAMENT_UNKNOWN``; as ``preflight``.
        TransientError: ``ROUND_STOPPED``.
        PlatformError: ``ROUND_FAILED``, ``BOARD_MISSING``; the log has the rest.
    """
    bench, finals = workspace.bench, finals_of(workspace.season, task)
    for ref in finals:
        preflight(bench, workspace.season, ref.path, rescore=rescore)
    arguments = {
        "season": seasons.save(bench, workspace.season),
        "attack": finals.attack.path,
        "defence": finals.defence.path,
        "rescore": rescore,
    }
    job = workspace.engine().start("tournament", arguments, name=f"{task}/tournament")
    follow(f"tournament {task}", lambda: _states(workspace, finals), job, quiet)
    check_end(job, f"The tournament {task}")
    boards = [latest_board(bench, ref.path) for ref in finals]
    if boards[0] is None or boards[1] is None:
        raise PlatformError("BOARD_MISSING", f"The tournament {task} ended without a board.", f"Read {job.log}.")
    return boards[0], boards[1]


def _show(workspace: Workspace, finals: Finals, boards: tuple[Board, Board]) -> None:
    for ref, board in zip(finals, boards, strict=True):
        show_round(workspace, ref.path, board)
    matrix = boards[0].matrix
    if matrix is not None and matrix.missing:
        say(f"UNFINISHED: {matrix.missing} cells are missing; whose line has a gap has no mean and no rank.")


def _states(workspace: Workspace, finals: Finals) -> list[Progress]:
    """Tell of every run of the tournament: attacks, clean passes, matches."""
    sides = [contestants(workspace.bench, ref) for ref in finals]
    found = [progress(workspace, one.run) for side in sides for one in side if one.run is not None]
    standing = [[one for one in side if one.stands] for side in sides]
    played = matches(workspace.bench, workspace.season, finals, *standing)
    return found + [
        progress(workspace, match.run, f"{defence} under {attack}")
        for (attack, defence), match in played.items()
        if match.run is not None
    ]
