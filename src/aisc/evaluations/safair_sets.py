"""What defences are shown in a tournament, one set at a time: the clean pictures, or those that one attack has made."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.evaluations.assets import stage_data
from aisc.evaluations.contract import Checked
from aisc.evaluations.programs import read_record
from aisc.evaluations.safair_inputs import Hidden, fresh_names, open_hidden
from aisc.evaluations.safair_probes import Batch, write_batch
from aisc.identity import Asset, Version, digest
from aisc.submission.altered_images import is_counted
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

DESCRIPTION: Final = "set.json"
PICTURES: Final = "pictures.npy"
COUNTED: Final = "counted.npy"
FORMAT: Final = "aisc.attack-set/1"
SET: Final = "set"
"""What the only set of a batch is called."""


class PictureSet(NamedTuple):
    """One version of the hidden pictures.

    Attributes:
        hidden: The pictures as they were, and the truth.
        pictures: uint8 RGB `(n, 112, 112, 3)`; the original where an altered one does not count.
        counted: `(n,)` bool: what a defence says about the others is not looked at (rule 7).
        clean: Whether these are the hidden pictures themselves.
    """

    hidden: Hidden
    pictures: NDArray[np.uint8]
    counted: NDArray[np.bool_]
    clean: bool


def write_attack_set(folder: Path, data: Asset, made: Checked) -> None:
    """Lay out what an attack made, as an asset of its own.

    Args:
        folder: Existing and empty.
        data: The hidden dataset that the attack was run on.
        made: Content and verdicts of the attack's run.
    """
    shutil.copy(made.content, folder / PICTURES)
    np.save(folder / COUNTED, is_counted(np.array(read_record(made.verdicts)["outcomes"], np.uint8)))
    described = {"format": FORMAT, "data": asdict(data)}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")


def open_set(bench: Workbench, version: Version) -> PictureSet:
    """Open what a version of a defence's final is about: the hidden dataset, or an attack's set made from one."""
    folder = bench.asset(stage_data(version))
    if not (folder / DESCRIPTION).exists():
        hidden = open_hidden(bench, version)
        return PictureSet(hidden, hidden.pictures, np.ones(len(hidden.faces.names), bool), clean=True)
    data = Asset(**json.loads((folder / DESCRIPTION).read_text())["data"])
    hidden = open_hidden(bench, replace(version, data=data))
    pictures = np.load(folder / PICTURES, mmap_mode="r")
    return PictureSet(hidden, pictures, np.load(folder / COUNTED), clean=False)


def set_batch(bench: Workbench, version: Version) -> Batch:
    """Lay out a set as programs see it, once a machine, under names that no other set has (T38)."""
    limits = DefenceLimits.model_validate(version.limits)
    found = open_set(bench, version)
    data = stage_data(version).sha256
    names = fresh_names(found.hidden.secret, f"match {data}", len(found.pictures))

    def make(folder: Path) -> None:
        write_batch(folder, list(zip(names, found.pictures, strict=True)), found.hidden, limits)

    made_of = {"data": data, "hours": limits.hours, "code": version.code}
    return Batch(bench.cached(f"match-{digest(made_of)}", make), {SET: names})
