"""What the programs of the SAFAIR tracks are shown: laid out once a machine, mounted, never copied for a run."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import Faces, FacesDescription, read_description, read_faces, read_pictures
from aisc.errors import PlatformError
from aisc.evaluations.assets import stage_data
from aisc.identity import Asset, Version, digest
from aisc.tracks.safair import seconds_allowed
from aisc.tracks.safair_limits import SafairLimits
from aisc.tracks.safair_teams import side_of
from aisc.victims.classifier_package import Task
from aisc.workbench import Workbench

IMAGES: Final = "images"
TASK_FILE: Final = "task.json"
GOALS: Final = "goals.csv"
SURROGATE: Final = "surrogate"

Wanted = Literal["answers", "model"]
"""What a defence is asked for: a row a picture, or, before it sees any, the model that white-box probes go through."""


class Hidden(NamedTuple):
    """The hidden part of a stage's dataset.

    Attributes:
        task: What the stage is about.
        described: The dataset's description.
        faces: Names, truth and goals.
        pictures: uint8 RGB `(n, 112, 112, 3)`.
        secret: What nobody outside can compute: new names are drawn from it.
    """

    task: Task
    described: FacesDescription
    faces: Faces
    pictures: NDArray[np.uint8]
    secret: bytes


def task_of_stage(version: Version) -> Task:
    """Tell a stage's task by its track's name."""
    task = side_of(version.track)[0]
    return "reid" if task == "reid" else "attributes"


def open_hidden(bench: Workbench, version: Version) -> Hidden:
    """Open the hidden pictures of a stage, decoded once a machine.

    Raises:
        PlatformError: ``DATA_OTHER_TASK`` for a dataset of the other task, ``DATA_MISSING``.
    """
    data = stage_data(version)
    folder = bench.asset(data)
    described = read_description(folder)
    task = task_of_stage(version)
    if described.task != task:
        raise PlatformError(
            "DATA_OTHER_TASK", f"{data.name} is made for {described.task}, and {version.stage} asks about {task}.",
            "Name another dataset in the season file.",
        )  # fmt: skip
    faces = read_faces(folder, "hidden")

    def decode(target: Path) -> None:
        np.save(target / "pictures.npy", read_pictures(folder, "hidden", faces.names))

    pictures = np.load(bench.cached(f"faces-{data.sha256}", decode) / "pictures.npy", mmap_mode="r")
    secret = hashlib.sha256((folder / "hidden.csv").read_bytes()).digest()
    return Hidden(task, described, faces, pictures, secret)


def baseline_of(version: Version) -> Asset:
    """Give the classifier that attacks meet: the first victim of the stage."""
    return version.victims[0]


def surrogate_of(version: Version) -> Asset:
    """Give the undefended classifier that programs receive and probes are computed on: the last victim."""
    return version.victims[-1]


def attack_inputs(bench: Workbench, version: Version, limits: SafairLimits) -> Path:
    """Give the folder that every attack of a stage sees as ``/input``."""
    hidden = open_hidden(bench, version)
    surrogate = surrogate_of(version)

    def make(folder: Path) -> None:
        write_surrogate(bench.asset(surrogate), folder)
        facts = attack_facts(hidden.described, len(hidden.faces.names), limits)
        write_attack_inputs(folder, hidden.faces.names, hidden.pictures, hidden.faces.goals, facts)

    made_of = {"data": stage_data(version).sha256, "surrogate": surrogate.sha256, "epsilon": limits.epsilon}
    return bench.cached(f"attack-{digest({**made_of, 'hours': limits.hours, 'code': version.code})}", make)


def attack_facts(described: FacesDescription, images: int, limits: SafairLimits) -> dict[str, Any]:
    """Give what ``task.json`` tells an attack; docs/formats/safair-attack.md."""
    return {"format": "aisc.safair-attack/1", "epsilon": limits.epsilon, **_facts(described, images, limits)}


def defence_facts(
    described: FacesDescription, images: int, limits: SafairLimits, wanted: Wanted = "answers"
) -> dict[str, Any]:
    """Give what ``task.json`` tells a defence; docs/formats/safair-defence.md."""
    return {"format": "aisc.safair-defence/1", "wanted": wanted, **_facts(described, images, limits)}


def write_attack_inputs(
    folder: Path,
    names: Sequence[str],
    pictures: Iterable[NDArray[np.uint8]],
    goals: NDArray[np.int64],
    facts: Mapping[str, Any],
) -> None:
    """Write pictures, their goals and ``task.json`` into a folder, which may hold the surrogate already."""
    write_pictures(folder, names, pictures)
    with (folder / GOALS).open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "goal"])
        table.writerows([name, " ".join(map(str, goal))] for name, goal in zip(names, goals.tolist(), strict=True))
    (folder / TASK_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def write_pictures(folder: Path, names: Sequence[str], pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Write uint8 RGB pictures as ``images/NAME``, in the order of the names, so that a file's age tells nothing."""
    folder.chmod(0o755)  # a scratch folder is ours alone, and a sandbox's user has to read it
    (folder / IMAGES).mkdir()
    for name, picture in sorted(zip(names, pictures, strict=True), key=lambda pair: pair[0]):
        if not cv2.imwrite(str(folder / IMAGES / name), picture[..., ::-1]):
            raise OSError(f"OpenCV could not write {folder / IMAGES / name}")


def write_surrogate(package: Path, folder: Path) -> None:
    """Write a classifier as ``surrogate.pt`` and ``surrogate.onnx``."""
    from aisc.victims.classifier_models import export_classifier  # brings torch, which defences need not
    from aisc.victims.classifier_package import load_classifier_package

    for written in export_classifier(load_classifier_package(package), folder):
        written.rename(folder / f"{SURROGATE}{written.suffix}")


def copy_surrogate(source: Path, folder: Path) -> None:
    """Copy the surrogate of one input folder into another."""
    for path in source.glob(f"{SURROGATE}.*"):
        shutil.copy(path, folder / path.name)


def fresh_names(secret: bytes, role: str, count: int) -> tuple[str, ...]:
    """Draw file names whose order is as good as random, and that nobody can compute without the secret (T38).

    >>> names = fresh_names(b"secret", "clean", 2)
    >>> len(set(names)), len(names[0])
    (2, 20)
    """
    drawn = (hashlib.sha256(secret + f" {role} {index}".encode()).hexdigest() for index in range(count))
    return tuple(f"{name[:16]}.png" for name in drawn)


def _facts(described: FacesDescription, images: int, limits: SafairLimits) -> dict[str, Any]:
    return {
        "task": described.task,
        "images": images,
        "seconds": seconds_allowed(images, limits),
        "people": described.people if described.task == "reid" else None,
        "attributes": list(described.attributes),
    }
