"""Copies of forgery sets that carry contents alone: into the store, and into a sandbox's inputs (T38).

A file's time and size can tell generators apart as well as pixels do: whoever wrote the pictures, wrote those of one
generator at one time and with one program. So every picture is decoded and stored anew, uncompressed: all have one
size, one layout and one time.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
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
_NEIGHBOURS: Final = 5


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


def write_renamed(source: Path, target: Path, probes: Mapping[str, str], gallery: Mapping[str, str]) -> None:
    """Lay out a task with other names, and a picture twice where two names stand for one.

    Args:
        source: The task folder.
        target: New or empty.
        probes: Name in ``source`` by the new name.
        gallery: The same for the gallery.
    """
    _begin(target)
    for part, names in (("probe", probes), ("gallery", gallery)):
        (target / part).mkdir()
        for new, old in names.items():
            write_bytes(target / part / f"{new}.png", (source / part / f"{old}.png").read_bytes())
    asked = json.loads((source / TASK_FILE).read_bytes()) | {"probes": len(probes), "gallery": len(gallery)}
    write_bytes(target / TASK_FILE, json.dumps(asked, indent=2).encode())
    _copy_files(source, target, (CANARY_FILE,))


def write_practice(training: Path, target: Path, *, novelty: bool, most: int = 100) -> Task:
    """Lay out a task to practise on, with its truth, from labelled training pictures.

    Args:
        training: The training folder.
        target: New or empty.
        novelty: Whether the task asks for it, as a final does; the last label then plays the new generator.
        most: Probes, and gallery pictures.

    Raises:
        UsageError: As in :func:`aisc.datasets.forgery_sets.open_training_set`; FORGERY_FOLDER_IN_USE.
    """
    found = open_training_set(training)
    _begin(target)
    named = [(name, label) for name, label in zip(found.ids, found.labels, strict=True) if label]
    new = max(label for _, label in named) if novelty else ""
    shown = [pair for number, pair in enumerate(named) if number % 2 == 0][:most]
    stored = [pair for number, pair in enumerate(named) if number % 2 and pair[1] != new][:most]
    if len(stored) < _NEIGHBOURS or not shown:
        raise UsageError(
            "FORGERY_SET_TOO_SMALL",
            f"The training set holds {len(named)} labelled pictures, too few for a task to practise on.",
            "Make or import a larger training set.",
        )
    rows = ["id,set,label,group"]
    for part, pairs in (("probe", shown), ("gallery", stored)):
        (target / part).mkdir()
        for name, label in pairs:
            write_bytes(target / part / f"{name}.png", (training / TRAINING_IMAGES / f"{name}.png").read_bytes())
            rows.append(f"{name},{part},{label},{'new' if label == new else 'labelled'}")
    asked = {
        "format": "aisc.deepfake-task/1", "stage": "final" if novelty else "preliminary", "neighbours": _NEIGHBOURS,
        "novelty": novelty, "probes": len(shown), "gallery": len(stored), "result": "result.csv",
    }  # fmt: skip
    write_bytes(target / TASK_FILE, json.dumps(asked, indent=2).encode())
    write_bytes(target / TRUTH_FILE, ("\n".join(rows) + "\n").encode())
    return open_task(target)


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
