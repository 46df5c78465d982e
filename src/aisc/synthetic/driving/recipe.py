"""How each shipped detector was made: its parameters, and the one function that makes it again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import nn

import aisc
from aisc.errors import UsageError
from aisc.synthetic.driving.album import Album, AlbumSpec, describe, render_album
from aisc.synthetic.driving.measuring import AlbumFigures, best_shift, measure_album, shift_confidence
from aisc.synthetic.driving.training import Schedule, fit
from aisc.victims.detector_networks import ANCHORS, STRIDES, Design
from aisc.victims.detector_package import (
    DetectorDescription,
    DetectorPackage,
    HeadDescription,
    Measured,
    fill_detector,
    write_detector_package,
)
from aisc.victims.detectors import LocalDetector
from aisc.victims.package import WeightsDescription
from aisc.victims.torch_models import pack_weights

_ALBUM_SEED: Final = 2022
TRAINING: Final = AlbumSpec(_ALBUM_SEED, "training", worlds=260, moments=7)
TEST: Final = AlbumSpec(_ALBUM_SEED, "test", worlds=56, moments=5)


class Recipe(NamedTuple):
    """What one detector is made with."""

    role: str
    design: Design
    schedule: Schedule


RECIPES: Final[dict[str, Recipe]] = {
    "road-anchors": Recipe("white box", "anchors", Schedule(10, 12, 2e-3, 41, threads=1)),
    "road-distances": Recipe("black box", "distances", Schedule(10, 12, 2e-3, 44, threads=1)),
    "road-peaks": Recipe("judgment", "peaks", Schedule(10, 12, 2e-3, 43, threads=1)),
    "surrogate-road": Recipe("surrogate", "distances", Schedule(10, 12, 2e-3, 42, threads=1)),
}


class Progress(NamedTuple):
    """One line of a training's progress."""

    step: str
    done: int
    total: int
    note: str = ""


def train(
    name: str, folder: Path, *, jobs: int = 1, report: Callable[[Progress], None] | None = None
) -> DetectorPackage:
    """Make one detector from nothing: render, train, calibrate, measure, write the package ``folder/name``.

    Albums and checkpoints stay in ``folder``: a second call continues where the first stopped, and other detectors
    share the albums.

    Raises:
        UsageError: RECIPE_UNKNOWN.
    """
    if name not in RECIPES:
        raise UsageError("RECIPE_UNKNOWN", f"there is no recipe for {name!r}.", f"Use one of {', '.join(RECIPES)}.")
    tell = report or _say_nothing
    recipe = RECIPES[name]
    albums = [
        render_album(spec, folder, jobs, lambda done, total: tell(Progress("render", done, total)))
        for spec in (TRAINING, TEST)
    ]
    threads = torch.get_num_threads()
    try:
        network = fit(
            recipe.design, recipe.schedule, albums[0], folder / f"{name}.checkpoint",
            lambda one: tell(Progress("train", one.epoch, one.epochs, f"loss {one.loss:.3f}, {one.seconds:.0f} s")),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    package, figures = pack(name, recipe, network, albums[1], folder / name)
    tell(Progress("measure", 1, 1, f"recall {figures.recall:.3f}, precision {figures.precision:.3f}"))
    return package


def pack(
    name: str, recipe: Recipe, network: nn.Module, test: Album, folder: Path
) -> tuple[DetectorPackage, AlbumFigures]:
    """Calibrate a trained detector so that 0.5 is its best threshold, store it in half precision, and measure that."""
    unmeasured = Measured(precision=0, recall_album=0, false_alarms=0, data="not yet measured")
    draft = DetectorDescription(
        name=name, format="builtin", design=recipe.design,
        weights=WeightsDescription(file="weights.safetensors", sha256="0" * 64), head=head_of(recipe.design),
        measured=unmeasured, recipe=record(recipe),
    )  # fmt: skip
    with torch.no_grad():
        shift_confidence(network, recipe.design, best_shift(draft, network, test))
    weights = pack_weights(network)
    draft = draft.model_copy(
        update={"weights": draft.weights.model_copy(update={"sha256": hashlib.sha256(weights).hexdigest()})}
    )
    stored = fill_detector(DetectorPackage(folder, draft, weights))
    figures = measure_album(LocalDetector(draft, stored), test)
    measured = Measured(
        precision=figures.precision, recall_album=figures.recall, false_alarms=figures.false_alarms,
        data=describe(TEST),
    )  # fmt: skip
    return write_detector_package(folder, draft.model_copy(update={"measured": measured}), weights), figures


def head_of(design: Design) -> HeadDescription:
    """Describe the head of a built-in design."""
    return HeadDescription(kind=design, strides=STRIDES[design], anchors=ANCHORS if design == "anchors" else ())


def record(recipe: Recipe) -> dict[str, Any]:
    """Give what ``detector.json`` keeps of a recipe."""
    return {
        "made_by": f"aisc {aisc.__version__}, torch {torch.__version__}, numpy {np.__version__}",
        "role": recipe.role,
        **recipe.schedule._asdict(),
        "album": TRAINING._asdict(),
    }


def _say_nothing(progress: Progress) -> None:
    """Take the place of a report that nobody asked for."""
