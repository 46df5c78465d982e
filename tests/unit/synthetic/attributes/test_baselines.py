"""The shipped classifiers under attack, on pictures that neither training nor measuring has seen; and their recipe."""

import numpy as np
import pytest
import torch

from aisc.attacks.objectives import attribute_signs, away_from, flip
from aisc.attacks.projected import PGD, attack_pictures
from aisc.datasets.attribute_goals import draw_given
from aisc.errors import UsageError
from aisc.metrics.accuracy_delta import accuracy_delta, attributes_right, people_right
from aisc.synthetic.attributes import recipe
from aisc.synthetic.attributes.album import ATTRIBUTES, CIRCLE, AlbumSpec, render_album
from aisc.synthetic.attributes.recipe import RECIPES, Progress, Recipe, record, train
from aisc.synthetic.attributes.training import Schedule, fit
from aisc.victims.builtin import builtin_names, builtin_package
from aisc.victims.classifier import answers, make_classifier, open_classifier
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_networks import ClassifierArchitecture
from aisc.victims.classifier_package import ClassifierShape, load_classifier_package


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def albums():
    return {
        "reid": render_album(AlbumSpec("reid", "hidden", 77, CIRCLE, 1)),
        "attributes": render_album(AlbumSpec("attributes", "hidden", 77, 50, 2)),
    }


def delta(name, album):
    """Attack a shipped classifier with PGD on its own gradients."""
    package = load_classifier_package(builtin_package(name))
    task, classifier = package.description.task, make_classifier(package)
    given = draw_given(album.attributes, 3, np.random.default_rng(1))
    goals = album.people if task == "reid" else attribute_signs(album.attributes, given)
    altered = attack_pictures(
        load_classifier(package), away_from if task == "reid" else flip, album.pictures, goals, PGD
    )
    right = []
    for pictures in (album.pictures, altered):
        said = answers(task, classifier.logits(pictures))
        right.append(
            people_right(said[:, 0], album.people)
            if task == "reid"
            else attributes_right(said == 1, album.attributes, given)
        )
    return accuracy_delta(*right)


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_the_undefended_falls_under_pgd_and_the_defended_clearly_less(task, albums):
    plain, defended = (delta(f"{task}-{kind}", albums[task]) for kind in ("undefended", "fgsm"))
    assert plain.delta >= 50
    assert defended.delta <= plain.delta - 20
    assert plain.initial >= 85
    assert defended.initial >= 70  # the default floor of a stage


def test_every_recipe_ships_and_nothing_else_does():
    assert builtin_names("classifier") == sorted(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_shipped_package_is_small_intact_and_tells_its_recipe(name):
    package = load_classifier_package(builtin_package(name))
    assert len(package.weights) <= 1_500_000
    described = package.description
    assert described.name == name
    assert described.defence == ("fgsm" if name.endswith("fgsm") else "none")
    assert described.attributes == (ATTRIBUTES if described.task == "attributes" else ())
    made = record(RECIPES[name])
    told, expected = ({k: v for k, v in one.items() if k != "made_by"} for one in (described.recipe, made))
    assert told == expected
    assert set(described.measured.probes) == {"fgsm", "bim", "pgd"}


TINY = Schedule(2, 8, 0.05, 0, 3, 1)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(recipe, "SHAPE", ClassifierShape(widths=(4, 4, 4), hidden=8))
    monkeypatch.setattr(recipe, "TRAINING", {"attributes": AlbumSpec("attributes", "train", 1, 8, 2)})
    monkeypatch.setattr(recipe, "MEASURING", {"attributes": AlbumSpec("attributes", "val", 1, 3, 2)})
    monkeypatch.setitem(recipe.RECIPES, "tiny", Recipe("attributes", TINY._replace(epsilon=8)))


def test_a_recipe_makes_a_package_and_makes_the_same_again(tmp_path, small):
    told: list[Progress] = []
    package = train("tiny", tmp_path / "a", report=told.append)
    assert {progress.step for progress in told} == {"render", "train", "measure"}
    assert all(progress.done <= progress.total for progress in told)
    assert open_classifier(tmp_path / "a" / "tiny").description == package.description
    assert package.description.recipe["epsilon"] == 8
    again = train("tiny", tmp_path / "b")
    assert again.weights == package.weights
    assert again.digest == package.digest


@pytest.mark.parametrize("epsilon", [0, 8])
def test_resuming_gives_the_same_weights(tmp_path, epsilon):
    class StoppedError(Exception):
        pass

    def stop(report):
        if report.epoch == 1:
            raise StoppedError

    album = render_album(AlbumSpec("attributes", "train", 1, 8, 2))
    shape, schedule = ClassifierArchitecture((4, 4, 4), 8, len(ATTRIBUTES)), TINY._replace(epsilon=epsilon)
    once = fit("attributes", shape, schedule, album, tmp_path / "a").state_dict()
    with pytest.raises(StoppedError):
        fit("attributes", shape, schedule, album, tmp_path / "b", stop)
    again = fit("attributes", shape, schedule, album, tmp_path / "b").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in once.items())


def test_an_unknown_recipe_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="reid-fgsm") as caught:
        train("nothing", tmp_path)
    assert caught.value.code == "RECIPE_UNKNOWN"
