"""The formats of datasets: which one a folder holds, and how each is imported and verified."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aisc.datasets.face_pairs import count_pairs, decode_pairs, import_pairs
from aisc.datasets.scene_packs import import_set, verify_set
from aisc.errors import UsageError

DESCRIPTION = "dataset.json"
Progress = Callable[[int, int], None]


class Format(NamedTuple):
    """One format of datasets.

    Attributes:
        take: Brings a folder of real data into an empty folder; gives what was taken, such as ``300 pairs``.
        verify: Checks a dataset to the last pixel, with an empty folder for what it decodes; gives the same words.
    """

    take: Callable[[Path, Path, Progress], str]
    verify: Callable[[Path, Path, Progress], str]


def verify_dataset(folder: Path, scratch: Path, progress: Progress) -> str:
    """Check every file of a dataset by its own format.

    Args:
        folder: The dataset.
        scratch: An empty folder.
        progress: Told of (done, all).

    Returns:
        What it holds, such as ``300 pairs``.

    Raises:
        UsageError: ``DATASET_FORMAT``, and those of the format.
    """
    return FORMATS[format_name(folder)].verify(folder, scratch, progress)


def format_name(folder: Path) -> str:
    """Read from ``dataset.json`` which format a dataset has; raises ``DATASET_FORMAT``."""
    path = folder / DESCRIPTION
    try:
        name = str(json.loads(path.read_bytes())["format"]).partition("/")[0]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError("DATASET_FORMAT", f"{path} names no format ({error}).", "Make or import it anew.") from error
    if name not in FORMATS:
        raise UsageError("DATASET_FORMAT", f"{path} has the format {name!r}.", f"Known are {', '.join(FORMATS)}.")
    return name


def _take_pairs(source: Path, target: Path, progress: Progress) -> str:
    return f"{import_pairs(source, target, progress=progress)} pairs"


def _verify_pairs(folder: Path, scratch: Path, progress: Progress) -> str:
    decode_pairs(folder, scratch)
    return f"{count_pairs(folder)} pairs"


def _take_scenes(source: Path, target: Path, progress: Progress) -> str:
    return _named(import_set(source, target, progress))


def _verify_scenes(folder: Path, scratch: Path, progress: Progress) -> str:
    return _named([description.name for description in verify_set(folder, progress)])


def _named(scenes: list[str]) -> str:
    return f"{len(scenes)} scenes ({', '.join(scenes)})"


FORMATS: dict[str, Format] = {
    "face-pairs": Format(_take_pairs, _verify_pairs),
    "scene-packs": Format(_take_scenes, _verify_scenes),
}
"""By the name that ``dataset.json`` carries before the slash."""
