"""The recipe's one entry, with a network small enough for a test."""

from pathlib import Path

import pytest

from aisc.errors import UsageError
from aisc.synthetic.faces import recipe
from aisc.synthetic.faces.album import AlbumSpec
from aisc.synthetic.faces.recipe import Progress, Recipe, train
from aisc.synthetic.faces.training import Schedule
from aisc.victims.networks import Architecture
from aisc.victims.verifier import open_verifier

TINY = Recipe("surrogate", Architecture("plain", (4, 4, 4, 4), (1, 1, 1), 8), "cosface", Schedule(1, 1, 8, 0.05, 3, 1))


def test_recipe_makes_a_package_and_makes_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipe.RECIPES, "tiny", TINY)
    monkeypatch.setattr(recipe, "TRAINING", AlbumSpec(1, "training", 4, 4))
    monkeypatch.setattr(recipe, "CALIBRATION", AlbumSpec(1, "calibration", 16, 3))
    told: list[Progress] = []
    package = train("tiny", tmp_path / "a", report=told.append)
    assert {progress.step for progress in told} == {"render", "train", "calibrate"}
    assert all(progress.done <= progress.total for progress in told)
    description = package.description
    assert description.recipe["loss"] == "cosface"
    assert description.recipe["seed"] == 3
    assert description.recipe["album"] == {"seed": 1, "use": "training", "people": 4, "shots": 4}
    assert description.calibration.impostor_pairs == 16 * 15 // 2 * 9
    assert open_verifier(tmp_path / "a" / "tiny").description == description
    again = train("tiny", tmp_path / "b")
    assert again.weights == package.weights
    assert again.digest == package.digest


def test_unknown_network_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="surrogate-plain") as caught:
        train("nothing", tmp_path)
    assert caught.value.code == "RECIPE_UNKNOWN"
