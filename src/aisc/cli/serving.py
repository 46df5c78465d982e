"""``aisc victims serve`` and the model repository that it serves."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from aisc.adapters.triton_endpoint import MEMORY_KEY
from aisc.adapters.triton_program import find_triton, free_ports
from aisc.adapters.triton_server import TritonServer, serving
from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, err, say
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import UsageError
from aisc.identity import Asset, code_version, digest

CHECKOUT = Path(".triton")
"""Where ``make test-services`` installs the server."""
_LOOK_S = 1.0


def serve(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="[TRACK/STAGE]...", help="Stages to serve; all if none is named.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the server's gRPC; a free one if not given.")
    ] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Serve the season's victims with Triton on this machine until Ctrl-C, and say how rounds reach them.

    The server is probed, and started again when it dies; rounds wait for it meanwhile.

    Example: aisc victims serve face/preliminary
    """
    program = find_triton(os.environ, CHECKOUT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        with open_workspace(season) as workspace:
            repository = season_repository(workspace, stages or [])
        ports = free_ports()
        chosen = ports._replace(grpc=port) if port else ports
        with serving(repository, program, ports=chosen, key=os.environ.get(MEMORY_KEY)) as server:
            _tell(server, repository, as_json)
            _watch(server)
    if not as_json:
        say("The victims are no longer served.")


def season_victims(workspace: Workspace, stages: Sequence[str]) -> list[Asset]:
    """Give the current victims of some stages, or of all, in the order of the season file.

    Raises:
        UsageError: STAGE_UNKNOWN, ASSET_UNKNOWN; SERVING_EMPTY when no stage asks a victim.
    """
    season = workspace.season
    refs = [season.stage(path) for path in stages] or season.stages()
    names = dict.fromkeys(name for ref in refs for name in ref.stage.victims)
    if not names:
        asked = ", ".join(ref.path for ref in refs)
        raise UsageError("SERVING_EMPTY", f"No victim is asked in {asked}.", "Name a stage that has victims.")
    return [workspace.bench.ledger.assets.current("victim", name) for name in names]


def season_repository(workspace: Workspace, stages: Sequence[str]) -> Path:
    """Give the model repository of some stages' victims from the cache, written the first time.

    Raises:
        UsageError: as ``season_victims``, ``packages_by_name`` and ``write_model_repository``.
    """
    from aisc.victims.serving.repository import packages_by_name, write_model_repository  # brings torch

    victims = season_victims(workspace, stages)
    packages = packages_by_name(workspace.bench.asset(victim) for victim in victims)

    def make(folder: Path) -> None:
        write_model_repository(packages, folder)

    made_of = {"victims": sorted(victim.sha256 for victim in victims), "code": code_version()}
    return workspace.bench.cached(f"repository-{digest(made_of)}", make)


def _tell(server: TritonServer, repository: Path, as_json: bool) -> None:
    names = sorted(path.name for path in repository.iterdir())
    environment = server.endpoint.environment

    def render() -> None:
        words = " ".join(f"{name}={value}" for name, value in environment.items())
        say(f"Serving {', '.join(names)} at {server.endpoint.address} until Ctrl-C. Elsewhere on this machine:")
        say(f"{words} aisc round run TRACK/STAGE")

    emit({"victims": names, "environment": environment, "metrics": server.metrics_url}, as_json, render)
    sys.stdout.flush()


def _watch(server: TritonServer) -> None:
    """Tell of restarts until the server is given up, which raises, or somebody interrupts."""
    told = 0
    while True:
        server.wait(_LOOK_S)
        if server.restarts > told:
            told = server.restarts
            err.print(f"Triton was sick or dead and was started again ({told} times so far).", markup=False)
