"""``aisc doctor``: is everything there that a round needs?"""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil
import typer

from aisc import __version__
from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, table
from aisc.cli.workspace import Workspace, open_workspace
from aisc.engine.packages import package_path
from aisc.errors import AiscError
from aisc.leaderboard.signing import check_key_pair
from aisc.stages.publish_leaderboard import PUBLIC_KEY
from aisc.stages.sweep_stage import preflight
from aisc.store import count_winners

GIB = 1 << 30
LEAST_FREE_DISK = 2 * GIB
LEAST_FREE_MEMORY = 2 * GIB


class Finding(NamedTuple):
    """One thing that was looked at: ``ok``, ``warn`` or ``fail``, what was seen, what to do."""

    what: str
    state: str
    seen: str
    remedy: str


def doctor(season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Check this machine and, where there is a season file, everything that its rounds need.

    Example: aisc doctor --season season.yaml
    """
    findings = list(_machine())
    if season.exists():
        try:
            with open_workspace(season) as workspace:
                findings += _season(workspace)
        except AiscError as error:
            findings.append(Finding("season", "fail", f"{error.code}: {error.message}", error.remedy))
    else:
        findings.append(Finding("season", "warn", f"no {season}", "'aisc season init' writes one"))
    emit(
        [finding._asdict() for finding in findings],
        as_json,
        lambda: table("", ["What", "State", "Seen", "Remedy"], findings),
    )
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _machine() -> list[Finding]:
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().available
    disk = shutil.disk_usage(Path.cwd()).free
    packages = ", ".join(f"{name} {version(name)}" for name in ("kfp", "torch", "numpy", "opencv-python-headless"))
    return [
        Finding("aisc", "ok", f"{__version__} on Python {sys.version.split()[0]}", ""),
        Finding("packages", "ok", packages, ""),
        Finding("cores", "ok", str(cores), ""),
        _enough("memory", memory, LEAST_FREE_MEMORY, "close other programs; a step takes up to 1.5 GiB"),
        _enough("disk", disk, LEAST_FREE_DISK, "free some space; delete the season's cache/ folder, it is made again"),
        _tried("compiled packages", lambda: ", ".join(package_path(name).name for name in ("face", "round"))),
    ]


def _season(workspace: Workspace) -> list[Finding]:
    bench, season = workspace.bench, workspace.season

    def race() -> str:
        winners = count_winners(bench.store)
        if winners != 1:
            raise AiscError(
                "STORE_UNSAFE", f"{winners} of 32 writers won one key", "Do not keep results in this store."
            )
        return f"{season.store_url}: one of 32 writers won"

    findings = [
        _tried("ledger", lambda: f"{len(bench.ledger.teams.all())} teams, time {bench.ledger.now():%Y-%m-%d %H:%M:%S}"),
        _tried("store", race),
        _tried("signing key", lambda: check_key_pair(workspace.key, workspace.key.with_name(PUBLIC_KEY))),
    ]
    stages = [_tried(ref.path, partial(_version, workspace, ref.path), "warn") for ref in season.stages()]
    return findings + stages


def _version(workspace: Workspace, stage: str) -> str:
    return f"version {preflight(workspace.bench, workspace.season, stage).sha256[:12]}"


def _enough(what: str, free: int, least: int, remedy: str) -> Finding:
    state = "ok" if free >= least else "warn"
    return Finding(what, state, f"{free / GIB:.1f} GiB free", "" if state == "ok" else remedy)


def _tried(what: str, attempt: Callable[[], str], failure: str = "fail") -> Finding:
    try:
        return Finding(what, "ok", attempt(), "")
    except AiscError as error:
        return Finding(what, failure, f"{error.code}: {error.message}", error.remedy)
