"""``aisc leaderboard``: show, publish, verify and compare boards."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, out, say
from aisc.cli.rounds import show_board
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import UsageError
from aisc.leaderboard.board import Board
from aisc.leaderboard.diff import as_table
from aisc.leaderboard.diff import diff as compare
from aisc.leaderboard.signing import ChainProblem, verify_chain
from aisc.stages.boards import latest_board, load_board
from aisc.stages.publish_leaderboard import PUBLIC_KEY, check_site, export_chain, publish_leaderboard
from aisc.stages.rank_stage import rank_stage

app = typer.Typer(help="Show, publish, verify and compare boards.", no_args_is_help=True)
Number = Annotated[int | None, typer.Option(help="A board's number; the latest if not given.")]


@app.command()
def show(stage: StageName, number: Number = None, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Show a stage's board.

    Example: aisc leaderboard show face/preliminary
    """
    with open_workspace(season) as workspace:
        board = _board(workspace, stage, number)
    emit(board.as_json(), as_json, lambda: show_board(board))


@app.command()
def publish(stage: StageName, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Rank what is evaluated and publish it, without evaluating anything; says the same as before if nothing changed.

    Example: aisc leaderboard publish face/evaluation
    """
    with open_workspace(season) as workspace:
        ranking = rank_stage(workspace.bench, workspace.season, stage)
        board = publish_leaderboard(workspace.bench, workspace.season, stage, ranking, workspace.key)
        page = workspace.bench.store.url(f"site/{stage}/index.html")

    def render() -> None:
        show_board(board)
        say(page)

    emit({"number": board.number, "sha256": board.sha256, "page": page}, as_json, render)


@app.command()
def verify(
    place: Annotated[str, typer.Argument(metavar="TRACK/STAGE|FOLDER", help="A stage, or a folder of board files.")],
    key: Annotated[Path | None, typer.Option(help="The organizers' public key; needed for a folder.")] = None,
    head: Annotated[str | None, typer.Option(help="SHA-256 of a board seen earlier, to be found in the chain.")] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Check signatures and hash chain of published boards; a folder is checked offline, by anyone.

    Example: aisc leaderboard verify ./downloaded --key board-key.pub.pem
    """
    folder = Path(place)
    beside: tuple[ChainProblem, ...] = ()
    if folder.is_dir():
        public = key or folder / PUBLIC_KEY
        report = verify_chain(folder, public, head=head)
        checked = "board-NNNN.json and signatures in the folder; a page or table beside them may still say otherwise"
        if key is None:
            checked += ". The key came from the same folder: compare its fingerprint with the organizers' own"
    else:
        with open_workspace(season) as workspace, tempfile.TemporaryDirectory() as scratch:
            _board(workspace, place, None)
            export_chain(workspace.bench, place, Path(scratch))
            report = verify_chain(Path(scratch), key or workspace.key.with_name(PUBLIC_KEY), head=head)
            beside = tuple(check_site(workspace.bench, place))
        checked = "signed boards in the store, and the published JSON, CSV and signatures"
    report = replace(report, problems=report.problems + beside)

    def render() -> None:
        for problem in report.problems:
            say(f"{problem.code} {problem.file}: {problem.message}")
        verdict = "hold" if report.ok else "DO NOT HOLD"
        say(f"{report.boards} boards {verdict}; newest {report.head_sha256[:16]}, key {report.key}")
        say(f"Checked: {checked}.")

    emit(report.as_json(), as_json, render)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def diff(
    stage: StageName,
    before: Annotated[int | None, typer.Option(help="Older board's number; the one before the latest.")] = None,
    after: Annotated[int | None, typer.Option(help="Newer board's number; the latest.")] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Show what changed between two boards of a stage.

    Example: aisc leaderboard diff face/preliminary --before 1
    """
    with open_workspace(season) as workspace:
        newer = _board(workspace, stage, after)
        if before is None and newer.number == 1:
            raise UsageError("BOARD_UNKNOWN", f"{stage} has no board before the first.", "Publish another one first.")
        older = _board(workspace, stage, before or newer.number - 1)
    change = compare(older, newer)
    emit(change.as_json(), as_json, lambda: out.print(as_table(change)))


def _board(workspace: Workspace, stage: str, number: int | None) -> Board:
    workspace.season.stage(stage)
    chain = workspace.bench.ledger.publications.all(stage)
    board = latest_board(workspace.bench, stage) if number is None else None
    if number is not None and 1 <= number <= len(chain):
        board = load_board(workspace.bench, chain[number - 1])
    if board is None:
        known = f"1 to {len(chain)}" if chain else "none yet"
        raise UsageError("BOARD_UNKNOWN", f"{stage} has no such board (boards: {known}).", "Run a round first.")
    return board
