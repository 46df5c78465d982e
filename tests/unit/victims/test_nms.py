import numpy as np
import pytest
import torch

from aisc.victims.nms import class_wise_nms, pairwise_iou


def overlap_by_counting(first, second):
    """Count the unit cells that two boxes with whole corners cover."""
    cells = [np.zeros((40, 40), bool), np.zeros((40, 40), bool)]
    for grid, (left, top, right, bottom) in zip(cells, (first, second), strict=True):
        grid[top:bottom, left:right] = True
    union = np.count_nonzero(cells[0] | cells[1])
    return np.count_nonzero(cells[0] & cells[1]) / union if union else 0.0


def random_boxes(rng, count):
    low = rng.integers(0, 20, (count, 2))
    return np.concatenate([low, low + rng.integers(0, 16, (count, 2))], axis=1)


def greedy(boxes, scores, labels, limit):
    """Suppress one by one, in plain Python."""
    left = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [k for k in left if labels[k] != labels[best] or overlap_by_counting(boxes[k], boxes[best]) <= limit]
    return kept


def test_iou_agrees_with_counting_cells():
    boxes = random_boxes(np.random.default_rng(1), 30)
    found = pairwise_iou(torch.from_numpy(boxes).float(), torch.from_numpy(boxes).float()).numpy()
    expected = [[overlap_by_counting(first, second) for second in boxes] for first in boxes]
    assert np.allclose(found, expected)


@pytest.mark.parametrize("seed", range(12))
def test_nms_agrees_with_plain_python(seed):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 60)
    scores = np.round(rng.random(60), 1).astype(np.float32)  # many ties
    labels = rng.integers(0, 3, 60)
    limit = rng.choice([0.3, 0.5, 0.7])
    found = class_wise_nms(
        torch.from_numpy(boxes).float(), torch.from_numpy(scores), torch.from_numpy(labels), float(limit)
    )
    assert found.tolist() == greedy(boxes, scores, labels, limit)


def test_nothing_gives_nothing():
    kept = class_wise_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert kept.tolist() == []
