"""``aisc pipelines``: compile the packages that both engines run."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import Json, emit, say
from aisc.errors import UsageError

app = typer.Typer(help="Compile pipelines.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Compile pipelines."""


@app.command("compile")
def compile_(
    checkout: Annotated[Path, typer.Option(help="Folder that holds pipelines/ and components/.")] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a committed package differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compile every pipeline of a checkout into pipelines/compiled/.

    Example: aisc pipelines compile --check
    """
    from aisc.adapters.kfp_components import compile_packages

    target = checkout / "pipelines" / "compiled"
    if not target.parent.is_dir() or not (checkout / "components").is_dir():
        raise UsageError(
            "CHECKOUT_MISSING", f"{checkout.resolve()} holds no pipelines/ and components/.", "Run it in a checkout."
        )
    if not check:
        target.mkdir(exist_ok=True)
        written = [str(path) for path in compile_packages(checkout.resolve(), target)]
        emit(written, as_json, lambda: say("\n".join(written)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        fresh = compile_packages(checkout.resolve(), Path(scratch))
        names = {path.name for path in fresh} | {path.name for path in target.glob("*.yaml")}
        differing = sorted(name for name in names if _text(target / name) != _text(Path(scratch, name)))
    emit(
        differing,
        as_json,
        lambda: say("\n".join(f"{name} differs" for name in differing) or "Every package is current."),
    )
    if differing:
        raise typer.Exit(1)


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
