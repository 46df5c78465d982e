"""Every dataset that can be made on the spot, by the name that season files give it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aisc.errors import UsageError

if TYPE_CHECKING:
    from aisc.datasets.forgery_sets import Stage
    from aisc.synthetic.driving.scenes import SceneSet
    from aisc.victims.classifier_package import Task as FacesTask

Progress = Callable[[int, int], None]


class Recipe(NamedTuple):
    """How a dataset is made.

    Attributes:
        unit: What its size counts.
        size: The size that a competition would use.
        hidden: Whether participants must not see it: whoever guesses the seed could make it again.
        make: Fills an empty folder: folder, size, seed, processes, progress.
        like: The dataset whose seed it shares unless another one is given, because parts of it are shown again.
    """

    unit: str
    size: int
    hidden: bool
    make: Callable[[Path, int, int, int, Progress], None]
    like: str = ""


def recipe_of(name: str) -> Recipe:
    """Give the recipe of a dataset; raises ``RECIPE_UNKNOWN``."""
    if name not in RECIPES:
        raise UsageError("RECIPE_UNKNOWN", f"No recipe makes {name!r}.", f"Known recipes: {', '.join(RECIPES)}.")
    return RECIPES[name]


def _face_pairs(folder: Path, size: int, seed: int, jobs: int, progress: Progress) -> None:
    from aisc.datasets.face_pairs import describe
    from aisc.synthetic.faces.pairs import make_pairs

    make_pairs(size, seed, folder, progress=progress, jobs=jobs)
    describe(folder, {"recipe": "synthetic", "pairs": size, "seed": seed})


def _scenes(*kinds: "SceneSet") -> Callable[[Path, int, int, int, Progress], None]:
    def make(folder: Path, size: int, seed: int, jobs: int, progress: Progress) -> None:
        from aisc.synthetic.driving.scenes import make_scenes

        make_scenes(folder, kinds, seed=seed, frames=size, jobs=jobs, progress=progress)

    return make


def _forgery_training(folder: Path, size: int, seed: int, jobs: int, progress: Progress) -> None:
    from aisc.synthetic.forgeries import make_training_set

    make_training_set(folder, images=size, seed=seed, jobs=jobs, progress=progress)


def _forgery_task(stage: "Stage") -> Callable[[Path, int, int, int, Progress], None]:
    def make(folder: Path, size: int, seed: int, jobs: int, progress: Progress) -> None:
        from aisc.synthetic.forgeries import make_task

        make_task(folder, stage, probes=size, gallery=size, seed=seed, jobs=jobs, progress=progress)

    return make


def _faces(task: "FacesTask") -> Callable[[Path, int, int, int, Progress], None]:
    def make(folder: Path, size: int, seed: int, jobs: int, progress: Progress) -> None:
        from aisc.synthetic.attributes.dataset import FacesSpec, make_faces

        # Participants get four pictures to train on for each hidden one, and half a one to test on.
        spec = FacesSpec(task, seed, hidden=size, train=4 * size, val=max(1, size // 2))
        make_faces(spec, folder, jobs, progress)

    return make


RECIPES: dict[str, Recipe] = {
    "faces/pairs": Recipe("pairs", 3000, False, _face_pairs),
    "driving/truck": Recipe("frames a scene", 240, True, _scenes("truck")),
    "driving/training": Recipe("frames a scene", 240, False, _scenes("training")),
    "driving/final": Recipe("frames a scene", 240, True, _scenes("truck", "mannequin")),
    "deepfake/training": Recipe("pictures", 10_000, False, _forgery_training),
    "deepfake/preliminary": Recipe("probes", 2000, True, _forgery_task("preliminary")),
    "deepfake/evaluation": Recipe("probes", 2000, True, _forgery_task("evaluation")),
    "deepfake/final": Recipe("probes", 2000, True, _forgery_task("final"), "deepfake/evaluation"),
    "safair/reid": Recipe("hidden pictures", 1000, True, _faces("reid")),
    "safair/attributes": Recipe("hidden pictures", 1000, True, _faces("attributes")),
}
"""By the dataset's name."""
