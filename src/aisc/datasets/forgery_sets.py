"""Forged faces for deepfake source identification: training folders, task folders, hidden sets (RULES.md A).

docs/formats/forgery-set.md describes the files. A *training folder* goes to participants. A *hidden set* stays with the
organizers; what a participant's program sees of it is its *task folder*: pictures, ``task.json`` and a canary.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aisc.errors import UsageError
from aisc.submission.findings import RuleBrokenError
from aisc.submission.png import decode_png

Stage = Literal["preliminary", "evaluation", "final"]
Group = Literal["labelled", "unlabelled", "hidden", "new"]
Progress = Callable[[int, int], None]

SIZE: Final = (112, 112)
TASK_FILE: Final = "task.json"
TRUTH_FILE: Final = "truth.csv"
CANARY_FILE: Final = "canary.txt"
DESCRIPTION: Final = "dataset.json"
TRAINING_IMAGES: Final = "train/images"
TRAINING_LABELS: Final = "train/labels.csv"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_CANARY: Final = re.compile(r"canary-[0-9a-f]{32}")
_LARGEST_TABLE: Final = 64 << 20
_LARGEST_IMAGE: Final = 1 << 20


class TaskDescription(BaseModel):
    """The content of ``task.json``.

    Attributes:
        format: Name and version of the format.
        stage: The stage.
        neighbours: How many gallery pictures are to be named for each probe.
        novelty: Whether a probability of being made by a new generator is asked for.
        probes: How many pictures ``probe/`` holds.
        gallery: How many pictures ``gallery/`` holds.
        result: The file to write in the output folder; its ending may also be ``.parquet``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="Task of deepfake source identification")

    format: Literal["aisc.deepfake-task/1"]
    stage: Stage
    neighbours: int = Field(ge=1, le=20, strict=True)
    novelty: bool = Field(strict=True)
    probes: int = Field(ge=1, le=1_000_000, strict=True)
    gallery: int = Field(ge=1, le=1_000_000, strict=True)
    result: Literal["result.csv"]

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.gallery < self.neighbours:
            raise ValueError(f"a gallery of {self.gallery} pictures has no {self.neighbours} neighbours")
        return self


class Truth(NamedTuple):
    """What the organizers know of a hidden set, in the order of the task's ids.

    Attributes:
        names: Names of the labels; the label numbers index into it.
        probes: ``(n,)`` int64: label number of each probe.
        gallery: ``(m,)`` int64: label number of each gallery picture.
        groups: ``(n,)`` str: :data:`Group` of each probe.
    """

    names: tuple[str, ...]
    probes: NDArray[np.int64]
    gallery: NDArray[np.int64]
    groups: NDArray[np.str_]

    @property
    def new(self) -> NDArray[np.bool_]:
        """Give ``(n,)`` bool: the probe was made by a generator of Y_new."""
        return np.asarray(self.groups == "new")


class Task(NamedTuple):
    """A task folder: what a participant's program is given.

    Attributes:
        description: The content of ``task.json``.
        probes: Ids, sorted.
        gallery: Ids, sorted.
    """

    description: TaskDescription
    probes: tuple[str, ...]
    gallery: tuple[str, ...]


class ForgerySet(NamedTuple):
    """A hidden set.

    Attributes:
        task: What the program is given.
        truth: What it is scored with.
        canary: A string that stands in the program's inputs and must appear nowhere that a team can read (T41).
    """

    task: Task
    truth: Truth
    canary: str


class TrainingSet(NamedTuple):
    """A training folder.

    Attributes:
        ids: Names of the pictures, sorted.
        labels: Their labels, ``""`` for those of unnamed generators.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]


def open_task(folder: Path) -> Task:
    """Open a task folder; pictures are counted and not opened.

    Raises:
        UsageError: FORGERY_SET_TASK: ``task.json`` is missing or wrong; FORGERY_SET_IMAGES: a file's name is no id, or
            their number is not the one that ``task.json`` gives.
    """
    path = folder / TASK_FILE
    if not path.is_file():
        raise UsageError("FORGERY_SET_TASK", f"{folder} has no {TASK_FILE}.", "Give the folder of a task.")
    try:
        description = TaskDescription.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its content"
        raise UsageError(
            "FORGERY_SET_TASK", f"{path}: {place}: {first['msg']}.", "See docs/formats/deepfake-task.schema.json."
        ) from error
    probes, gallery = image_ids(folder / "probe"), image_ids(folder / "gallery")
    for part, found, told in (("probe", probes, description.probes), ("gallery", gallery, description.gallery)):
        if len(found) != told:
            raise UsageError(
                "FORGERY_SET_IMAGES", f"{folder / part} holds {len(found)} pictures, {TASK_FILE} says {told}.",
                "Fetch the folder anew.",
            )  # fmt: skip
    both = set(probes) & set(gallery)
    if both:
        raise UsageError(
            "FORGERY_SET_IMAGES", f"{folder}: {min(both)} is a probe and in the gallery.", "Give each picture one id."
        )
    return Task(description, probes, gallery)


def open_forgery_set(folder: Path) -> ForgerySet:
    """Open a hidden set: task, truth and canary agree; pictures are not opened.

    Raises:
        UsageError: As in :func:`open_task`; FORGERY_SET_TRUTH naming file and line; FORGERY_SET_LABEL: a probe's label
            has too few gallery pictures, or a new one has some; FORGERY_SET_CANARY.
    """
    task = open_task(folder)
    return ForgerySet(task, _read_truth(folder / TRUTH_FILE, task), _read_canary(folder / CANARY_FILE))


def open_training_set(folder: Path) -> TrainingSet:
    """Open a training folder; pictures are not opened.

    Raises:
        UsageError: FORGERY_SET_IMAGES, FORGERY_SET_TRUTH naming file and line.
    """
    ids = image_ids(folder / TRAINING_IMAGES)
    table = folder / TRAINING_LABELS
    labels: dict[str, str] = {}
    for line, row in _rows(table, ("id", "label")):
        if row["id"] in labels or (row["label"] and not _LABEL.fullmatch(row["label"])):
            raise _wrong(table, line, "the id is repeated, or the label is no name")
        labels[row["id"]] = row["label"]
    _check_ids(table, set(labels), set(ids))
    return TrainingSet(ids, tuple(labels[name] for name in ids))


def verify_images(folder: Path, parts: Sequence[str], progress: Progress | None = None) -> int:
    """Decode every picture of a set.

    Args:
        folder: Of a hidden set, a task or a training set.
        parts: ``("probe", "gallery")`` or ``("train/images",)``.
        progress: Called with (done, all).

    Returns:
        How many there are.

    Raises:
        UsageError: FORGERY_SET_IMAGE naming the file.
    """
    paths = [folder / part / f"{name}.png" for part in parts for name in image_ids(folder / part)]
    for number, path in enumerate(paths, start=1):
        read_image(path)
        if progress is not None:
            progress(number, len(paths))
    return len(paths)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode one picture, ``(112, 112, 3)`` uint8 RGB.

    Raises:
        UsageError: FORGERY_SET_IMAGE naming the file.
    """
    remedy = "Give 8-bit RGB PNG pictures of 112 x 112 pixels without extras."
    if path.stat().st_size > _LARGEST_IMAGE:
        raise UsageError("FORGERY_SET_IMAGE", f"{path} has more than {_LARGEST_IMAGE} bytes.", remedy)
    try:
        return decode_png(path.read_bytes(), SIZE)
    except RuleBrokenError as error:
        raise UsageError("FORGERY_SET_IMAGE", f"{path}: {error.message}", remedy) from error


def image_ids(folder: Path) -> tuple[str, ...]:
    """Give the ids of the pictures in a folder, sorted.

    Raises:
        UsageError: FORGERY_SET_IMAGES naming a file that is not named as a picture.
    """
    if not folder.is_dir():
        raise UsageError("FORGERY_SET_IMAGES", f"There is no folder {folder}.", "See docs/formats/forgery-set.md.")
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        if not name.endswith(".png") or not _ID.fullmatch(name.removesuffix(".png")):
            raise UsageError(
                "FORGERY_SET_IMAGES", f"{folder / name} is not named as a picture.",
                "Name pictures by 16 lower-case hexadecimal digits, drawn at random, and .png.",
            )  # fmt: skip
    return tuple(name.removesuffix(".png") for name in names)


def _read_truth(path: Path, task: Task) -> Truth:
    sets: dict[str, dict[str, tuple[str, str]]] = {"probe": {}, "gallery": {}}
    group_of: dict[str, str] = {}
    for line, row in _rows(path, ("id", "set", "label", "group")):
        label, group = row["label"], row["group"]
        if row["set"] not in sets or group not in get_args(Group) or not _LABEL.fullmatch(label):
            raise _wrong(path, line, "set, label or group is none that the format knows")
        if row["id"] in sets[row["set"]]:
            raise _wrong(path, line, "the id is repeated")
        if group_of.setdefault(label, group) != group:
            raise _wrong(path, line, f"label {label} is {group} here and {group_of[label]} above")
        sets[row["set"]][row["id"]] = (label, group)
    _check_ids(path, set(sets["probe"]), set(task.probes))
    _check_ids(path, set(sets["gallery"]), set(task.gallery))
    names = tuple(sorted(group_of))
    number = {name: place for place, name in enumerate(names)}
    truth = Truth(
        names,
        np.array([number[sets["probe"][name][0]] for name in task.probes], np.int64),
        np.array([number[sets["gallery"][name][0]] for name in task.gallery], np.int64),
        np.array([sets["probe"][name][1] for name in task.probes]),
    )
    _check_labels(path, task, truth, group_of)
    return truth


def _check_labels(path: Path, task: Task, truth: Truth, group_of: Mapping[str, str]) -> None:
    """Every known label can be recalled, no new one can, and the stage has the groups that it should."""
    counts = np.bincount(truth.gallery, minlength=len(truth.names))
    asked = set(truth.probes.tolist())
    for number, name in enumerate(truth.names):
        new = group_of[name] == "new"
        least = task.description.neighbours if number in asked and not new else 0
        if counts[number] < least or (new and counts[number]):
            raise UsageError(
                "FORGERY_SET_LABEL", f"{path}: the gallery has {counts[number]} pictures of {name}.",
                f"A known generator of a probe needs {task.description.neighbours} or more, a new one has none.",
            )  # fmt: skip
    wanted = task.description.novelty
    found = int(np.count_nonzero(truth.new))
    if (found > 0) != wanted or found == len(truth.new):
        raise UsageError(
            "FORGERY_SET_LABEL", f"{path}: {found} of {len(truth.new)} probes are of new generators.",
            "Where novelty is asked for there are new and known ones, elsewhere no new ones.",
        )  # fmt: skip


def _read_canary(path: Path) -> str:
    text = path.read_text().strip() if path.is_file() and path.stat().st_size < 256 else ""
    if not _CANARY.fullmatch(text):
        raise UsageError(
            "FORGERY_SET_CANARY",
            f"{path} holds no canary.",
            "Write `canary-` and 32 random hexadecimal digits into it.",
        )
    return text


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the rows of a strict table with their line numbers."""
    if not path.is_file() or path.stat().st_size > _LARGEST_TABLE:
        raise UsageError(
            "FORGERY_SET_TRUTH", f"{path} is no table of at most 64 MiB.", "See docs/formats/forgery-set.md."
        )
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in reader:
                if reader.line_num == 1 and row != list(columns):
                    raise _wrong(path, 1, f"the columns are not {','.join(columns)}")
                if len(row) != len(columns):
                    raise _wrong(path, reader.line_num, f"the row has {len(row)} cells, not {len(columns)}")
                if reader.line_num > 1:
                    yield reader.line_num, dict(zip(columns, row, strict=True))
        except csv.Error as error:
            raise _wrong(path, reader.line_num, "the row is no CSV") from error


def _check_ids(path: Path, listed: set[str], there: set[str]) -> None:
    for name in sorted(listed ^ there):
        what = "is listed and has no picture" if name in listed else "has a picture and is not listed"
        raise UsageError("FORGERY_SET_TRUTH", f"{path}: {name[:40]!r} {what}.", "List each picture once.")


def _wrong(path: Path, line: int, what: str) -> UsageError:
    return UsageError("FORGERY_SET_TRUTH", f"{path}, line {line}: {what}.", "See docs/formats/forgery-set.md.")
