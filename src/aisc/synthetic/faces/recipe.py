"""How each shipped face network was made: its parameters, and the one function that makes it again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import aisc
from aisc.errors import UsageError
from aisc.synthetic.faces.album import AlbumSpec, render_album
from aisc.synthetic.faces.losses import LossName
from aisc.synthetic.faces.training import Schedule, fit
from aisc.victims.calibration import UNMEASURED, LabelledFaces, calibrate
from aisc.victims.networks import Architecture, EmbeddingNetwork
from aisc.victims.package import (
    NetworkDescription,
    VictimDescription,
    VictimPackage,
    WeightsDescription,
    write_package,
)
from aisc.victims.torch_models import load_network, module_forward, pack_weights
from aisc.victims.verifier import LocalVerifier

_ALBUM_SEED = 2022
TRAINING = AlbumSpec(_ALBUM_SEED, "training", people=1000, shots=20)
CALIBRATION = AlbumSpec(_ALBUM_SEED, "calibration", people=600, shots=6)


class Recipe(NamedTuple):
    """What one network is made with."""

    role: str
    architecture: Architecture
    loss: LossName
    schedule: Schedule


def _schedule(seed: int, small_epochs: int = 11) -> Schedule:
    # One thread: two networks side by side train faster than one after the other on two.
    return Schedule(small_epochs, full_epochs=2, batch=128, learning_rate=0.1, seed=seed, threads=1)


RECIPES: dict[str, Recipe] = {
    "surrogate-residual": Recipe(
        "surrogate", Architecture("residual", (24, 40, 80, 112), (1, 2, 1)), "arcface", _schedule(11, 14)
    ),
    "surrogate-plain": Recipe(
        "surrogate", Architecture("plain", (24, 44, 88, 112), (2, 2, 2)), "cosface", _schedule(12, 14)
    ),
    "ires": Recipe("preliminary", Architecture("residual", (24, 44, 84, 112), (1, 2, 1)), "cosface", _schedule(21)),
    "vgg": Recipe("preliminary", Architecture("plain", (24, 48, 88, 112), (2, 2, 2)), "arcface", _schedule(22)),
    "dense": Recipe("preliminary", Architecture("dense", (24, 96, 192, 112), (4, 5, 3)), "softmax", _schedule(23)),
    "irse": Recipe("evaluation", Architecture("squeeze", (24, 44, 84, 112), (1, 2, 1)), "triplet", _schedule(31)),
    "sphere": Recipe("evaluation", Architecture("plain", (20, 40, 96, 112), (2, 2, 2)), "softmax", _schedule(32)),
    "mixer": Recipe("evaluation", Architecture("mixer", (24, 36, 80, 96), (1, 2, 1)), "cosface", _schedule(33)),
}


class Progress(NamedTuple):
    """One line of a training's progress."""

    step: str
    done: int
    total: int
    note: str = ""


def train(name: str, folder: Path, *, jobs: int = 1, report: Callable[[Progress], None] | None = None) -> VictimPackage:
    """Make one network from nothing: render, train, calibrate, write the package `folder/name`.

    Albums and checkpoints stay in `folder`: a second call continues where the first stopped, and other networks share
    the albums. On one machine, with the versions that the package records, the result is the same to the bit.

    Raises:
        UsageError: RECIPE_UNKNOWN.
    """
    if name not in RECIPES:
        raise UsageError("RECIPE_UNKNOWN", f"there is no recipe for {name!r}.", f"Use one of {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    tell = report or _say_nothing
    folder.mkdir(parents=True, exist_ok=True)
    album = render_album(
        TRAINING, folder / album_file(TRAINING), jobs, lambda done, total: tell(Progress("render", done, total))
    )
    threads = torch.get_num_threads()
    try:
        network = fit(
            recipe.architecture, recipe.loss, recipe.schedule, album, folder / f"{name}.checkpoint",
            lambda epoch: tell(Progress("train", epoch.epoch, epoch.epochs, f"loss {epoch.loss:.3f}")),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    faces = calibration_faces(jobs, folder)
    tell(Progress("calibrate", 0, 1))
    package = pack(name, recipe, network, faces, folder / name)
    tell(Progress("calibrate", 1, 1, f"best accuracy {package.description.calibration.best_accuracy:.4f}"))
    return package


def calibration_faces(jobs: int = 1, folder: Path | None = None) -> LabelledFaces:
    """Render the clean faces of people unseen in training on which thresholds are calibrated."""
    target = None if folder is None else folder / album_file(CALIBRATION)
    return labelled(CALIBRATION, render_album(CALIBRATION, target, jobs))


def labelled(spec: AlbumSpec, album: NDArray[np.uint8]) -> LabelledFaces:
    """Give an album's pictures with who is in them."""
    source = f"synthetic faces, seed {spec.seed}, use {spec.use}: {spec.people} people x {spec.shots} pictures"
    people = np.repeat(np.arange(spec.people, dtype=np.int64), spec.shots)
    return LabelledFaces(album.reshape(-1, *album.shape[2:]), people, source)


def pack(name: str, recipe: Recipe, network: EmbeddingNetwork, faces: LabelledFaces, folder: Path) -> VictimPackage:
    """Store a trained network in half precision, calibrate what was stored, and write the package."""
    weights = pack_weights(network)
    architecture = NetworkDescription(**recipe.architecture._asdict())
    draft = VictimDescription(
        name=name,
        format="builtin",
        architecture=architecture,
        weights=WeightsDescription(file="weights.safetensors", sha256=hashlib.sha256(weights).hexdigest()),
        mirror=True,
        dim=architecture.dim,
        threshold=0.0,
        calibration=UNMEASURED,
        recipe=record(recipe),
    )
    stored = load_network(VictimPackage(folder, draft, weights))
    threshold, calibration = calibrate(LocalVerifier(draft, module_forward(stored)), faces)
    return write_package(folder, draft.model_copy(update={"threshold": threshold, "calibration": calibration}), weights)


def record(recipe: Recipe) -> dict[str, Any]:
    """Give what `victim.json` keeps of a recipe."""
    return {
        "made_by": f"aisc {aisc.__version__}, torch {torch.__version__}, numpy {np.__version__}",
        "role": recipe.role,
        "loss": recipe.loss,
        **recipe.schedule._asdict(),
        "album": TRAINING._asdict(),
    }


def album_file(spec: AlbumSpec) -> str:
    """Give the file name under which an album is kept."""
    return f"{spec.use}-{spec.seed}-{spec.people}x{spec.shots}.npy"


def _say_nothing(progress: Progress) -> None:
    """Take the place of a report that nobody asked for."""
