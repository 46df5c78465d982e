import hashlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from aisc.errors import PlatformError, UsageError
from aisc.synthetic.driving.recipe import RECIPES, head_of, record
from aisc.victims.builtin import builtin_names, builtin_package
from aisc.victims.detector_networks import STRIDES, build_detector
from aisc.victims.detector_package import (
    DetectorDescription,
    HeadDescription,
    Measured,
    export_detector,
    load_detector_package,
    write_detector_package,
)
from aisc.victims.detectors import LocalDetector, make_detector, open_detector
from aisc.victims.packages import WeightsDescription
from aisc.victims.torch_models import pack_weights

DESIGNS = ("anchors", "distances", "peaks")


def description(design=None, **changes: Any) -> DetectorDescription:
    fields = {
        "name": "tiny",
        "format": "builtin" if design else "torchscript",
        "design": design,
        "weights": WeightsDescription(file="weights.safetensors", sha256="0" * 64),
        "head": head_of(design) if design else HeadDescription(kind="boxes"),
        "measured": Measured(precision=0, recall_album=0, false_alarms=0, data="a test"),
    }
    return DetectorDescription(**(fields | changes))


class _Ready(nn.Module):
    """Gives the same boxes for each frame."""

    def __init__(self, boxes: Any, labels: Any, scores: Any) -> None:
        super().__init__()
        self.answer = torch.tensor(boxes), torch.tensor(labels), torch.tensor(scores)

    def forward(self, frames):
        return [self.answer for _ in frames]


def frames(count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 256, 416, 3), dtype=np.uint8)


@pytest.fixture
def package(tmp_path):
    torch.manual_seed(3)
    network = build_detector("distances")
    nn.init.normal_(network.head.weight, std=0.3)  # sure of much, and of nothing alike
    nn.init.zeros_(network.head.bias)
    weights = pack_weights(network)
    declared = WeightsDescription(file="weights.safetensors", sha256=hashlib.sha256(weights).hexdigest())
    folder = tmp_path / "tiny"
    return write_detector_package(folder, description("distances", weights=declared, confidence=0.3), weights)


@pytest.mark.parametrize("design", DESIGNS)
def test_networks_give_the_maps_their_heads_expect(design):
    with torch.inference_mode():
        maps = build_detector(design).eval()(torch.zeros(2, 3, 64, 96))
    channels = {"anchors": 27, "distances": 9, "peaks": 8}[design]
    assert [tuple(one.shape) for one in maps] == [(2, channels, 64 // s, 96 // s) for s in STRIDES[design]]


@pytest.mark.parametrize("design", DESIGNS)
def test_gradients_reach_the_frame(design):
    image = torch.full((1, 3, 64, 96), 100.0, requires_grad=True)
    network = build_detector(design).eval()
    sum(one.sum() for one in network(image)).backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


def test_boxes_labels_and_scores_pass_threshold_and_suppression():
    boxes = [[10.0, 10, 50, 50], [12, 10, 50, 50], [10, 10, 50, 50], [100, 100, 120, 120], [0, 0, 9, 9]]
    detector = LocalDetector(
        description(classes=("truck", "person", "")), _Ready(boxes, [0, 0, 1, 2, 0], [0.8, 0.9, 0.7, 0.95, 0.49])
    )
    for seen in detector.detect(frames(2)):
        assert seen.boxes.tolist() == [[12, 10, 50, 50], [10, 10, 50, 50]]
        assert seen.labels.tolist() == [1, 3]
        assert seen.scores.tolist() == pytest.approx([0.9, 0.7])


def test_answers_do_not_depend_on_the_grouping_of_frames(package):
    detector = make_detector(package)
    images = frames(9)
    together = detector.detect(images)
    assert any(len(seen.scores) for seen in together)
    for seen, image in zip(together, images, strict=True):
        alone = detector.detect(image[None])[0]
        # Sums of floats may differ in the last bit, and so may the order of boxes that are nearly as sure.
        assert abs(len(seen.scores) - len(alone.scores)) <= 1
        assert np.allclose(seen.scores[:5], alone.scores[:5], atol=1e-4)


def test_no_frames_give_no_answers(package):
    assert make_detector(package).detect(frames(0)) == []


@pytest.mark.parametrize("bad", [np.zeros((1, 10, 10, 3), np.uint8), np.zeros((1, 256, 416, 3), np.float32)])
def test_frames_of_another_kind_are_the_platforms_fault(package, bad):
    with pytest.raises(PlatformError) as caught:
        make_detector(package).detect(bad)
    assert caught.value.code == "DETECTOR_INPUT_INVALID"


@pytest.mark.parametrize(
    ("boxes", "labels", "scores"),
    [
        ([[0.0, 0, float("nan"), 1]], [0], [0.9]),
        ([[0.0, 0, 1, 1]], [7], [0.9]),
        ([[0.0, 0, 1, 1]], [0, 1], [0.9]),
    ],
    ids=["NaN", "unknown class", "lengths"],
)
def test_nonsense_is_no_score(boxes, labels, scores):
    with pytest.raises(PlatformError) as caught:
        LocalDetector(description(), _Ready(boxes, labels, scores)).detect(frames(1))
    assert caught.value.code == "DETECTOR_OUTPUT_INVALID"


def test_a_torchscript_export_answers_the_same(package, tmp_path):
    export_detector(package, tmp_path / "script" / "model.pt")
    data = (tmp_path / "script" / "model.pt").read_bytes()
    declared = WeightsDescription(file="model.pt", sha256=hashlib.sha256(data).hexdigest())
    write_detector_package(
        tmp_path / "script", description(weights=declared, head=head_of("distances"), confidence=0.3), data
    )
    images = frames(2, 4)
    for own, other in zip(
        make_detector(package).detect(images), open_detector(tmp_path / "script").detect(images), strict=True
    ):
        assert abs(len(own.scores) - len(other.scores)) <= 1
        assert np.allclose(own.scores[:5], other.scores[:5], atol=1e-4)


def test_changed_weights_are_refused(package):
    path = package.folder / "weights.safetensors"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UsageError) as caught:
        load_detector_package(package.folder)
    assert caught.value.code == "VICTIM_WEIGHTS_CHANGED"


def test_a_head_without_its_anchors_is_refused(package):
    path = package.folder / "detector.json"
    content = json.loads(path.read_text())
    content["head"] = {"kind": "anchors", "strides": [8], "anchors": []}
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as caught:
        load_detector_package(package.folder)
    assert caught.value.code == "VICTIM_DESCRIPTION_INVALID"


def test_small_detectors_of_three_designs_ship_and_find_every_target():
    assert set(builtin_names("detector")) == set(RECIPES)
    packages = [load_detector_package(builtin_package(name)) for name in builtin_names("detector")]
    assert {package.description.design for package in packages} == set(DESIGNS)
    assert all(len(package.weights) <= 2.5e6 for package in packages)
    for package in packages:
        assert len(package.description.measured.recall) == 10
        assert min(package.description.measured.recall.values()) >= 0.9


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_shipped_detectors_record_the_recipe_that_makes_them(name):
    told = load_detector_package(builtin_package(name)).description.recipe
    assert {key: value for key, value in told.items() if key != "made_by"} == {
        key: value for key, value in record(RECIPES[name]).items() if key != "made_by"
    }


def test_no_two_shipped_detectors_share_weights():
    assert len({recipe.schedule.seed for recipe in RECIPES.values()}) == len(RECIPES)
    declared = [load_detector_package(builtin_package(name)).description.weights.sha256 for name in RECIPES]
    assert len(set(declared)) == len(RECIPES)
