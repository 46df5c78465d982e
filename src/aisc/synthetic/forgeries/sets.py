"""Training folders and hidden sets of forged faces; docs/formats/forgery-set.md.

A picture depends on the seed, its use and its number alone; no person appears twice, but for the final: it shows the
evaluation's gallery again, and the evaluation's first probes among its own, as the report has it. Names are keyed by
the seed and say nothing, files have one size and one time, tables are sorted by name (T38).

Whoever guesses the seed can make the set again. Give hidden sets a large random one.
"""

import hashlib
import json
import multiprocessing
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

import aisc
from aisc.datasets.forgery_copies import write_bytes, write_image
from aisc.datasets.forgery_sets import (
    CANARY_FILE,
    DESCRIPTION,
    TASK_FILE,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    TRUTH_FILE,
    Progress,
    Stage,
    TaskDescription,
)
from aisc.errors import UsageError
from aisc.synthetic.faces.parameters import Identity, Shot
from aisc.synthetic.faces.render import render
from aisc.synthetic.forgeries.methods import BY_NAME, METHODS, Method, known_methods, methods_of
from aisc.synthetic.forgeries.post_processing import TEST, TRAINING, PostProcessing, post_process

NEIGHBOURS: Final = 5
NEW_SHARE: Final = 1 / 3
"""Share of the final's probes that new generators made."""
_BATCH: Final = 8


class Forgery(NamedTuple):
    """One picture to be made.

    Attributes:
        use: Which set it was drawn for: keeps people of different sets apart.
        number: Its number in that set.
        method: Name of the generator.
        path: File relative to the set's folder.
    """

    use: str
    number: int
    method: str
    path: str


def forge(seed: int, forgeries: Sequence[Forgery], way: PostProcessing) -> NDArray[np.uint8]:
    """Render faces, leave their generators' traces and send them on their way: uint8 RGB `(n, 112, 112, 3)`."""
    draws = [np.random.default_rng([seed, zlib.crc32(item.use.encode()), item.number]) for item in forgeries]
    identities = [Identity.draw(rng) for rng in draws]
    faces = render(identities, [Shot.draw(rng) for rng in draws])
    return np.stack(
        [
            post_process(BY_NAME[item.method].leave(face.astype(np.float32), rng), way, rng)
            for item, face, rng in zip(forgeries, faces, draws, strict=True)
        ]
    )


def make_training_set(folder: Path, *, images: int, seed: int, jobs: int = 1, progress: Progress | None = None) -> None:
    """Write ``train/images/``, ``train/labels.csv`` and ``dataset.json`` into a folder.

    Args:
        folder: New or empty.
        images: How many pictures, equally many of each method in Y_l and Y_u.
        seed: Not that of a hidden set.
        jobs: Processes that render.
        progress: Called with (done, all).

    Raises:
        UsageError: FORGERY_SET_TOO_SMALL, FORGERY_FOLDER_IN_USE.
    """
    known = known_methods("preliminary")
    _check_size("training pictures", images, len(known))
    _begin(folder, TRAINING_IMAGES)
    forgeries = list(_drawn(seed, "training", known, images, TRAINING_IMAGES))
    _write_images(folder, seed, forgeries, TRAINING, jobs, progress)
    named = {method.name for method in methods_of("labelled")}
    rows = sorted((Path(item.path).stem, item.method if item.method in named else "") for item in forgeries)
    _write_table(folder / TRAINING_LABELS, ("id", "label"), rows)
    facts = {"format": "aisc.forgery-training/1", "images": images, "labels": sorted(named), **_made_by()}
    _write_json(folder / DESCRIPTION, facts)


def make_task(
    folder: Path, stage: Stage, *, probes: int, gallery: int, seed: int, jobs: int = 1, progress: Progress | None = None
) -> None:
    """Write the hidden set of a stage: ``probe/``, ``gallery/``, the task, the truth, the canary and the description.

    Args:
        folder: New or empty.
        stage: Which one; the final with the evaluation's seed and gallery size shows the evaluation's gallery.
        probes: How many pictures are asked about.
        gallery: How many pictures to choose from.
        seed: A secret: large and random.
        jobs: Processes that render.
        progress: Called with (done, all).

    Raises:
        UsageError: FORGERY_SET_TOO_SMALL, FORGERY_FOLDER_IN_USE.
    """
    _check_size("gallery pictures", gallery, NEIGHBOURS * len(known_methods(stage)))
    _check_size("probes", probes, len(METHODS))
    _begin(folder, "probe", "gallery")
    forgeries = task_forgeries(stage, probes, gallery, seed)
    _write_images(folder, seed, forgeries, TEST, jobs, progress)
    task = TaskDescription(
        format="aisc.deepfake-task/1", stage=stage, neighbours=NEIGHBOURS, novelty=stage == "final", probes=probes,
        gallery=gallery, result="result.csv",
    )  # fmt: skip
    _write_json(folder / TASK_FILE, task.model_dump())
    rows = sorted((Path(f.path).stem, Path(f.path).parent.name, f.method, BY_NAME[f.method].group) for f in forgeries)
    _write_table(folder / TRUTH_FILE, ("id", "set", "label", "group"), rows)
    canary = "canary-" + _keyed(seed, f"canary {stage} {probes} {gallery}", 16)
    write_bytes(folder / CANARY_FILE, (canary + "\n").encode())
    facts = {"format": "aisc.forgery-set/1", "stage": stage, "seed": str(seed), "canary": canary, **_made_by()}
    _write_json(folder / DESCRIPTION, facts)


def task_forgeries(stage: Stage, probes: int, gallery: int, seed: int) -> list[Forgery]:
    """Say which pictures a hidden set has; arguments as in :func:`make_task`."""
    known = known_methods(stage)
    shared: Stage = "evaluation" if stage == "final" else stage
    new = max(len(methods_of("new")), round(probes * NEW_SHARE)) if stage == "final" else 0
    # The final's probes carry other names than the evaluation's, so that names do not tell the new ones.
    old = _drawn(seed, f"{shared} probe", known, probes - new, "probe")
    renamed = [item._replace(path=_path(seed, f"{stage} probe", item.number, "probe")) for item in old]
    novel = _drawn(seed, "final probe, new", methods_of("new"), new, "probe")
    return [*renamed, *novel, *_drawn(seed, f"{shared} gallery", known, gallery, "gallery")]


def _drawn(seed: int, use: str, methods: Sequence[Method], count: int, folder: str) -> Iterator[Forgery]:
    for number in range(count):
        yield Forgery(use, number, methods[number % len(methods)].name, _path(seed, use, number, folder))


def _path(seed: int, use: str, number: int, folder: str) -> str:
    return f"{folder}/{_keyed(seed, f'{use} {number}', 8)}.png"


def _keyed(seed: int, text: str, size: int) -> str:
    """Give hexadecimal digits that nobody can tell from chance without the seed."""
    key = hashlib.sha256(str(seed).encode()).digest()
    return hashlib.blake2b(text.encode(), key=key, digest_size=size).hexdigest()


def _write_images(
    folder: Path,
    seed: int,
    forgeries: Sequence[Forgery],
    way: PostProcessing,
    jobs: int,
    progress: Progress | None,
) -> None:
    batches = [forgeries[at : at + _BATCH] for at in range(0, len(forgeries), _BATCH)]
    arguments = (repeat(folder), repeat(seed), batches, repeat(way))
    done = 0
    if jobs == 1:
        for count in map(_write_batch, *arguments):
            done += count
            _tell(progress, done, len(forgeries))
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for count in pool.map(_write_batch, *arguments, chunksize=4):
            done += count
            _tell(progress, done, len(forgeries))


def _write_batch(folder: Path, seed: int, forgeries: Sequence[Forgery], way: PostProcessing) -> int:
    for item, picture in zip(forgeries, forge(seed, forgeries, way), strict=True):
        write_image(folder / item.path, picture)
    return len(forgeries)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _check_size(what: str, asked: int, least: int) -> None:
    if asked < least:
        raise UsageError("FORGERY_SET_TOO_SMALL", f"{asked} {what} were asked for.", f"Ask for {least} or more.")


def _begin(folder: Path, *parts: str) -> None:
    for part in parts:
        target = folder / part
        if target.exists() and any(target.iterdir()):
            raise UsageError("FORGERY_FOLDER_IN_USE", f"{target} is not empty.", "Choose a new folder.")
        target.mkdir(parents=True, exist_ok=True)


def _made_by() -> Mapping[str, object]:
    return {"recipe": "synthetic", "made_by": f"aisc {aisc.__version__}, numpy {np.__version__}, cv2 {cv2.__version__}"}


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    write_bytes(path, "".join(",".join(row) + "\n" for row in (header, *rows)).encode())


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())
