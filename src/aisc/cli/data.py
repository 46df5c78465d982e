"""``aisc data``: bring datasets in, check them, hand the public part out."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, progress, say, table
from aisc.cli.workspace import open_workspace
from aisc.datasets.face_pairs import count_pairs, decode_pairs, describe, import_pairs
from aisc.identity import Asset
from aisc.kit import write_kit
from aisc.stages.sweep_stage import resolve_version
from aisc.synthetic.faces.pairs import make_pairs
from aisc.victims.builtin import surrogate_packages
from aisc.workbench import Workbench

app = typer.Typer(help="Make, import and verify datasets; write participants' kits.", no_args_is_help=True)
DataName = Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name, such as faces/pairs.")]


@app.command()
def make(
    name: DataName = "faces/pairs",
    pairs: Annotated[int, typer.Option(min=1, max=9999, help="How many pairs.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal images.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render.")] = 2,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Render pairs of synthetic faces and put them into the store.

    Example: aisc data make faces/pairs --pairs 3000 --seed 7
    """
    with open_workspace(season) as workspace:
        asset = make_face_pairs(workspace.bench, name, pairs, seed, jobs)
    _tell(asset, pairs, as_json)


def make_face_pairs(bench: Workbench, name: str, pairs: int, seed: int, jobs: int) -> Asset:
    """Render pairs of synthetic faces, with a progress display, and make them the current dataset of their name."""
    with tempfile.TemporaryDirectory() as scratch, progress("rendering") as tick:
        make_pairs(pairs, seed, Path(scratch), progress=tick, jobs=jobs)
        describe(Path(scratch), {"recipe": "synthetic", "pairs": pairs, "seed": seed})
        return bench.register("data", name, Path(scratch))


@app.command("import")
def import_(
    name: DataName,
    folder: Annotated[Path, typer.Argument(help="Numbered pairs, or images with a pairs.csv.")],
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Check a folder of real pairs and put it into the store.

    Example: aisc data import faces/lfw ./aligned-lfw
    """
    with open_workspace(season) as workspace, tempfile.TemporaryDirectory() as scratch:
        with progress("importing") as tick:
            pairs = import_pairs(folder, Path(scratch), progress=tick)
        asset = workspace.bench.register("data", name, Path(scratch))
    _tell(asset, pairs, as_json)


@app.command()
def verify(name: DataName, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Fetch a dataset from the store anew and check every file and image of it.

    Example: aisc data verify faces/pairs
    """
    with open_workspace(season) as workspace, workspace.bench.scratch() as scratch:
        asset = workspace.bench.ledger.assets.current("data", name)
        shutil.rmtree(workspace.bench.cache / f"data-{asset.sha256}", ignore_errors=True)
        folder = workspace.bench.asset(asset)
        decode_pairs(folder, scratch)
        pairs = count_pairs(folder)
    found = {"name": name, "sha256": asset.sha256, "pairs": pairs}
    emit(found, as_json, lambda: say(f"{name} holds: {pairs} pairs, every file as registered ({asset.sha256[:12]})."))


@app.command("list")
def list_data(season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """List datasets and victims; of several with one name the last is current.

    Example: aisc data list
    """
    with open_workspace(season) as workspace:
        assets = workspace.bench.ledger.assets.all()
    rows = [(asset.kind, asset.name, asset.sha256[:12], asset.key) for asset in assets]
    emit(
        [{"kind": a.kind, "name": a.name, "sha256": a.sha256, "key": a.key} for a in assets],
        as_json,
        lambda: table("", ["Kind", "Name", "SHA-256", "Key"], rows),
    )


@app.command()
def kit(
    stage: StageName,
    to: Annotated[Path, typer.Option(help="New folder for the kit.")],
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Write what participants of a stage receive: images, surrogates, starter kit, limits.

    Example: aisc data kit face/preliminary --to kit/
    """
    with open_workspace(season) as workspace:
        ref = workspace.season.stage(stage)
        data = resolve_version(workspace.bench, ref).data
        assert data is not None  # noqa: S101 - a stage whose results are computed has data; the season's check says so
        write_kit(ref, workspace.bench.asset(data), surrogate_packages(), to)
    emit({"kit": to}, as_json, lambda: say(f"Wrote {to}: pairs/, surrogates/, starter/, stage.json."))


def _tell(asset: Asset, pairs: int, as_json: bool) -> None:
    found = {"name": asset.name, "sha256": asset.sha256, "pairs": pairs}
    emit(found, as_json, lambda: say(f"{asset.name}: {pairs} pairs, {asset.sha256[:12]}, current from now on."))
