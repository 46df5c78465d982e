"""What an organizer does first when a stage is not ready."""

from aisc.cli.workspace import Workspace
from aisc.season import StageRef
from aisc.stages.boards import latest_board
from aisc.stages.sweep_stage import run_command


def next_step(workspace: Workspace, ref: StageRef) -> str:
    """Name the first command that is missing before a stage has teams and a board; one that would work.

    A stage that follows others waits for all of them: for submissions until the first has closed, then for boards.
    """
    bench = workspace.bench
    if ref.stage.after is None:
        return f"Run '{run_command(ref)}'."
    earlier = workspace.season.stage(f"{ref.track}/{ref.stage.after}")
    if earlier.stage.takes_uploads and bench.ledger.now() < earlier.stage.closes:
        return (
            f"{earlier.path} takes submissions until {earlier.stage.closes:%Y-%m-%d %H:%M %Z}; "
            f"then run '{run_command(earlier)}'."
        )
    if latest_board(bench, earlier.path) is not None:
        return f"Run '{run_command(ref)}'."
    if bench.ledger.stages.entries(earlier.path):
        return f"Run '{run_command(earlier)}'."
    return next_step(workspace, earlier)
