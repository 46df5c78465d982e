"""``aisc demo``: a whole season in minutes, on embedded defaults."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from aisc.cli.console import Json, emit, err, say
from aisc.cli.data import make_dataset
from aisc.cli.demos import deepfake, driving, face, safair
from aisc.cli.demos.play import Entrant, Play
from aisc.cli.reviews import read_reviews
from aisc.cli.rounds import run_round, show_board
from aisc.cli.tournament import run_tournament
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import UsageError
from aisc.kit import write_kit
from aisc.leaderboard.board import Board
from aisc.reception import receive
from aisc.season import StageRef, load_season, season_text
from aisc.stages.sweep_stage import enter_stage, taking_part
from aisc.stages.tournament import finals_of
from aisc.victims.builtin import builtin_package
from aisc.workbench import unpack

PLAYS: Final[dict[str, tuple[Play, ...]]] = {
    **{play.track: (play,) for play in (face.PLAY, driving.PLAY, deepfake.PLAY)},
    "reid": safair.plays("reid"),
    "attributes": safair.plays("attributes"),
}
"""By track, or by task where two tracks end in a tournament."""


def demo(
    track: Annotated[
        list[str] | None, typer.Option(help=f"Only this one of {', '.join(PLAYS)}; again for more.")
    ] = None,
    workspace: Annotated[
        Path, typer.Option(help="Folder of the demo; a second call goes on where one stopped.")
    ] = Path("aisc-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="The smallest data: shows the way, not the strength.")] = False,
    as_json: Json = False,
) -> None:
    """Make a season, data, victims and starter submissions; run every round; publish; say where everything is.

    Example: aisc demo --track driving --workspace aisc-demo
    """
    chosen = track or list(PLAYS)
    unknown = sorted(set(chosen) - set(PLAYS))
    if unknown:
        remedy = f"Name one of: {', '.join(PLAYS)}; 'reid' and 'attributes' are attack and defence together."
        raise UsageError("TRACK_UNKNOWN", f"The demo has no track {unknown[0]!r}.", remedy)
    started = time.monotonic()
    file = workspace / "season.yaml"
    if not file.exists():
        if workspace.exists() and any(workspace.iterdir()):
            raise UsageError("DEMO_FOLDER", f"{workspace} holds other things.", "Choose a new folder.")
        workspace.mkdir(parents=True, exist_ok=True)
        file.write_text(season_text("aisc-demo", datetime.now(UTC).date(), title="AISC demo season"))
    boards: dict[str, Board] = {}
    for name in chosen:
        for play in PLAYS[name]:
            boards |= _play(play, file, quick, as_json)
        if len(PLAYS[name]) > 1:
            boards |= _hold_tournament(name, file, as_json)
    with open_workspace(file) as opened:
        places = _places(opened, workspace)
    seconds = time.monotonic() - started
    found = {"seconds": round(seconds, 1), "boards": {path: board.as_json() for path, board in boards.items()}} | places

    def render() -> None:
        for board in boards.values():
            show_board(board)
        for name, place in places.items():
            say(f"{name:8} {place}")
        say(f"The demo of {', '.join(chosen)} took {seconds:.0f} s.")

    emit(found, as_json, render)


def _play(play: Play, file: Path, quick: bool, quiet: bool) -> dict[str, Board]:
    """Hold the stages of a track, one after the other, as far as it needs no other track."""
    with open_workspace(file) as opened:
        _load(opened, play, quick)
        refs = [ref for ref in opened.season.stages() if ref.track == play.track and not ref.is_tournament]
    boards = {}
    for ref in refs:
        if ref.stage.after is not None:
            _move_on(file, ref)
        with open_workspace(file) as opened:
            current = opened.season.stage(ref.path)
            if ref.stage.after is not None and not opened.bench.ledger.stages.entries(ref.path):
                enter_stage(opened.bench, opened.season, ref.path)
            if current.stage.takes_uploads:
                _compete(opened, play, current, file.parent, quick)
            why = play.invented.get(ref.name)
            _step(f"round of {ref.path}" + (f" (its results are invented: {why})" if why else ""))
            if current.stage.takes_uploads and play.reviews.get(ref.name):
                # Experts judge what was evaluated; entries of a stage without uploads are known before.
                run_round(opened, ref.path, quiet=quiet)
            _judge(opened, play, current, file.parent)
            boards[ref.path] = run_round(opened, ref.path, quiet=quiet)
    return boards


def _hold_tournament(task: str, file: Path, quiet: bool) -> dict[str, Board]:
    """Hold the finals of both sides of a task."""
    with open_workspace(file) as opened:
        finals = finals_of(opened.season, task)
    for ref in finals:
        _move_on(file, ref)
    with open_workspace(file) as opened:
        _step(f"tournament {task}: every attack that goes on meets every defence that does")
        boards = run_tournament(opened, task, quiet=quiet)
    return {ref.path: board for ref, board in zip(finals, boards, strict=True)}


def _load(opened: Workspace, play: Play, quick: bool) -> None:
    """Bring in data and models, unless an earlier call did."""
    known = {(asset.kind, asset.name) for asset in opened.bench.ledger.assets.all()}
    stages = [ref.stage for ref in opened.season.stages() if ref.track == play.track]
    names = {name for stage in stages for name in (stage.data, stage.training) if name}
    for name in sorted(name for name in names if ("data", name) not in known):
        _step(f"synthetic {name}")
        size = play.sizes.get(name) if quick else play.demo_sizes.get(name)
        make_dataset(opened.bench, name, size, play.seed, jobs=2)
    models = {name for stage in stages for name in (*stage.victims, *stage.surrogates)}
    for name in sorted(name for name in models if ("victim", name) not in known):
        opened.bench.register("victim", name, builtin_package(name))


def _compete(opened: Workspace, play: Play, ref: StageRef, workspace: Path, quick: bool) -> None:
    """Play the participants: take the kit, attack the surrogates, submit."""
    kit = workspace / "kits" / ref.track / ref.name
    entries = workspace / "submissions" / ref.track
    if not kit.exists():
        _step(f"participants' kit of {ref.path}")
        making = kit.with_name(f"{ref.name}-in-the-making")
        write_kit(opened.bench, ref, making)
        making.rename(kit)
    entries.mkdir(parents=True, exist_ok=True)
    entrants = play.entrants(ref.name, quick)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda entrant: _make(entrant, kit, entries / entrant.file), entrants))
    ledger = opened.bench.ledger
    for entrant in entrants:
        file = entries / entrant.file
        if entrant.team not in {known.name for known in ledger.teams.all()}:
            ledger.teams.add(entrant.team)
        if not ledger.submissions.all(stage=ref.path, team=entrant.team):
            receipt = receive(opened.bench, opened.season, ref.path, entrant.team, file)
            err.print(f"receipt {receipt.id} for {entrant.team}", markup=False)


def _make(entrant: Entrant, kit: Path, file: Path) -> None:
    """Let a team make its submission, unless an earlier call did; what is half made has another name."""
    if not file.exists():
        _step(f"{entrant.team} makes {entrant.file}")
        making = file.with_name(f"making-{file.name}")
        entrant.make(kit, making)
        making.rename(file)


def _judge(opened: Workspace, play: Play, ref: StageRef, workspace: Path) -> None:
    """Enter what the experts say of a stage, once."""
    form = play.reviews.get(ref.name)
    reviews = opened.bench.ledger.reviews
    if form is not None and not reviews.latest(ref.path):
        table = workspace / f"{ref.track}-{ref.name}-review.csv"
        table.write_text(form)
        reviews.add(ref.path, "demo", read_reviews(table, ref, taking_part(opened.bench, ref)))


def _move_on(file: Path, ref: StageRef) -> None:
    """Close the stage before and open this one as an organizer would: by their times in the season file."""
    now = datetime.now(UTC)
    earlier = load_season(file).stage(f"{ref.track}/{ref.stage.after}").stage
    if earlier.closes > now:
        file.write_text(_with_time(file.read_text(), ref.track, str(ref.stage.after), "closes", now))
    # Read again: a stage without times of its own opens when the one before closes.
    text, current = file.read_text(), load_season(file).stage(ref.path).stage
    if current.opens > now:
        text = _with_time(text, ref.track, ref.name, "opens", now)
    if current.takes_uploads and current.closes <= now:
        text = _with_time(text, ref.track, ref.name, "closes", now + timedelta(days=7))
    file.write_text(text)


def _with_time(text: str, track: str, stage: str, key: str, moment: datetime) -> str:
    """Change one time of one stage in a season file, and leave every other character."""
    lines = text.splitlines(keepends=True)
    first = lines.index(next(line for line in lines if line.startswith(f"  {track}:")))
    begin = next(n for n in range(first, len(lines)) if lines[n].startswith(f"      {stage}:"))
    place = next(n for n in range(begin, len(lines)) if lines[n].startswith(f"        {key}:"))
    lines[place] = f"        {key}: {moment:%Y-%m-%dT%H:%M:%S}\n"
    return "".join(lines)


def _places(opened: Workspace, workspace: Path) -> dict[str, str]:
    """Fetch every team's bundle; say where page, bundles and logs are."""
    bench = opened.bench
    bundles = workspace / "results"
    pinned = {ref.path: bench.ledger.stages.pinned(ref.path) for ref in opened.season.stages()}
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "bundle.tar")
        for run in bench.ledger.runs.all():
            version = pinned.get(run.stage)
            # A tournament's matches are runs as well, each under a version of its own; their sum is on the board.
            if run.result_key and version is not None and run.version_sha256 == version.sha256:
                folder = bundles / run.stage / run.team
                folder.mkdir(parents=True, exist_ok=True)
                bench.store.fetch(run.result_key, archive)
                unpack(archive, folder)
    return {"page": bench.store.url("site/index.html"), "bundles": str(bundles), "logs": str(opened.logs)}


def _step(what: str) -> None:
    err.print(f"· {what}", style="bold", markup=False)
