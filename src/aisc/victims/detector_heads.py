"""From raw maps to candidate boxes: one decoder for each usual kind of output head.

A decoder gives for each frame all candidates, before any threshold but a low floor and before suppression of overlaps.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

FLOOR: Final = 0.05
"""Confidence under which a candidate is dropped at once."""
MOST: Final = 200
"""Candidates of one frame that are kept, best first."""
_LONGEST: Final = 8.0


class Candidates(NamedTuple):
    """Boxes of one frame.

    Attributes:
        boxes: ``(k, 4)`` float32: left, top, right, bottom in frame pixels.
        labels: ``(k,)`` int64: numbers of classes.
        scores: ``(k,)`` float32 in [0, 1].
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


def cell_corners(height: int, width: int) -> Tensor:
    """Give x and y of each cell's upper left corner in cells, ``(h · w, 2)`` float32."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).float()


def decode_anchors(
    maps: Sequence[Tensor], strides: Sequence[int], anchors: Sequence[Sequence[Sequence[float]]]
) -> tuple[Tensor, Tensor]:
    """Decode maps with anchors (YOLOv3, Redmon and Farhadi 2018, section 2.1).

    Args:
        maps: One a scale, ``(n, a · (5 + classes), h, w)``: x, y, width, height, objectness, classes.
        strides: Frame pixels per cell.
        anchors: Width and height in pixels of each scale's anchors.

    Returns:
        Boxes ``(n, m, 4)`` and confidences ``(n, m, classes)``: objectness times class.
    """
    boxes, scores = [], []
    for raw, stride, priors in zip(maps, strides, anchors, strict=True):
        n, _, height, width = raw.shape
        cells = raw.view(n, len(priors), -1, height * width).permute(0, 3, 1, 2)
        corner = cell_corners(height, width)[None, :, None]
        centre = (corner + torch.sigmoid(cells[..., :2])) * stride
        half = torch.exp(cells[..., 2:4].clamp(max=_LONGEST)) * torch.tensor(priors) / 2
        boxes.append(torch.cat([centre - half, centre + half], -1).flatten(1, 2))
        scores.append((torch.sigmoid(cells[..., 4:5]) * torch.sigmoid(cells[..., 5:])).flatten(1, 2))
    return torch.cat(boxes, 1), torch.cat(scores, 1)


def decode_distances(maps: Sequence[Tensor], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Decode maps of distances to the four sides (FCOS, Tian et al. 2019, section 3.1).

    Args:
        maps: One a scale, ``(n, classes + 5, h, w)``: classes, logarithms of the distances to left, top, right and
            bottom in strides, centredness.
        strides: Frame pixels per cell.

    Returns:
        Boxes ``(n, m, 4)`` and confidences ``(n, m, classes)``: the geometric mean of class and centredness.
    """
    boxes, scores = [], []
    for raw, stride in zip(maps, strides, strict=True):
        height, width = raw.shape[2:]
        cells = raw.flatten(2).transpose(1, 2)
        classes = cells.shape[2] - 5
        centre = (cell_corners(height, width)[None] + 0.5) * stride
        sides = torch.exp(cells[..., classes : classes + 4].clamp(max=_LONGEST)) * stride
        boxes.append(torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], -1))
        certain = torch.sigmoid(cells[..., :classes]) * torch.sigmoid(cells[..., classes + 4 :])
        scores.append(torch.sqrt(certain + 1e-12))
    return torch.cat(boxes, 1), torch.cat(scores, 1)


def decode_peaks(maps: Sequence[Tensor], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Decode a map on which objects are peaks (CenterNet, Zhou et al. 2019, section 4).

    Args:
        maps: One, ``(n, classes + 4, h, w)``: classes, logarithms of width and height in strides, offset of the centre.
        strides: Frame pixels per cell.

    Returns:
        Boxes ``(n, m, 4)`` and confidences ``(n, m, classes)``, zero where a neighbouring cell is surer.
    """
    (raw,), (stride,) = maps, strides
    height, width = raw.shape[2:]
    heat = torch.sigmoid(raw[:, :-4])
    heat = heat * (heat == F.max_pool2d(heat, 3, 1, 1))
    cells = raw[:, -4:].flatten(2).transpose(1, 2)
    centre = (cell_corners(height, width)[None] + 0.5 + cells[..., 2:]) * stride
    half = torch.exp(cells[..., :2].clamp(max=_LONGEST)) * stride / 2
    return torch.cat([centre - half, centre + half], -1), heat.flatten(2).transpose(1, 2)


def best_candidates(boxes: Tensor, scores: Tensor) -> Candidates:
    """Give one frame's best candidates: boxes ``(m, 4)`` and confidences ``(m, classes)``, one candidate a class."""
    flat = scores.reshape(-1)
    chosen = torch.nonzero(flat > FLOOR)[:, 0]
    chosen = chosen[torch.argsort(flat[chosen], descending=True, stable=True)[:MOST]]
    classes = scores.shape[1]
    return Candidates(boxes[chosen // classes], chosen % classes, flat[chosen])
