import math

import pytest
import torch

from aisc.victims.detector_heads import MOST, best_candidates, decode_anchors, decode_distances, decode_peaks


def logit(value):
    return math.log(value / (1 - value))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_anchor_cells_decode_as_yolo_says():
    raw = torch.randn(1, 2 * 9, 3, 5, generator=torch.Generator().manual_seed(1))
    boxes, scores = decode_anchors([raw], [16], [[(10.0, 20.0), (40.0, 30.0)]])
    assert boxes.shape == (1, 30, 4)
    row, column, anchor = 2, 3, 1
    tx, ty, tw, th, objectness, *classes = raw[0, anchor * 9 : anchor * 9 + 9, row, column].tolist()
    x, y = (column + sigmoid(tx)) * 16, (row + sigmoid(ty)) * 16
    width, height = 40 * math.exp(tw), 30 * math.exp(th)
    place = (row * 5 + column) * 2 + anchor
    expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    assert boxes[0, place].tolist() == pytest.approx(expected, rel=1e-5)
    assert scores[0, place].tolist() == pytest.approx([sigmoid(objectness) * sigmoid(c) for c in classes], rel=1e-5)


def test_distance_cells_decode_from_their_centre():
    raw = torch.zeros(1, 9, 2, 3)
    raw[0, 4:8, 1, 2] = torch.log(torch.tensor([1.0, 2.0, 3.0, 0.5]))
    raw[0, 1, 1, 2], raw[0, 8, 1, 2] = logit(0.8), logit(0.2)
    boxes, scores = decode_distances([raw], [8])
    assert boxes[0, 5].tolist() == pytest.approx([20 - 8, 12 - 16, 20 + 24, 12 + 4])
    assert float(scores[0, 5, 1]) == pytest.approx(math.sqrt(0.16), rel=1e-4)


def test_only_peaks_are_candidates():
    raw = torch.full((1, 8, 6, 6), -20.0)
    raw[0, 3, 2, 2], raw[0, 3, 2, 3] = logit(0.9), logit(0.8)
    raw[0, 4:6, 2, 2] = torch.log(torch.tensor([5.0, 2.0]))
    raw[0, 6:8, 2, 2] = torch.tensor([0.25, -0.5])
    boxes, scores = decode_peaks([raw], [4])
    found = best_candidates(boxes[0], scores[0])
    assert found.labels.tolist() == [3]
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.boxes[0].tolist() == pytest.approx([11 - 10, 8 - 4, 11 + 10, 8 + 4])


def test_candidates_are_few_and_best_first():
    scores = torch.rand(3000, 4, generator=torch.Generator().manual_seed(2))
    found = best_candidates(torch.zeros(3000, 4), scores)
    assert len(found.scores) == MOST
    assert found.scores.tolist() == sorted(scores.flatten().tolist(), reverse=True)[:MOST]


def test_extreme_sizes_stay_finite():
    raw = torch.full((1, 9, 2, 2), 1e4)
    for boxes, scores in (
        decode_anchors([raw], [8], [[(8.0, 8.0)]]), decode_distances([raw], [8]), decode_peaks([raw[:, :8]], [8]),
    ):  # fmt: skip
        assert torch.isfinite(boxes).all()
        assert torch.isfinite(scores).all()
