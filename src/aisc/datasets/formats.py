"""The formats of datasets: which one a folder holds, and how each is imported and verified."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aisc.datasets.attribute_faces import FacesDescription, verify_faces
from aisc.datasets.celeba import ImportSettings, import_celeba
from aisc.datasets.face_pairs import count_pairs, decode_pairs, import_pairs
from aisc.datasets.forgery_copies import import_forgery_set, import_training_set
from aisc.datasets.forgery_sets import (
    TRAINING_IMAGES,
    Task,
    open_forgery_set,
    open_training_set,
    verify_images,
)
from aisc.datasets.scene_packs import import_set, verify_set
from aisc.errors import UsageError
from aisc.victims.classifier_package import Task as FacesTask

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


def _take_forgeries(source: Path, target: Path, progress: Progress) -> str:
    return _counted(import_forgery_set(source, target, progress).task)


def _verify_forgeries(folder: Path, scratch: Path, progress: Progress) -> str:
    verify_images(folder, ("probe", "gallery"), progress)
    return _counted(open_forgery_set(folder).task)


def _take_training(source: Path, target: Path, progress: Progress) -> str:
    return f"{len(import_training_set(source, target, progress).ids)} training pictures"


def _verify_training(folder: Path, scratch: Path, progress: Progress) -> str:
    verify_images(folder, (TRAINING_IMAGES,), progress)
    return f"{len(open_training_set(folder).ids)} training pictures"


def _take_faces(source: Path, target: Path, progress: Progress) -> str:
    """Copy a folder that is in the format already; what was checked is the copy."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    return _shown(verify_faces(target))


def _verify_faces(folder: Path, scratch: Path, progress: Progress) -> str:
    """Verify a dataset; the manifest that the store adds is none of its files."""
    shutil.copytree(folder, scratch, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
    return _shown(verify_faces(scratch))


def _take_celeba(task: FacesTask) -> Callable[[Path, Path, Progress], str]:
    def take(source: Path, target: Path, progress: Progress) -> str:
        import_celeba(source, target, ImportSettings(task), progress)
        return _shown(verify_faces(target))

    return take


def _shown(described: FacesDescription) -> str:
    images = ", ".join(f"{count} {split}" for split, count in described.images.items())
    return f"faces for {described.task}: {images}"


def _counted(task: Task) -> str:
    return f"{len(task.probes)} probes, {len(task.gallery)} gallery pictures"


FORMATS: dict[str, Format] = {
    "face-pairs": Format(_take_pairs, _verify_pairs),
    "scene-packs": Format(_take_scenes, _verify_scenes),
    "aisc.forgery-set": Format(_take_forgeries, _verify_forgeries),
    "aisc.forgery-training": Format(_take_training, _verify_training),
    "attribute-faces": Format(_take_faces, _verify_faces),
    "celeba-reid": Format(_take_celeba("reid"), _verify_faces),
    "celeba-attributes": Format(_take_celeba("attributes"), _verify_faces),
}
"""By the name that ``dataset.json`` carries before the slash; CelebA's two are imported, and written as faces."""
