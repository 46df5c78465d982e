"""The participants' kit: what the organizers hand out for a stage, and what ``aisc check`` needs to work offline."""

import json
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.face_pairs import decode_pairs, open_pairs
from aisc.errors import UsageError
from aisc.season import StageRef
from aisc.tracks.face import FaceLimits

STAGE_FILE = "stage.json"


def write_kit(ref: StageRef, pairs: Path, surrogates: Sequence[Path], folder: Path) -> None:
    """Write a kit.

    Args:
        ref: The stage.
        pairs: Folder of the stage's images.
        surrogates: Packages of the models that participants may attack in the open.
        folder: New folder: ``pairs/``, ``surrogates/*.pt`` (TorchScript), ``starter/``, ``stage.json``.
    """
    from aisc.victims.torch_models import export_torchscript

    if folder.exists() and any(folder.iterdir()):
        raise UsageError("KIT_EXISTS", f"{folder} is not empty.", "Choose a new folder.")
    (folder / "surrogates").mkdir(parents=True)
    shutil.copytree(pairs, folder / "pairs", ignore=shutil.ignore_patterns("manifest.json"))
    for package in surrogates:
        export_torchscript(package, folder / "surrogates" / f"{package.name}.pt")
    shutil.copytree(starters(ref.track), folder / "starter", ignore=shutil.ignore_patterns("__pycache__"))
    stage = {"stage": ref.path, "rules": ref.rules, "limits": ref.stage.limits}
    (folder / STAGE_FILE).write_text(json.dumps(stage, indent=2) + "\n")


def open_kit(folder: Path, stage: str, scratch: Path) -> tuple[NDArray[np.uint8], FaceLimits]:
    """Read a kit: the images that were handed out, uint8 (n, 112, 112, 3), and the stage's limits.

    Raises:
        UsageError: ``KIT_MISSING``, ``KIT_OTHER_STAGE``, and those of the pairs.
    """
    description = folder / STAGE_FILE
    if not description.is_file():
        raise UsageError("KIT_MISSING", f"{folder} is no participants' kit.", "Give the folder that holds stage.json.")
    found = json.loads(description.read_text())
    if found["stage"] != stage:
        raise UsageError(
            "KIT_OTHER_STAGE", f"{folder} is the kit of {found['stage']}.", f"Check against {stage}'s kit."
        )
    decode_pairs(folder / "pairs", scratch)
    return open_pairs(scratch).originals, FaceLimits.model_validate(found["limits"])


def starters(track: str) -> Path:
    """Give the folder of a track's starter kit, in a wheel or a checkout; raises ``STARTER_MISSING``."""
    installed = Path(str(resources.files("aisc"))) / "starters" / track
    checkout = Path(__file__).parents[2] / "images" / "starters" / track
    for path in (installed, checkout):
        if path.is_dir():
            return path
    raise UsageError("STARTER_MISSING", f"There is no starter kit for {track}.", "Reinstall aisc.")
