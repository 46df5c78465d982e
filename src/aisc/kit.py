"""The participants' kit: what the organizers hand out for a stage, and what ``aisc check`` needs to work offline."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.sandbox.starters import starter_folder
from aisc.season import StageRef
from aisc.workbench import Workbench

STAGE_FILE = "stage.json"


class Kit(NamedTuple):
    """An opened kit.

    Attributes:
        rules: The track's rulebook.
        stage: The stage's name without its track.
        limits: The stage's limits.
        data: Folder of the open data.
    """

    rules: str
    stage: str
    limits: dict[str, Any]
    data: Path


def write_kit(bench: Workbench, ref: StageRef, folder: Path) -> None:
    """Write a kit: open data, surrogates, starter scripts, ``stage.json``.

    Args:
        bench: Ledger, store and cache.
        ref: The stage.
        folder: New folder.

    Raises:
        UsageError: ``KIT_EXISTS``, ``KIT_WITHOUT_DATA``, ``ASSET_UNKNOWN``.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("KIT_EXISTS", f"{folder} is not empty.", "Choose a new folder.")
    evaluation = evaluation_of(ref.rules)
    data = open_data(bench, ref)
    # All that may be missing is looked up first: a kit that was begun is never half a kit.
    packages = [bench.asset(bench.ledger.assets.current("victim", name)) for name in ref.stage.surrogates]
    stage = {"stage": ref.path, "rules": ref.rules, "limits": ref.stage.limits, **evaluation.kit_facts(ref.name)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kit-") as scratch:
        making = Path(scratch, "kit")
        making.mkdir()
        evaluation.hand_out(data, making / evaluation.kit_folder)
        for package in packages:
            evaluation.write_surrogate(package, making)
        starter = starter_folder(ref.track)
        shutil.copytree(starter, making / "starter", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        evaluation.add_to_kit(ref.name, making)
        (making / STAGE_FILE).write_text(json.dumps(stage, indent=2) + "\n")
        making.rename(folder)


def open_data(bench: Workbench, ref: StageRef) -> Path:
    """Give the folder of the data that participants of a stage receive.

    Raises:
        UsageError: ``KIT_WITHOUT_DATA``, ``ASSET_UNKNOWN``.
    """
    name = evaluation_of(ref.rules).open_data(ref)
    if name is None:
        raise UsageError(
            "KIT_WITHOUT_DATA",
            f"{ref.path} hands out no data.",
            "Name a dataset in the season file: training: NAME; or take the kit of an earlier stage.",
        )
    return bench.asset(bench.ledger.assets.current("data", name))


def open_kit(folder: Path, stage: str) -> Kit:
    """Read a kit.

    Args:
        folder: The kit.
        stage: ``track/stage`` that it must be of.

    Raises:
        UsageError: ``KIT_MISSING``, ``KIT_OTHER_STAGE``.
    """
    description = folder / STAGE_FILE
    if not description.is_file():
        raise UsageError("KIT_MISSING", f"{folder} is no participants' kit.", "Give the folder that holds stage.json.")
    found = json.loads(description.read_text())
    if found["stage"] != stage:
        raise UsageError(
            "KIT_OTHER_STAGE", f"{folder} is the kit of {found['stage']}.", f"Check against {stage}'s kit."
        )
    data = folder / evaluation_of(found["rules"]).kit_folder
    return Kit(found["rules"], stage.partition("/")[2], found["limits"], data)
