"""Faces with who and what they show: the data of the SAFAIR tracks; docs/formats/safair-data.md describes the folder.

A dataset serves one task. Each picture has a goal: what an attack is asked to do with it. For re-identification that is
the person to be taken for, for attributes the numbers of the attributes to be turned around.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisc.errors import UsageError
from aisc.identity import digest
from aisc.submission.findings import RuleBrokenError
from aisc.submission.png import decode_png
from aisc.victims.classifier_package import Task

Split = Literal["train", "val", "hidden"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "hidden")
SIZE: Final = (112, 112)
"""Height and width in pixels."""
DESCRIPTION: Final = "dataset.json"

_FIXED: Final = ("image", "person", "goal")


class Faces(NamedTuple):
    """A split without its pictures.

    Attributes:
        names: File names, which say nothing about their content.
        people: `(n,)` int64: number of who is shown, from 0.
        attributes: `(n, attributes)` bool.
        goals: `(n, g)` int64: one target person, or the numbers of the given attributes in rising order.
    """

    names: tuple[str, ...]
    people: NDArray[np.int64]
    attributes: NDArray[np.bool_]
    goals: NDArray[np.int64]


class FacesDescription(BaseModel):
    """The content of `dataset.json`.

    Attributes:
        task: What the dataset is for.
        people: How many people there are.
        attributes: Names of the attributes, in the order of their numbers.
        images: Pictures in each split.
        constant: Best accuracy in points that one fixed answer reaches on the hidden goals: what a classifier that
            looks at nothing would score.
        recipe: How the dataset came about.
        sha256: Of the canonical JSON of all other files' SHA-256 by path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["attribute-faces/1"] = "attribute-faces/1"
    task: Task
    size: tuple[Literal[112], Literal[112]] = SIZE
    people: int = Field(ge=2)
    attributes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")], ...] = Field(min_length=1)
    images: dict[Split, Annotated[int, Field(ge=0)]]
    constant: float = Field(ge=0, le=100)
    recipe: dict[str, str | int]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def write_split(
    folder: Path, split: Split, faces: Faces, pictures: Iterable[NDArray[np.uint8]], attributes: Sequence[str]
) -> None:
    """Write a split's pictures, uint8 RGB `(112, 112, 3)` each, and its table."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    for name, picture in zip(faces.names, pictures, strict=True):
        if not cv2.imwrite(str(folder / split / name), picture[..., ::-1]):
            raise OSError(f"OpenCV could not write {folder / split / name}")
    with (folder / f"{split}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_FIXED, *attributes])
        for name, person, goal, row in zip(faces.names, faces.people, faces.goals, faces.attributes, strict=True):
            table.writerow([name, person, " ".join(map(str, goal)), *row.astype(int)])


def describe(folder: Path, task: Task, attributes: Sequence[str], people: int, recipe: dict[str, str | int]) -> None:
    """Write `dataset.json` once all splits are written."""
    tables = {split: _read_table(folder, split, tuple(attributes)) for split in SPLITS}
    described = FacesDescription(
        task=task, people=people, attributes=tuple(attributes),
        images={split: len(faces.names) for split, faces in tables.items()},
        constant=constant_accuracy(task, tables["hidden"]), recipe=recipe, sha256=content_sha256(folder),
    )  # fmt: skip
    text = json.dumps(described.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def constant_accuracy(task: Task, faces: Faces) -> float:
    """Give the best accuracy in points of one fixed answer: always one person, or always the same attributes.

    >>> faces = Faces(("a", "b"), np.array([0, 1]), np.array([[True], [True]]), np.array([[0], [0]]))
    >>> constant_accuracy("reid", faces), constant_accuracy("attributes", faces)
    (50.0, 100.0)
    """
    if not faces.names:
        return 0.0
    if task == "reid":
        return 100 * int(np.bincount(faces.people).max()) / len(faces.names)
    asked = np.zeros(faces.attributes.shape, np.int64)
    np.put_along_axis(asked, faces.goals, 1, axis=1)
    there = (asked * faces.attributes).sum(axis=0)
    return 100 * int(np.maximum(there, asked.sum(axis=0) - there).sum()) / faces.goals.size


def read_description(folder: Path) -> FacesDescription:
    """Read and check `dataset.json`.

    Raises:
        UsageError: FACES_MISSING or FACES_DESCRIPTION.
    """
    path = folder / DESCRIPTION
    try:
        return FacesDescription.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            "FACES_MISSING", f"{path} cannot be read ({error.strerror}).", "Name a folder that `aisc data` has written."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            "FACES_DESCRIPTION", f"{path}: {field}: {first['msg']}.", "Make or import the dataset again."
        ) from error


def read_faces(folder: Path, split: Split) -> Faces:
    """Read and check a split's table.

    Raises:
        UsageError: FACES_MISSING, FACES_DESCRIPTION or FACES_TABLE naming the line.
    """
    described = read_description(folder)
    faces = _read_table(folder, split, described.attributes)
    highest = len(described.attributes) if described.task == "attributes" else described.people
    if len(faces.names) != described.images.get(split, -1) or faces.goals.max(initial=0) >= highest:
        raise _bad_table(folder, split, f"it does not fit {DESCRIPTION}")
    if faces.people.max(initial=0) >= described.people or min(faces.people.min(initial=0), faces.goals.min(initial=0)):
        raise _bad_table(folder, split, f"people are numbered 0 to {described.people - 1}")
    if described.task == "reid" and (faces.goals[:, 0] == faces.people).any():
        raise _bad_table(folder, split, "a target is the person shown")
    return faces


def read_pictures(folder: Path, split: Split, names: Sequence[str]) -> NDArray[np.uint8]:
    """Decode pictures of a split as uint8 RGB `(n, 112, 112, 3)`.

    Raises:
        UsageError: FACES_IMAGE naming the file.
    """
    pictures = np.empty((len(names), *SIZE, 3), np.uint8)
    for index, name in enumerate(names):
        path = folder / split / name
        try:
            pictures[index] = decode_png(path.read_bytes(), SIZE)
        except (OSError, RuleBrokenError) as error:
            what = error.message if isinstance(error, RuleBrokenError) else f"it cannot be read ({error.strerror})"
            raise UsageError(
                "FACES_IMAGE", f"{path}: {what}", "Give 8-bit RGB PNG images of 112 x 112 pixels."
            ) from error
    return pictures


def verify_faces(folder: Path) -> FacesDescription:
    """Check every file of a dataset: the tables, each picture, and that nothing was changed since it was made.

    Raises:
        UsageError: FACES_CHANGED, or as the readers do.
    """
    described = read_description(folder)
    for split in SPLITS:
        faces = read_faces(folder, split)
        for start in range(0, len(faces.names), 256):
            read_pictures(folder, split, faces.names[start : start + 256])
    if content_sha256(folder) != described.sha256:
        raise UsageError(
            "FACES_CHANGED", f"{folder} is not what {DESCRIPTION} says: a file was changed, added or lost.",
            "Fetch the dataset again, or make it again.",
        )  # fmt: skip
    return described


def content_sha256(folder: Path) -> str:
    """Name a dataset by its files, the description left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / DESCRIPTION)
    hashes = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return digest(hashes)


def _read_table(folder: Path, split: Split, attributes: tuple[str, ...]) -> Faces:
    path = folder / f"{split}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        if tuple(header) != (*_FIXED, *attributes):
            raise _bad_table(folder, split, f"its columns are not {', '.join(_FIXED)} and the attributes")
        count = len(rows)
        names = tuple(row[0] for row in rows)
        if len(set(names)) != count or any(Path(name).name != name or not name.endswith(".png") for name in names):
            raise _bad_table(folder, split, "names are plain, end in .png and differ")
        return Faces(
            names,
            np.array([int(row[1]) for row in rows], np.int64),
            np.array([[{"0": False, "1": True}[cell] for cell in row[3:]] for row in rows], np.bool_).reshape(
                count, len(attributes)
            ),
            np.array([[int(part) for part in row[2].split()] for row in rows], np.int64).reshape(count, -1),
        )
    except OSError as error:
        raise UsageError("FACES_MISSING", f"{path} cannot be read ({error.strerror}).", "Fetch it again.") from error
    except (ValueError, KeyError, IndexError) as error:
        raise _bad_table(folder, split, f"a cell is not what its column holds ({error})") from error


def _bad_table(folder: Path, split: Split, what: str) -> UsageError:
    return UsageError("FACES_TABLE", f"{folder / f'{split}.csv'}: {what}.", "Make or import the dataset again.")
