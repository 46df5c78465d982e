"""``aisc victims export``: one network for participants, or a model repository for a server."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, say, table
from aisc.cli.serving import season_victims
from aisc.cli.workspace import open_workspace
from aisc.errors import UsageError
from aisc.victims.builtin import builtin_names, builtin_package, kind_of


def export(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Shipped networks, or victims of the season.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write one network into this file, ending in .pt.")] = None,
    repository: Annotated[
        Path | None,
        typer.Option(help="Write a model repository for Triton here; of the whole season if none is named."),
    ] = None,
    device: Annotated[Literal["cpu", "gpu"], typer.Option(help="What the repository is to run on.")] = "cpu",
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Write a network as TorchScript for participants, or victims as a model repository for a Triton server.

    A TorchScript file takes float RGB grey levels and gives embeddings, raw maps or logits.

    Example: aisc victims export surrogate-plain --to surrogate-plain.pt

    Example: aisc victims export --repository ./models
    """
    if (to is None) == (repository is None) or (to is not None and len(names or []) != 1):
        raise UsageError(
            "EXPORT_TARGET",
            "An export is one network --to a file, or any number of victims to a --repository.",
            "Run 'aisc victims export NAME --to NAME.pt' or 'aisc victims export --repository DIR'.",
        )
    if to is not None:
        for folder in _folders(names or [], season):
            _write_script(folder, to)
        emit({"file": to}, as_json, lambda: say(f"Wrote {to}."))
    if repository is not None:
        from aisc.victims.serving.repository import packages_by_name, write_model_repository  # brings torch

        written = write_model_repository(packages_by_name(_folders(names or [], season)), repository, device=device)
        rows = [(one.name, str(one.version), one.runtime, one.digest[:12]) for one in written]
        columns = ["Victim", "Version", "Runs as", "Package"]
        said = [one._asdict() | {"version": str(one.version)} for one in written]
        emit(said, as_json, lambda: table(str(repository), columns, rows))


def _folders(names: list[str], season: Path) -> list[Path]:
    """Find packages by name: of shipped networks, else of the season's victims; all of the season's for no name."""
    shipped = builtin_names()
    if names and all(name in shipped for name in names):
        return [builtin_package(name) for name in names]
    with open_workspace(season) as workspace:
        bench = workspace.bench
        if not names:
            return [bench.asset(victim) for victim in season_victims(workspace, [])]
        return [
            builtin_package(name) if name in shipped else bench.asset(bench.ledger.assets.current("victim", name))
            for name in names
        ]


def _write_script(folder: Path, target: Path) -> None:
    if kind_of(folder) == "detector":
        from aisc.victims.detector_package import export_detector, load_detector_package

        export_detector(load_detector_package(folder), target)
    elif kind_of(folder) == "classifier":
        from aisc.victims.classifier_models import export_classifier
        from aisc.victims.classifier_package import load_classifier_package

        with tempfile.TemporaryDirectory() as scratch:
            script, _ = export_classifier(load_classifier_package(folder), Path(scratch))
            target.write_bytes(script.read_bytes())
    else:
        from aisc.victims.torch_models import export_torchscript

        export_torchscript(folder, target)
