"""``aisc data``: bring datasets in, check them, hand the public part out."""

import json
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, progress, say, table
from aisc.cli.workspace import open_workspace
from aisc.datasets.formats import DESCRIPTION, FORMATS, verify_dataset
from aisc.errors import UsageError
from aisc.identity import Asset
from aisc.kit import write_kit
from aisc.synthetic.recipes import recipe_of
from aisc.workbench import Workbench

app = typer.Typer(help="Make, import and verify datasets; write participants' kits.", no_args_is_help=True)
DataName = Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name, such as faces/pairs.")]


@app.command()
def make(
    name: DataName,
    size: Annotated[
        int | None, typer.Option(min=1, help="How many pairs, frames a scene, ...; the competition's own if not given.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Equal seeds give equal files; a hidden set draws one that nobody guesses."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render.")] = 2,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Make a synthetic dataset by the recipe of its name and put it into the store.

    Example: aisc data make faces/pairs --size 3000 --seed 7
    """
    with open_workspace(season) as workspace:
        asset = make_dataset(workspace.bench, name, size, seed, jobs)
    _tell(asset, f"{size or recipe_of(name).size} {recipe_of(name).unit}", as_json)


def make_dataset(bench: Workbench, name: str, size: int | None, seed: int | None, jobs: int) -> Asset:
    """Make a dataset by its recipe, with a progress display, and register it as the current one of its name."""
    recipe = recipe_of(name)
    if seed is None:
        seed = _seed_of(bench, recipe.like) or (secrets.randbits(120) if recipe.hidden else 0)
    with tempfile.TemporaryDirectory() as scratch, progress(f"making {name}") as tick:
        recipe.make(Path(scratch), size or recipe.size, seed, jobs, tick)
        return bench.register("data", name, Path(scratch))


def _seed_of(bench: Workbench, name: str) -> int | None:
    """Give the seed that the current dataset of a name was made with, if there is one."""
    if ("data", name) not in {(asset.kind, asset.name) for asset in bench.ledger.assets.all()}:
        return None
    folder = bench.asset(bench.ledger.assets.current("data", name))
    seed = json.loads((folder / DESCRIPTION).read_bytes()).get("seed")
    return None if seed is None else int(seed)


@app.command("import")
def import_(
    name: DataName,
    folder: Annotated[Path, typer.Argument(help="Numbered pairs, or images with a pairs.csv; a folder a scene; ...")],
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = "face-pairs",
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Check a folder of real data and put it into the store.

    Example: aisc data import driving/truck ./recorded --format scene-packs
    """
    if form not in FORMATS:
        raise UsageError("DATASET_FORMAT", f"There is no format {form!r}.", f"Known are {', '.join(FORMATS)}.")
    if not folder.is_dir():
        raise UsageError("FOLDER_MISSING", f"{folder} is no folder.", "Give the folder that holds the data.")
    with open_workspace(season) as workspace, tempfile.TemporaryDirectory() as scratch:
        with progress("importing") as tick:
            holds = FORMATS[form].take(folder, Path(scratch), tick)
        asset = workspace.bench.register("data", name, Path(scratch))
    _tell(asset, holds, as_json)


@app.command()
def verify(name: DataName, season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Fetch a dataset from the store anew and check every file and image of it.

    Example: aisc data verify faces/pairs
    """
    with open_workspace(season) as workspace, workspace.bench.scratch() as scratch, progress("verifying") as tick:
        asset = workspace.bench.ledger.assets.current("data", name)
        shutil.rmtree(workspace.bench.cache / f"data-{asset.sha256}", ignore_errors=True)
        holds = verify_dataset(workspace.bench.asset(asset), scratch, tick)
    found = {"name": name, "sha256": asset.sha256, "holds": holds}
    emit(found, as_json, lambda: say(f"{name}: {holds}, every file as registered ({asset.sha256[:12]})."))


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
    """Write what participants of a stage receive: open data, surrogates, starter kit, limits.

    Example: aisc data kit face/preliminary --to kit/
    """
    with open_workspace(season) as workspace:
        write_kit(workspace.bench, workspace.season.stage(stage), to)
    names = sorted(path.name for path in to.iterdir())
    emit({"kit": to, "holds": names}, as_json, lambda: say(f"Wrote {to}: {', '.join(names)}."))


def _tell(asset: Asset, holds: str, as_json: bool) -> None:
    found = {"name": asset.name, "sha256": asset.sha256, "holds": holds}
    emit(found, as_json, lambda: say(f"{asset.name}: {holds}, {asset.sha256[:12]}, current from now on."))
