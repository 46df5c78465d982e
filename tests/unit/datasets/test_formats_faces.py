"""Faces with attributes as a dataset of a season: known by its format, copied in, verified as the store gives it."""

from pathlib import Path

import pytest

from aisc.datasets.formats import FORMATS, format_name, verify_dataset
from aisc.errors import UsageError
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.synthetic.recipes import recipe_of


def _nothing(done: int, total: int) -> None:
    """Take the place of a progress bar."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    make_faces(FacesSpec("reid", 3, hidden=3, train=4, val=2), folder)
    return folder


def test_a_dataset_comes_in_and_is_verified(made: Path, tmp_path: Path) -> None:
    assert format_name(made) == "attribute-faces"
    (tmp_path / "taken").mkdir()
    (tmp_path / "scratch").mkdir()
    holds = FORMATS["attribute-faces"].take(made, tmp_path / "taken", _nothing)
    assert holds == "faces for reid: 3 hidden, 4 train, 2 val"
    (tmp_path / "taken" / "manifest.json").write_text("{}")  # the store's own
    assert verify_dataset(tmp_path / "taken", tmp_path / "scratch", _nothing) == holds


def test_a_changed_table_is_found(made: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "scratch").mkdir()
    FORMATS["attribute-faces"].take(made, tmp_path / "taken", _nothing)
    (tmp_path / "taken" / "val" / "one-more.png").write_bytes(b"")
    with pytest.raises(UsageError) as found:
        verify_dataset(tmp_path / "taken", tmp_path / "scratch", _nothing)
    assert found.value.code == "FACES_CHANGED"


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_the_recipes_make_what_the_season_names(task: str, tmp_path: Path) -> None:
    recipe = recipe_of(f"safair/{task}")
    assert (recipe.size, recipe.hidden) == (1000, True), "1000 hidden images, from a seed that nobody guesses"
    recipe.make(tmp_path, 2, 5, 1, _nothing)
    assert len(list((tmp_path / "hidden").iterdir())) == 2
    assert format_name(tmp_path) == "attribute-faces"
