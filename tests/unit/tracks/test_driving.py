import numpy as np
import pytest
from pydantic import ValidationError

from aisc.tracks.driving import (
    DrivingLimits,
    DrivingScore,
    canvases_of,
    count_detections,
    score_final,
    score_patch,
    target_of,
)

FACE = np.array([[10.0, 10], [20, 10], [20, 20], [10, 20]])


def score(counts, covered=0, limits=None):
    seen = np.ones_like(counts)
    return score_patch(counts, seen, covered, ["white", "black"], list("abcde"), limits or DrivingLimits(), 1)


def test_a_score_shows_its_two_terms_and_every_detector():
    counts = np.ones((2, 5, 240), int)
    counts[0, :, :120] = 0
    outcome = score(counts, covered=1260 * 2790 // 4)
    assert outcome.value == pytest.approx(0.25 + 0.15)
    assert outcome.parts == pytest.approx(
        {"suppression": 0.25, "area term": 0.15, "above clean": 0.25, "white": 0.5, "black": 0.0}
    )
    assert outcome.per_cell["white"]["c"] == 0.5
    assert outcome.low == pytest.approx(outcome.value) == outcome.high


def test_scenes_that_differ_give_an_interval():
    counts = np.ones((2, 5, 240), int)
    counts[:, 0] = 0
    outcome = score(counts)
    assert outcome.low < outcome.value < outcome.high


def test_the_area_term_can_be_switched_off():
    assert score(np.ones((2, 5, 240), int), limits=DrivingLimits(area_weight=0)).value == 0


def test_classes_count_by_target():
    boxes = np.zeros((4, 4), np.float32)
    labels = ["car", "truck", "bus", "person"]
    assert count_detections(boxes, labels, "truck", DrivingLimits(), FACE) == 3
    assert count_detections(boxes, labels, "mannequin", DrivingLimits(), FACE) == 1


def test_only_boxes_on_the_face_count_where_the_setting_says_so():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10.5, 10.5], [12, 12, 14, 14], [21, 0, 30, 30]], np.float32)
    limits = DrivingLimits(detections="target")
    assert count_detections(boxes, ["car"] * 4, "truck", limits, FACE) == 2
    assert count_detections(np.zeros((0, 4), np.float32), [], "truck", limits, FACE) == 0


def patch(hidden: int, scenes: str) -> DrivingScore:
    """A patch that hides its target in the first frames of every scene, from one detector of two."""
    counts = np.ones((2, 5, 240), int)
    counts[0, :, :hidden] = 0
    names = [f"{scenes}-{n}" for n in range(5)]
    return score_patch(counts, np.ones_like(counts), 0, ["white", "black"], names, DrivingLimits(), 1)


def test_the_final_takes_the_better_patch_of_each_object():
    patches = {
        "truck-1.png": patch(24, "truck"), "truck-2.png": patch(96, "truck"),
        "mannequin-1.png": patch(48, "mannequin"), "mannequin-2.png": patch(0, "mannequin"),
    }  # fmt: skip
    outcome = score_final(patches, DrivingLimits(), 1)
    assert outcome.value == pytest.approx(0.8 * (0.2 + 0.2) + 0.2 * (0.1 + 0.2))
    assert (outcome.parts["truck patch"], outcome.parts["mannequin patch"]) == (2, 1)
    assert (outcome.parts["truck"], outcome.parts["mannequin"]) == pytest.approx((0.4, 0.3))
    # All scenes of a kind agree, so nothing but the area terms and the means is left to vary.
    assert outcome.low == pytest.approx(outcome.value) == outcome.high


def test_the_interval_of_a_final_weighs_both_kinds_of_scenes():
    patches = {name: patch(0, name) for name in ("truck-1.png", "truck-2.png", "mannequin-1.png", "mannequin-2.png")}
    counts = np.ones((1, 5, 10), int)
    counts[0, 0] = 0  # one scene of five hides the target throughout
    patches["mannequin-1.png"] = score_patch(
        counts, np.ones_like(counts), 0, ["white"], list("abcde"), DrivingLimits(area_weight=0), 1
    )
    outcome = score_final(patches, DrivingLimits(area_weight=0), 1)
    # The mannequin's mean is drawn between 0 and 0.6 of its scenes (95 %), and weighs a fifth.
    assert outcome.low == pytest.approx(0.8 * 0.2)
    assert outcome.high == pytest.approx(0.8 * 0.2 + 0.2 * 0.6, abs=0.021)


def test_stages_ask_for_their_canvases():
    assert canvases_of("preliminary") == canvases_of("judgment") == ("truck.png",)
    assert [target_of(name) for name in canvases_of("final")] == ["truck", "truck", "mannequin", "mannequin"]


@pytest.mark.parametrize("field", [{"regions": 0}, {"area_weight": 2}, {"detections": "near"}, {"surprise": 1}])
def test_impossible_limits_are_refused(field):
    with pytest.raises(ValidationError):
        DrivingLimits(**field)
