"""Face classifiers: packages, three formats that answer alike, and the four that ship."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from aisc.errors import PlatformError, UsageError
from aisc.victims.classifier import LocalClassifier, make_classifier, open_classifier
from aisc.victims.classifier_models import export_classifier, load_classifier
from aisc.victims.classifier_networks import ClassifierArchitecture, ClassifierNetwork
from aisc.victims.classifier_package import (
    ClassifierDescription,
    ClassifierShape,
    MeasuredAccuracy,
    load_classifier_package,
    write_classifier_package,
)
from aisc.victims.packages import describe_weights
from aisc.victims.torch_models import pack_weights

SHAPE = ClassifierShape(widths=(4, 4, 4), hidden=8)
MEASURED = MeasuredAccuracy(clean=90, probes={"pgd": 10}, epsilon=8, data="made for a test")


def describe(weights, file="weights.safetensors", **changes: Any):
    fields = {
        "name": "tiny", "task": "reid", "format": "builtin", "architecture": SHAPE, "people": 5, "measured": MEASURED,
        "weights": describe_weights(file, weights),
    }  # fmt: skip
    return ClassifierDescription(**(fields | changes))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    torch.manual_seed(1)
    network = ClassifierNetwork(ClassifierArchitecture((4, 4, 4), 8, 5))
    with torch.no_grad():
        for _ in range(5):  # gives the batch norms statistics of their own
            network(torch.from_numpy(pictures(16)).permute(0, 3, 1, 2).float())
    weights = pack_weights(network.eval())
    return write_classifier_package(tmp_path_factory.mktemp("tiny"), describe(weights), weights)


def pictures(count=3):
    """Draw coarse patterns, which survive the halving of the size."""
    coarse = np.random.default_rng(2).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def test_a_package_comes_back_as_it_was_written(package):
    again = load_classifier_package(package.folder)
    assert again.description == package.description
    assert again.digest == package.digest
    assert again.weights == package.weights


def test_logits_are_those_of_the_network_whatever_the_batch(package):
    images = pictures(70)
    found = make_classifier(package).logits(images)
    with torch.no_grad():
        expected = load_classifier(package)(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.shape == (70, 5)
    assert np.ptp(found, axis=0).max() > 1e-3  # it looks at the pictures


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_exports_answer_as_the_network_they_were_made_from(package, tmp_path, kind):
    script, graph = export_classifier(package, tmp_path / "surrogate")
    path = script if kind == "torchscript" else graph
    weights = path.read_bytes()
    declared = describe(weights, path.name, format=kind, architecture=None)
    write_classifier_package(tmp_path / "mine", declared, weights)
    found = open_classifier(tmp_path / "mine").logits(pictures())
    np.testing.assert_allclose(found, make_classifier(package).logits(pictures()), atol=1e-3)


def test_an_exported_surrogate_has_gradients(package, tmp_path):
    script, _ = export_classifier(package, tmp_path)
    images = (torch.rand(2, 3, 112, 112) * 255).requires_grad_()
    torch.jit.load(str(script))(images).sum().backward()
    assert float(images.grad.abs().sum()) > 0


def test_an_exported_onnx_model_has_the_networks_gradients(package, tmp_path):
    _, graph = export_classifier(package, tmp_path)
    weights = graph.read_bytes()
    declared = describe(weights, graph.name, format="onnx", architecture=None)
    other = load_classifier(write_classifier_package(tmp_path / "mine", declared, weights))
    gradients = []
    for model in (load_classifier(package), other):
        images = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float().requires_grad_()
        gradients.append(torch.autograd.grad(model(images)[:, 2].sum(), images)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("answer", [np.zeros((3, 4)), np.full((3, 5), np.nan), np.zeros((2, 5))])
def test_nonsense_is_no_answer(package, answer):
    classifier = LocalClassifier(package.description, lambda batch: answer.astype(np.float32))
    with pytest.raises(PlatformError) as caught:
        classifier.logits(pictures())
    assert caught.value.code == "VICTIM_OUTPUT_INVALID"


def test_pictures_of_another_kind_are_the_platforms_fault(package):
    with pytest.raises(PlatformError) as caught:
        make_classifier(package).logits(pictures()[:, :100])
    assert caught.value.code == "VICTIM_INPUT_INVALID"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"people": None}, "people belong"),
        ({"attributes": ["hat"]}, "people belong"),
        ({"task": "attributes"}, "people belong"),
        ({"architecture": None}, "architecture belongs"),
        ({"defence": "prayer"}, "defence"),
        ({"measured": {"clean": 101, "probes": {}, "epsilon": 8, "data": "a test"}}, "measured.clean"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(package, tmp_path, changes, field):
    content = json.loads((package.folder / "classifier.json").read_text()) | changes
    (tmp_path / "classifier.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"classifier\.json") as caught:
        load_classifier_package(tmp_path)
    assert caught.value.code == "VICTIM_DESCRIPTION_INVALID"
    assert field in caught.value.message


def test_changed_weights_and_missing_packages_are_refused(package, tmp_path):
    (tmp_path / "classifier.json").write_bytes((package.folder / "classifier.json").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(package.weights + b"x")
    with pytest.raises(UsageError) as caught:
        load_classifier_package(tmp_path)
    assert caught.value.code == "VICTIM_WEIGHTS_CHANGED"
    with pytest.raises(UsageError) as caught:
        load_classifier_package(tmp_path / "nowhere")
    assert caught.value.code == "VICTIM_MISSING"


def test_weights_of_another_shape_are_refused(package, tmp_path):
    declared = package.description.model_copy(update={"people": 6})
    other = write_classifier_package(tmp_path, declared, package.weights)
    with pytest.raises(UsageError) as caught:
        load_classifier(other)
    assert caught.value.code == "VICTIM_WEIGHTS_INVALID"
