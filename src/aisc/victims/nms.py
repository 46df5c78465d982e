"""Overlap of boxes, and greedy suppression of all but the best of those that overlap, in plain torch."""

import torch
from torch import Tensor


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Give the intersection over union of every two boxes.

    Args:
        first: ``(n, 4)`` left, top, right, bottom.
        second: ``(m, 4)``.

    Returns:
        ``(n, m)`` in [0, 1]; boxes without area overlap nothing.

    >>> pairwise_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return torch.where(union > 0, shared / union.clamp(min=1e-12), torch.zeros_like(shared))


def class_wise_nms(boxes: Tensor, scores: Tensor, labels: Tensor, overlap: float = 0.5) -> Tensor:
    """Keep the best of the boxes of one class that overlap by more than ``overlap``, again and again.

    Args:
        boxes: ``(n, 4)`` float32 left, top, right, bottom.
        scores: ``(n,)`` float32; of equal scores the earlier box counts as better.
        labels: ``(n,)`` int64.
        overlap: Largest intersection over union of two boxes of one class that are both kept.

    Returns:
        ``(k,)`` int64: the numbers of the kept boxes, best first.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    rivals = (pairwise_iou(boxes[order], boxes[order]) > overlap) & (labels[order][:, None] == labels[order][None])
    alive = torch.ones(len(order), dtype=torch.bool)
    kept = []
    for index in range(len(order)):
        if alive[index]:
            kept.append(index)
            alive &= ~rivals[index]
    return order[torch.tensor(kept, dtype=torch.int64)]
