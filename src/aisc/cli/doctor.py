"""``aisc doctor``: is everything there that a round needs?"""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NamedTuple

import psutil
import typer

from aisc import __version__
from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, progress, say, table
from aisc.cli.workspace import Workspace, open_workspace
from aisc.engine.packages import package_path
from aisc.errors import AiscError
from aisc.leaderboard.signing import check_key_pair
from aisc.sandbox.attacks import read_corpus
from aisc.sandbox.conformance import Record, try_driver, whole_corpus
from aisc.sandbox.corpus import Attempt
from aisc.sandbox.running import images_cache, machine_choice
from aisc.season import TEMPLATE_TRACKS
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


Sandbox = Annotated[
    bool, typer.Option("--sandbox", help="Try the hostile corpus against the sandbox in use instead (a minute).")
]


def doctor(season: SeasonFile = DEFAULT_SEASON, sandbox: Sandbox = False, as_json: Json = False) -> None:
    """Check this machine and, where there is a season file, everything that its rounds need.

    Example: aisc doctor --season season.yaml
    """
    if sandbox:
        _try_sandbox(_cache(season), as_json)
        return
    findings = _machine(season)
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


def _cache(season: Path) -> Path:
    """Give the cache that the season's rounds use, as a workspace lays it out; without a season the user's."""
    if season.exists():
        return season.resolve().parent / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aisc"


def _machine(season: Path) -> list[Finding]:
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().available
    disk = shutil.disk_usage(Path.cwd()).free
    pipelines = (*TEMPLATE_TRACKS, "round", "match", "tournament")
    packages = ", ".join(f"{name} {version(name)}" for name in ("kfp", "torch", "numpy", "opencv-python-headless"))
    return [
        Finding("aisc", "ok", f"{__version__} on Python {sys.version.split()[0]}", ""),
        Finding("packages", "ok", packages, ""),
        Finding("cores", "ok", str(cores), ""),
        _enough("memory", memory, LEAST_FREE_MEMORY, "close other programs; a step takes up to 1.5 GiB"),
        _enough("disk", disk, LEAST_FREE_DISK, "free some space; delete the season's cache/ folder, it is made again"),
        _tried("sandbox", lambda: machine_choice(images_cache(_cache(season))).aloud, "warn"),
        _tried("compiled packages", lambda: ", ".join(package_path(name).name for name in pipelines)),
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


def _try_sandbox(cache: Path, as_json: bool) -> None:
    """Try every attack, record what was found, and print it.

    Args:
        cache: The machine's cache folder.
        as_json: Whether to print for a program.

    Raises:
        typer.Exit: With 4 if an attack got through or could not be tried.
        UsageError: ``SANDBOX_NONE``, ``SANDBOX_BUSYBOX``.
    """
    choice = machine_choice(images_cache(cache))
    attempts: list[Attempt] = []
    with progress(f"attacks on {choice.driver.name}") as done:

        def hear(attempt: Attempt) -> None:
            attempts.append(attempt)
            done(len(attempts), len(read_corpus()))

        record = try_driver(choice.driver, cache, corpus=lambda driver: whole_corpus(driver, hear))
    shown = {**record.as_json(), "passed_over": choice.passed_over, "attacks": [_attack(each) for each in attempts]}
    emit(shown, as_json, lambda: _show(choice.aloud, record, attempts))
    if not record.passed:
        raise typer.Exit(4)


def _attack(attempt: Attempt) -> dict[str, object]:
    attack = attempt.attack
    return {
        "name": attack.name,
        "threats": attack.threats,
        "attack": attack.attack,
        "verdict": attempt.verdict,
        "expected": attack.expect,
        "blocked": attempt.blocked,
        "failures": attempt.failures,
        "seconds": round(attempt.seconds, 3),
    }


def _show(aloud: str, record: Record, attempts: list[Attempt]) -> None:
    rows = [
        (*(" ".join(each.attack.threats), each.attack.name, each.verdict), "yes" if each.blocked else "NO")
        for each in attempts
    ]
    table("", ["Threat", "Attack", "Verdict", "Blocked"], rows)
    for failure in record.failures:
        say(f"NOT BLOCKED {failure}")
    say(aloud)
    say(f"attacks tried: {record.tried}, blocked: {record.blocked}")
    say(
        "Rounds may run strangers' programs here."
        if record.passed
        else "Rounds refuse to run strangers' programs here."
    )
