"""How each shipped face classifier was made: its parameters, and the one function that makes it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import aisc
from aisc.attacks.epsilon import EPSILON
from aisc.attacks.objectives import attribute_signs, away_from, flip
from aisc.attacks.projected import PROBES, attack_pictures
from aisc.datasets.attribute_goals import GIVEN, draw_given
from aisc.errors import UsageError
from aisc.metrics.accuracy_delta import accuracy, attributes_right, people_right
from aisc.synthetic.attributes.album import ATTRIBUTES, CIRCLE, Album, AlbumSpec, render_album
from aisc.synthetic.attributes.training import Schedule, fit
from aisc.victims.classifier import LocalClassifier, answers, make_classifier
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_networks import ClassifierArchitecture, ClassifierNetwork
from aisc.victims.classifier_package import (
    ClassifierDescription,
    ClassifierPackage,
    ClassifierShape,
    MeasuredAccuracy,
    Task,
    write_classifier_package,
)
from aisc.victims.packages import describe_weights
from aisc.victims.torch_models import pack_weights

_ALBUM_SEED: Final = 2022
TRAINING: Final[dict[Task, AlbumSpec]] = {
    "reid": AlbumSpec("reid", "train", _ALBUM_SEED, people=CIRCLE, shots=50),
    "attributes": AlbumSpec("attributes", "train", _ALBUM_SEED, people=2000, shots=3),
}
MEASURING: Final[dict[Task, AlbumSpec]] = {
    "reid": AlbumSpec("reid", "val", _ALBUM_SEED, people=CIRCLE, shots=5),
    "attributes": AlbumSpec("attributes", "val", _ALBUM_SEED, people=250, shots=2),
}
SHAPE: Final = ClassifierShape(widths=(24, 48, 96), hidden=128)


class Recipe(NamedTuple):
    """What one classifier is made with."""

    task: Task
    schedule: Schedule


RECIPES: Final[dict[str, Recipe]] = {
    "reid-undefended": Recipe("reid", Schedule(10, 128, 0.1, 0, seed=1, threads=1)),
    "reid-fgsm": Recipe("reid", Schedule(14, 128, 0.1, EPSILON, seed=1, threads=1)),
    "attributes-undefended": Recipe("attributes", Schedule(8, 128, 0.1, 0, seed=1, threads=1)),
    "attributes-fgsm": Recipe("attributes", Schedule(10, 128, 0.1, EPSILON, seed=1, threads=1)),
}


class Progress(NamedTuple):
    """One line of a training's progress."""

    step: str
    done: int
    total: int
    note: str = ""


def train(
    name: str, folder: Path, *, jobs: int = 1, report: Callable[[Progress], None] | None = None
) -> ClassifierPackage:
    """Make one classifier from nothing: render, train, attack, write the package `folder/name`.

    Albums and checkpoints stay in `folder`: a second call continues where the first stopped, and the other classifier
    of a task shares the albums.

    Raises:
        UsageError: RECIPE_UNKNOWN.
    """
    if name not in RECIPES:
        raise UsageError("RECIPE_UNKNOWN", f"there is no recipe for {name!r}.", f"Use one of {', '.join(RECIPES)}.")
    tell = report or _say_nothing
    recipe = RECIPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    training, measuring = (
        kept_album(specs[recipe.task], folder, jobs, lambda done, total: tell(Progress("render", done, total)))
        for specs in (TRAINING, MEASURING)
    )
    threads = torch.get_num_threads()
    try:
        network = fit(
            recipe.task, _architecture(recipe.task), recipe.schedule, training, folder / f"{name}.checkpoint",
            lambda one: tell(Progress("train", one.epoch, one.epochs, f"loss {one.loss:.3f}, {one.seconds:.0f} s")),
        )  # fmt: skip
        tell(Progress("measure", 0, 1))
        package = pack(name, recipe, network, measuring, folder / name)
    finally:
        torch.set_num_threads(threads)
    found = package.description.measured
    tell(Progress("measure", 1, 1, f"clean {found.clean:.1f}, under PGD {found.probes['pgd']:.1f}"))
    return package


def kept_album(
    spec: AlbumSpec, folder: Path, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> Album:
    """Render an album once, and read it from `folder` after that."""
    kept = folder / f"{spec.task}-{spec.split}-{spec.seed}-{spec.people}x{spec.shots}.npz"
    if not kept.exists():
        part = kept.with_suffix(".part.npz")
        np.savez(part, **render_album(spec, jobs, progress)._asdict())
        part.rename(kept)
    with np.load(kept) as arrays:
        return Album(arrays["pictures"], arrays["people"], arrays["attributes"])


def pack(name: str, recipe: Recipe, network: ClassifierNetwork, album: Album, folder: Path) -> ClassifierPackage:
    """Store a trained network in half precision, measure what was stored, and write the package."""
    weights = pack_weights(network)
    draft = ClassifierDescription(
        name=name, task=recipe.task, format="builtin", architecture=SHAPE,
        people=CIRCLE if recipe.task == "reid" else None, attributes=() if recipe.task == "reid" else ATTRIBUTES,
        defence="fgsm" if recipe.schedule.epsilon else "none",
        weights=describe_weights("weights.safetensors", weights),
        measured=MeasuredAccuracy(clean=0, probes={}, epsilon=EPSILON, data="not yet measured"), recipe=record(recipe),
    )  # fmt: skip
    measured = measure_classifier(ClassifierPackage(folder, draft, weights), album)
    return write_classifier_package(folder, draft.model_copy(update={"measured": measured}), weights)


def measure_classifier(package: ClassifierPackage, album: Album) -> MeasuredAccuracy:
    """Ask a classifier about an album, clean and under each probe computed on the classifier itself."""
    described = package.description
    classifier, network = make_classifier(package), load_classifier(package)
    given = draw_given(album.attributes, GIVEN, np.random.default_rng(_ALBUM_SEED))
    reid = described.task == "reid"
    goals = album.people if reid else attribute_signs(album.attributes, given)
    found = {}
    for probe in PROBES:
        altered = attack_pictures(network, away_from if reid else flip, album.pictures, goals, probe, seed=_ALBUM_SEED)
        found[probe.name] = _accuracy(classifier, altered, album, given)
    spec = MEASURING[described.task]
    return MeasuredAccuracy(
        clean=_accuracy(classifier, album.pictures, album, given), probes=found, epsilon=EPSILON,
        data=f"synthetic faces, seed {spec.seed}, split {spec.split}: {spec.people} people x {spec.shots} pictures",
    )  # fmt: skip


def record(recipe: Recipe) -> dict[str, Any]:
    """Give what `classifier.json` keeps of a recipe."""
    return {
        "made_by": f"aisc {aisc.__version__}, torch {torch.__version__}, numpy {np.__version__}",
        **recipe.schedule._asdict(),
        "album": TRAINING[recipe.task]._asdict(),
    }


def _accuracy(
    classifier: LocalClassifier, pictures: NDArray[np.uint8], album: Album, given: NDArray[np.int64]
) -> float:
    said = answers(classifier.description.task, classifier.logits(pictures))
    if classifier.description.task == "reid":
        return round(accuracy(people_right(said[:, 0], album.people)), 2)
    return round(accuracy(attributes_right(said.astype(bool), album.attributes, given)), 2)


def _architecture(task: Task) -> ClassifierArchitecture:
    return ClassifierArchitecture(SHAPE.widths, SHAPE.hidden, CIRCLE if task == "reid" else len(ATTRIBUTES))


def _say_nothing(progress: Progress) -> None:
    """Take the place of a report that nobody asked for."""
