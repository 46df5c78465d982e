"""Every dataset that can be made on the spot, by the name that season files give it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aisc.errors import UsageError

if TYPE_CHECKING:
    from aisc.synthetic.driving.scenes import SceneSet

Progress = Callable[[int, int], None]


class Recipe(NamedTuple):
    """How a dataset is made.

    Attributes:
        unit: What its size counts.
        size: The size that a competition would use.
        make: Fills an empty folder: folder, size, seed, processes, progress.
    """

    unit: str
    size: int
    make: Callable[[Path, int, int, int, Progress], None]


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


RECIPES: dict[str, Recipe] = {
    "faces/pairs": Recipe("pairs", 3000, _face_pairs),
    "driving/truck": Recipe("frames a scene", 240, _scenes("truck")),
    "driving/training": Recipe("frames a scene", 240, _scenes("training")),
    "driving/final": Recipe("frames a scene", 240, _scenes("truck", "mannequin")),
}
"""By the dataset's name."""
