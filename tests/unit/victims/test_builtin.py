"""The shipped networks, asked anew about people whom neither training nor calibration has seen."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from aisc.errors import UsageError
from aisc.synthetic.faces.album import AlbumSpec, render_album
from aisc.synthetic.faces.recipe import RECIPES, record
from aisc.victims.builtin import KINDS, builtin_names, builtin_package
from aisc.victims.calibration import score_pairs
from aisc.victims.package import load_package
from aisc.victims.thresholds import measure
from aisc.victims.verifier import make_verifier, open_verifier

PEOPLE, SHOTS = 60, 3


@pytest.fixture(scope="module")
def album() -> NDArray[np.uint8]:
    return render_album(AlbumSpec(77, "test", PEOPLE, SHOTS)).reshape(-1, 112, 112, 3)


def test_every_recipe_ships_and_nothing_else_does() -> None:
    assert builtin_names("verifier") == sorted(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_shipped_package_is_small_intact_and_tells_its_recipe(name: str) -> None:
    package = load_package(builtin_package(name))
    assert len(package.weights) <= 1_500_000
    assert package.description.name == name
    told = {key: value for key, value in package.description.recipe.items() if key != "made_by"}
    assert told == {key: value for key, value in record(RECIPES[name]).items() if key != "made_by"}
    calibration = package.description.calibration
    assert calibration.impostor_pairs >= 100_000
    assert calibration.target_false_accept_rate == 0.001
    assert calibration.false_accept_rate <= 0.001


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_accuracy_on_new_people_is_at_least_95_percent_and_false_accepts_are_as_rare_as_stated(
    name: str, album: NDArray[np.uint8]
) -> None:
    verifier = open_verifier(builtin_package(name))
    scores = score_pairs(verifier.embed(album), np.arange(len(album)) // SHOTS)
    figures = measure(scores.genuine, scores.impostor, verifier.description.threshold)
    assert figures.best_accuracy >= 0.95
    assert figures.true_accept_rate >= 0.6
    # Pairs that share a person are not independent: as many trials as there are pairs of people, 99.9 % bound.
    trials = PEOPLE * (PEOPLE - 1) // 2
    assert figures.false_accept_rate <= binom.ppf(0.999, trials, 0.001) / trials


def test_the_mirror_image_brings_pictures_of_one_person_closer(album: NDArray[np.uint8]) -> None:
    package = load_package(builtin_package("surrogate-plain"))
    alone = type(package)(package.folder, package.description.model_copy(update={"mirror": False}), package.weights)
    few, people = album[:90], np.arange(90) // SHOTS
    with_mirror, without = (score_pairs(make_verifier(p).embed(few), people).genuine.mean() for p in (package, alone))
    assert with_mirror > without


def test_stages_ask_for_three_victims_each_and_two_surrogates_share_their_families() -> None:
    families: dict[str, set[str]] = {}
    for recipe in RECIPES.values():
        families.setdefault(recipe.role, set()).add(recipe.architecture.family)
    assert families["surrogate"] == {"residual", "plain"}
    assert families["preliminary"] == {"residual", "plain", "dense"}
    assert families["evaluation"] == {"squeeze", "plain", "mixer"}


def test_every_shipped_model_is_of_one_kind() -> None:
    kinds = [name for kind in KINDS.values() for name in builtin_names(kind)]
    assert sorted(kinds) == builtin_names()
    assert builtin_names("detector", "classifier") == sorted({*builtin_names()} - {*builtin_names("verifier")})


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="surrogate-plain") as caught:
        builtin_package("../../etc")
    assert caught.value.code == "VICTIM_UNKNOWN"
    assert isinstance(builtin_package("vgg"), Path)
