"""What each design of detector is taught by."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

from aisc.victims.detector_heads import cell_corners, decode_anchors, decode_distances
from aisc.victims.detector_networks import ANCHORS, CLASSES, STRIDES, Design
from aisc.victims.nms import pairwise_iou


class Truth(NamedTuple):
    """What is in one frame.

    Attributes:
        boxes: ``(k, 4)`` float32.
        labels: ``(k,)`` int64.
        counts: ``(k,)`` bool: must be found; the others are too small or too hidden, and are neither taught nor held
            against the detector.
    """

    boxes: Tensor
    labels: Tensor
    counts: Tensor


def detection_loss(design: Design, maps: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """Give the loss of a batch: a sum over objects, divided by the number of objects."""
    teach = {"anchors": _anchor_loss, "distances": _distance_loss, "peaks": _peak_loss}[design]
    total = max(1, sum(int(truth.counts.sum()) for truth in truths))
    return teach([one.float() for one in maps], truths) / total


def overlap_loss(first: Tensor, second: Tensor) -> Tensor:
    """Give 1 - GIoU of boxes ``(k, 4)`` one by one (Rezatofighi et al. 2019, algorithm 1)."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    sizes = [(one[:, 2:] - one[:, :2]).clamp(min=0).prod(1) for one in (first, second)]
    union = sizes[0] + sizes[1] - shared
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    around = hull.prod(1).clamp(min=1e-6)
    return 1 - shared / union.clamp(min=1e-6) + (around - union) / around


def _focal(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Give the summed focal loss (Lin et al. 2017, eq. 5; gamma 2, alpha 0.4)."""
    wrong = torch.abs(truth - torch.sigmoid(logits))
    value = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (value * wrong**2 * torch.where(truth > 0, 0.8, 0.5) * 2 * weight).sum()


def _ignored(points: Tensor, truth: Truth) -> Tensor:
    """Tell which points ``(m, 2)`` lie in objects that do not count."""
    boxes = truth.boxes[~truth.counts]
    inside = (points[:, None] > boxes[None, :, :2]) & (points[:, None] < boxes[None, :, 2:])
    return inside.all(-1).any(1)


def _anchor_loss(maps: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """Objectness everywhere; box and class at the anchors that fit an object best, or well."""
    strides = STRIDES["anchors"]
    boxes, _ = decode_anchors(maps, strides, ANCHORS)
    raw = torch.cat([one.view(len(one), 3, 5 + CLASSES, -1).permute(0, 3, 1, 2).flatten(1, 2) for one in maps], 1)
    sizes = torch.tensor([anchor for group in ANCHORS for anchor in group])
    starts = torch.tensor([0, *(one.shape[2] * one.shape[3] * 3 for one in maps)]).cumsum(0)
    widths = [one.shape[3] for one in maps]
    heights = [one.shape[2] for one in maps]
    loss = raw.sum() * 0
    for frame, truth in enumerate(truths):
        wanted = torch.zeros(raw.shape[1])
        weight = torch.ones(raw.shape[1])
        everything = pairwise_iou(boxes[frame].detach(), truth.boxes)
        if len(truth.boxes):
            weight[(everything > 0.6).any(1) | (everything[:, ~truth.counts] > 0.2).any(1)] = 0
        places, objects = [], []
        sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        least = torch.minimum(sides[:, None], sizes[None]).prod(-1)
        fit = least / (sides.prod(-1)[:, None] + sizes.prod(-1)[None] - least)
        for number in torch.nonzero(truth.counts)[:, 0].tolist():
            chosen = set(torch.nonzero(fit[number] > 0.5)[:, 0].tolist()) | {int(fit[number].argmax())}
            centre = (truth.boxes[number, :2] + truth.boxes[number, 2:]) / 2
            for anchor in chosen:
                scale = anchor // 3
                x = min(int(centre[0] / strides[scale]), widths[scale] - 1)
                y = min(int(centre[1] / strides[scale]), heights[scale] - 1)
                places.append(int(starts[scale]) + (y * widths[scale] + x) * 3 + anchor % 3)
                objects.append(number)
        if places:
            at, which = torch.tensor(places), torch.tensor(objects)
            wanted[at], weight[at] = 1, 1
            kinds = F.one_hot(truth.labels[which], CLASSES).float()
            share = torch.tensor([1 / objects.count(number) for number in objects])
            loss = loss + 2 * (overlap_loss(boxes[frame, at], truth.boxes[which]) * share).sum()
            found = F.binary_cross_entropy_with_logits(raw[frame, at, 5:], kinds, reduction="none").sum(1)
            loss = loss + (found * share).sum()
        loss = loss + 2 * _focal(raw[frame, :, 4], wanted, weight)
    return loss


def _distance_loss(maps: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """Focal loss on classes; box and centredness where a cell lies near the middle of an object of its scale."""
    strides = STRIDES["distances"]
    boxes, _ = decode_distances(maps, strides)
    raw = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
    points = torch.cat([(cell_corners(*one.shape[2:]) + 0.5) * s for one, s in zip(maps, strides, strict=True)])
    scale = torch.cat([torch.full((one.shape[2] * one.shape[3],), k) for k, one in enumerate(maps)])
    reach = torch.tensor(strides)[scale] * 1.5
    bounds = torch.tensor([[0.0, 44.0], [36.0, 104.0], [88.0, 1e9]])[scale]
    loss = raw.sum() * 0
    for frame, truth in enumerate(truths):
        kinds = torch.zeros(len(points), CLASSES)
        weight = (~_ignored(points, truth)).float()
        real = torch.nonzero(truth.counts)[:, 0]
        if len(real):
            box = truth.boxes[real]
            sides = torch.cat([points[:, None] - box[None, :, :2], box[None, :, 2:] - points[:, None]], -1)
            longest = (box[:, 2:] - box[:, :2]).amax(1)
            off = (points[:, None] - (box[None, :, :2] + box[None, :, 2:]) / 2).abs().amax(-1)
            fits = (sides.amin(-1) > 0) & (off <= reach[:, None])
            fits &= (longest[None] >= bounds[:, :1]) & (longest[None] <= bounds[:, 1:])
            areas = (box[:, 2:] - box[:, :2]).prod(1)
            cost = torch.where(fits, areas[None], torch.inf)
            value, which = cost.min(1)
            at = torch.nonzero(torch.isfinite(value))[:, 0]
            own = which[at]
            weight[at] = 1
            kinds[at, truth.labels[real][own]] = 1
            side = sides[at, own]
            centred = torch.sqrt(
                side[:, 0::2].amin(1) / side[:, 0::2].amax(1) * side[:, 1::2].amin(1) / side[:, 1::2].amax(1)
            )
            share = 1 / torch.bincount(own, minlength=len(real)).clamp(min=1).float()[own]
            loss = loss + 2 * (overlap_loss(boxes[frame, at], box[own]) * share).sum()
            near = F.binary_cross_entropy_with_logits(raw[frame, at, CLASSES + 4], centred, reduction="none")
            loss = loss + (near * share).sum()
        loss = loss + 0.7 * _focal(raw[frame, :, :CLASSES], kinds, weight[:, None])
    return loss


def _peak_loss(maps: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """Penalty-reduced focal loss on peaks (Zhou et al. 2019, eq. 1), size and offset at the centres."""
    (raw,), (stride,) = maps, STRIDES["peaks"]
    height, width = raw.shape[2:]
    x, y = (torch.arange(count).float() for count in (width, height))
    loss = raw.sum() * 0
    for frame, truth in enumerate(truths):
        heat = torch.zeros(CLASSES, height, width)
        points = (cell_corners(height, width) + 0.5) * stride
        weight = (~_ignored(points, truth)).float().view(height, width)
        for number in torch.nonzero(truth.counts)[:, 0].tolist():
            box = truth.boxes[number] / stride
            centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            column, row = (
                min(max(int(value), 0), most - 1) for value, most in zip(centre.tolist(), (width, height), strict=True)
            )
            spread = (size * 0.14).clamp(min=0.7)
            blob = torch.exp(-(((y - row) / spread[1]) ** 2)[:, None] / 2 - (((x - column) / spread[0]) ** 2) / 2)
            label = int(truth.labels[number])
            heat[label] = torch.maximum(heat[label], blob)
            weight[row, column] = 1
            found = raw[frame, CLASSES:, row, column]
            wanted = torch.cat([torch.log(size), centre - torch.tensor([column + 0.5, row + 0.5])])
            loss = loss + F.smooth_l1_loss(found, wanted, reduction="sum", beta=0.2)
        logits = raw[frame, :CLASSES]
        sure = torch.sigmoid(logits)
        peak = heat >= 0.999
        hit = -F.logsigmoid(logits) * (1 - sure) ** 2
        miss = -F.logsigmoid(-logits) * sure**2 * (1 - heat) ** 4
        loss = loss + torch.where(peak, 3 * hit, miss * weight).sum()
    return loss
