"""``aisc demo``: a whole season in minutes, on embedded defaults."""

import re
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import typer

from aisc.cli.console import Json, emit, err, say
from aisc.cli.data import make_face_pairs
from aisc.cli.reviews import read_reviews
from aisc.cli.rounds import run_round, show_board
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import PlatformError, UsageError
from aisc.kit import write_kit
from aisc.leaderboard.board import Board
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.sweep_stage import enter_stage, taking_part
from aisc.victims.builtin import builtin_package, surrogate_packages
from aisc.workbench import unpack

TEAMS = {"Rectangle": "rectangle", "Momentum": "mi", "Ensemble": "ensemble"}
REFUSED_TEAM = "Sixteen Bits"
PRELIMINARY, EVALUATION, FINAL = "face/preliminary", "face/evaluation", "face/final"
VERDICTS = "team,verdict,note\n" + "".join(f"{team},pass,\n" for team in TEAMS)
# Invented: nobody can hold a patch before a camera here. Two teams tie, one patch is too large.
PHYSICAL = "team,targets,deceived,area_cm2,liveness\nEnsemble,10,10,58,passed\nMomentum,10,10,60,passed\n"
PHYSICAL += "Rectangle,10,3,75,passed\n"


def demo(
    track: Annotated[Literal["face"], typer.Option(help="The track to show.")] = "face",
    workspace: Annotated[
        Path, typer.Option(help="Folder of the demo; a second call goes on where one stopped.")
    ] = Path("aisc-demo"),
    pairs: Annotated[int, typer.Option(min=4, max=3000, help="How many pairs of faces.")] = 300,
    as_json: Json = False,
) -> None:
    """Make a season, data, victims and starter submissions; run every round; publish; say where everything is.

    Example: aisc demo --workspace aisc-demo
    """
    started = time.monotonic()
    file = workspace / "season.yaml"
    if not file.exists():
        if workspace.exists() and any(workspace.iterdir()):
            raise UsageError("DEMO_FOLDER", f"{workspace} holds other things.", "Choose a new folder.")
        workspace.mkdir(parents=True, exist_ok=True)
        file.write_text(season_text("aisc-demo", datetime.now(UTC).date(), title="AISC demo season"))
    with open_workspace(file) as opened:
        _load(opened, pairs)
        _compete(opened, workspace)
    _step("round of the preliminary")
    with open_workspace(file) as opened:
        boards = {PRELIMINARY: run_round(opened, PRELIMINARY, quiet=as_json)}
    _close(file)
    with open_workspace(file) as opened:
        boards |= _finish(opened, workspace, as_json)
        places = _places(opened, workspace)
    seconds = time.monotonic() - started
    found = {"seconds": round(seconds, 1), "boards": {path: board.as_json() for path, board in boards.items()}} | places

    def render() -> None:
        for board in boards.values():
            show_board(board)
        for name, place in places.items():
            say(f"{name:8} {place}")
        say(f"The demo of the {track} track took {seconds:.0f} s.")

    emit(found, as_json, render)


def _load(opened: Workspace, pairs: int) -> None:
    """Bring in data and victims, unless an earlier call did."""
    known = {(asset.kind, asset.name) for asset in opened.bench.ledger.assets.all()}
    stages = [ref.stage for ref in opened.season.stages()]
    for name in sorted({stage.data for stage in stages if stage.data}):
        if ("data", name) not in known:
            _step(f"{pairs} pairs of synthetic faces")
            make_face_pairs(opened.bench, name, pairs, seed=0, jobs=2)
    for name in sorted({name for stage in stages for name in stage.victims}):
        if ("victim", name) not in known:
            opened.bench.register("victim", name, builtin_package(name))


def _compete(opened: Workspace, workspace: Path) -> None:
    """Play the participants: take the kit, attack the surrogates, submit."""
    kit, entries = workspace / "kit", workspace / "submissions"
    ref = opened.season.stage(PRELIMINARY)
    if not kit.exists():
        _step("participants' kit")
        data = opened.bench.asset(opened.bench.ledger.assets.current("data", str(ref.stage.data)))
        making = workspace / "kit-in-the-making"
        write_kit(ref, data, surrogate_packages(), making)
        making.rename(kit)
    entries.mkdir(exist_ok=True)
    for team, attack in TEAMS.items():
        if not (entries / f"{attack}.zip").exists():
            _step(f"{team} attacks the surrogates ({attack})")
            _attack(kit, attack, entries / f"{attack}.zip")
    if not (entries / "sixteen-bits.zip").exists():
        _break_a_rule(kit, entries / "sixteen-bits.zip")
    ledger = opened.bench.ledger
    for team, attack in {**TEAMS, REFUSED_TEAM: "sixteen-bits"}.items():
        if team not in {known.name for known in ledger.teams.all()}:
            ledger.teams.add(team)
        if not ledger.submissions.all(stage=PRELIMINARY, team=team):
            receipt = receive(opened.bench, opened.season, PRELIMINARY, team, entries / f"{attack}.zip")
            err.print(f"receipt {receipt.id} for {team}", markup=False)


def _attack(kit: Path, attack: str, target: Path) -> None:
    making = target.with_suffix(".making.zip")
    script = kit / "starter" / "attack.py"
    done = subprocess.run(  # noqa: S603 - our own starter kit
        [sys.executable, str(script), str(kit), "--attack", attack, "--out", str(making)],
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode != 0:
        raise PlatformError(
            "STARTER_FAILED", f"The starter attack {attack} ended with {done.returncode}.", "Read above."
        )
    making.rename(target)


def _break_a_rule(kit: Path, target: Path) -> None:
    """Submit the originals, one of them with 16 bits a channel: what a refusal looks like."""
    names = sorted(path for path in (kit / "pairs").glob("*.png") if not path.stem.endswith("_compare"))
    making = target.with_suffix(".making.zip")
    with zipfile.ZipFile(making, "w") as archive:
        for path in names[1:]:
            archive.write(path, path.name)
        deep = np.asarray(cv2.imread(str(names[0]))).astype(np.uint16) * 257
        archive.writestr(names[0].name, cv2.imencode(".png", deep)[1].tobytes())
    making.rename(target)


def _close(file: Path) -> None:
    """Close the preliminary as an organizer would: by its time in the season file."""
    text = file.read_text()
    closes = re.search(r"closes: (\S+)", text)
    now = datetime.now(UTC)
    if closes and closes[1] > f"{now:%Y-%m-%dT%H:%M:%S}":
        file.write_text(text.replace(closes[1], f"{now:%Y-%m-%dT%H:%M:%S}"))


def _finish(opened: Workspace, workspace: Path, quiet: bool) -> dict[str, Board]:
    boards = {}
    ledger = opened.bench.ledger
    for stage, form in ((EVALUATION, VERDICTS), (FINAL, PHYSICAL)):
        _step(f"round of {stage}" + (" (its results are invented: no camera here)" if stage == FINAL else ""))
        if not ledger.stages.entries(stage):
            enter_stage(opened.bench, opened.season, stage)
        if not ledger.reviews.latest(stage):
            table = workspace / f"{stage.replace('/', '-')}-review.csv"
            table.write_text(form)
            ref = opened.season.stage(stage)
            ledger.reviews.add(stage, "demo", read_reviews(table, ref, taking_part(opened.bench, ref)))
        boards[stage] = run_round(opened, stage, quiet=quiet)
    return boards


def _places(opened: Workspace, workspace: Path) -> dict[str, str]:
    """Fetch every team's bundle; say where page, bundles and logs are."""
    bench = opened.bench
    bundles = workspace / "results"
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "bundle.tar")
        for run in bench.ledger.runs.all():
            if run.result_key:
                folder = bundles / run.stage / run.team
                folder.mkdir(parents=True, exist_ok=True)
                bench.store.fetch(run.result_key, archive)
                unpack(archive, folder)
    return {"page": bench.store.url("site/index.html"), "bundles": str(bundles), "logs": str(opened.logs)}


def _step(what: str) -> None:
    err.print(f"· {what}", style="bold", markup=False)
