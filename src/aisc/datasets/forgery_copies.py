"""Copies of forgery sets that carry contents alone: into the store, and into a sandbox's inputs (T38).

A file's time and size can tell generators apart as well as pixels do: whoever wrote the pictures, wrote those of one
generator at one time and with one program. So every picture is decoded and stored anew, uncompressed: all have one
size, one layout and one time.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.datasets.forgery_sets import (
    CANARY_FILE,
    DESCRIPTION,
    TASK_FILE,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    TRUTH_FILE,
    ForgerySet,
    Progress,
    Task,
    TrainingSet,
    image_ids,
    open_forgery_set,
    open_task,
    open_training_set,
    read_image,
)
from aisc.errors import PlatformError, UsageError

TIME: Final = 1_640_995_200
"""2022-01-01 00:00 UTC: every file's time."""


def write_image(path: Path, picture: NDArray[np.uint8]) -> None:
    """Store a picture, ``(h, w, 3)`` uint8 RGB, as a PNG whose size and time depend on nothing."""
    done, encoded = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])
    if not done:
        raise PlatformError("PNG_CODEC", "OpenCV cannot encode a picture.")
    write_bytes(path, encoded.tobytes())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file with the time that all have, readable for everyone."""
    path.write_bytes(data)
    path.chmod(0o644)
    os.utime(path, (TIME, TIME))


def import_forgery_set(source: Path, target: Path, progress: Progress | None = None) -> ForgerySet:
    """Check a hidden set of real pictures and copy it.

    Args:
        source: A folder in the format of a hidden set.
        target: New or empty.
        progress: Called with (done, all).

    Raises:
        UsageError: As in :func:`aisc.datasets.forgery_sets.open_forgery_set`; FORGERY_SET_IMAGE;
            FORGERY_FOLDER_IN_USE.
    """
    found = open_forgery_set(source)
    _begin(target)
    _copy_images(source, target, ("probe", "gallery"), progress)
    _copy_files(source, target, (TASK_FILE, TRUTH_FILE, CANARY_FILE, DESCRIPTION))
    return found


def import_training_set(source: Path, target: Path, progress: Progress | None = None) -> TrainingSet:
    """Check a training folder of real pictures and copy it; as :func:`import_forgery_set`."""
    found = open_training_set(source)
    _begin(target)
    _copy_images(source, target, (TRAINING_IMAGES,), progress)
    _copy_files(source, target, (TRAINING_LABELS, DESCRIPTION))
    return found


def write_inputs(hidden: Path, target: Path) -> Task:
    """Lay out what a participant's program sees of a hidden set, and nothing else of it: no truth, no description.

    Args:
        hidden: The set, or a task folder.
        target: New or empty.

    Raises:
        UsageError: As in :func:`aisc.datasets.forgery_sets.open_task`; FORGERY_FOLDER_IN_USE.
    """
    task = open_task(hidden)
    _begin(target)
    for part, names in (("probe", task.probes), ("gallery", task.gallery)):
        (target / part).mkdir()
        for name in names:
            _copy_files(hidden, target, (f"{part}/{name}.png",))
    _copy_files(hidden, target, (TASK_FILE, CANARY_FILE))
    return task


def _begin(target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise UsageError("FORGERY_FOLDER_IN_USE", f"{target} is not empty.", "Choose a new folder.")
    target.mkdir(parents=True, exist_ok=True)


def _copy_images(source: Path, target: Path, parts: Sequence[str], progress: Progress | None) -> None:
    files = [f"{part}/{name}.png" for part in parts for name in image_ids(source / part)]
    for part in parts:
        (target / part).mkdir(parents=True)
    for number, name in enumerate(files, start=1):
        write_image(target / name, read_image(source / name))
        if progress is not None:
            progress(number, len(files))


def _copy_files(source: Path, target: Path, names: Sequence[str]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
            (target / name).chmod(0o644)
            os.utime(target / name, (TIME, TIME))
