"""The loop that all attacks share: place the patch, ask the detectors, follow the gradient."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from kit import CLASSES, Shot, WhiteBox
from terms import near_target, non_printability, seen, total_variation
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads
from views import cut, view, window_size


class Method(NamedTuple):
    """How a patch is optimised.

    Attributes:
        goal: ``class`` lowers the confidence in the target's classes, ``objectness`` that in anything.
        step: ``adam``, or ``momentum``: the sign of a running mean of gradients.
        variation: Weight of total variation.
        print_loss: Weight of non-printability.
        blur: Standard deviation in patch pixels of a Gaussian that the patch passes; 0 for none.
        transforms: Strength of random changes of light, noise and place.
        rows: Rows of the patch; it is enlarged smoothly to the canvas, for finer detail is lost on the way anyway.
        rate: Step width at the start; it falls to nothing along a cosine.
    """

    goal: str = "objectness"
    step: str = "adam"
    variation: float = 0.02
    print_loss: float = 0.0
    blur: float = 0.0
    transforms: float = 1.0
    rows: int = 24
    rate: float = 0.2


COARSER = (1, 3, 8)
"""A patch is a sum of layers with so many times fewer rows: coarse shapes, which far frames show, move at once."""


def optimise(
    detectors: list[WhiteBox], shots: list[Shot], target: str, mask: torch.Tensor, method: Method, steps: int,
    seed: int = 0, batch: int = 8, tell: Callable[[int, float], None] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Give the optimised colours (3, rows, columns) in [0, 255]."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    size = method.rows, max(1, round(method.rows * 2790 / 1260))
    layers = [
        (torch.randn(3, *(max(2, side // times) for side in size)) * 0.3).requires_grad_(True) for times in COARSER
    ]
    optimizer = torch.optim.Adam(layers, method.rate)
    running = [torch.zeros_like(layer) for layer in layers]
    window = window_size(shots)
    order: list[int] = []
    for step in range(steps):
        if len(order) < batch:
            order += rng.permutation(len(shots)).tolist()
        chosen, order = [cut(shots[k], window, rng) for k in order[:batch]], order[batch:]
        colours = _colours(layers, size, method.blur)
        # The mask's grid is finer than any frame shows, and borders of the patch stay sharp.
        sheet = F.interpolate(colours[None] * 255, mask.shape[1:], mode="bilinear")[0]
        frames = torch.stack([view(shot, sheet, mask, method.transforms, rng) for shot in chosen])
        loss = method.variation * total_variation(colours)
        if method.print_loss:
            loss = loss + method.print_loss * non_printability(colours)
        for detector in detectors:
            loss = loss + _visibility(detector, frames, chosen, target, method.goal) / len(detectors)
        optimizer.zero_grad()
        loss.backward()
        rate = method.rate * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        if method.step == "adam":
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        else:
            _momentum_step(layers, running, rate)
        if tell is not None:
            tell(step + 1, float(loss.detach()))
    return _colours(layers, size, method.blur).detach() * 255


def _visibility(detector: WhiteBox, frames: torch.Tensor, shots: list[Shot], target: str, goal: str) -> torch.Tensor:
    """Give the mean over frames (n, 3, h, w) of how surely a detector sees the target."""
    wanted = [CLASSES.index(name) for name in (("person",) if target == "mannequin" else ("car", "truck", "bus"))]
    boxes, scores, objectness = detector.confidences(frames)
    values = scores[..., wanted].amax(2) if goal == "class" else objectness
    return torch.stack(
        [
            seen(one, near_target(box.detach(), shot.pose.corners, target))
            for box, one, shot in zip(boxes, values, shots, strict=True)
        ]
    ).mean()


def _momentum_step(layers: list[torch.Tensor], running: list[torch.Tensor], rate: float) -> None:
    for layer, mean in zip(layers, running, strict=True):
        if layer.grad is not None:
            mean.mul_(0.9).add_(layer.grad / layer.grad.abs().mean().clamp(min=1e-12))
            with torch.no_grad():
                layer -= rate * mean.sign()


def _colours(layers: list[torch.Tensor], size: tuple[int, int], blur: float) -> torch.Tensor:
    """Add up the layers and give colours (3, rows, columns) in [0, 1]."""
    total = torch.stack([F.interpolate(layer[None], size, mode="bilinear")[0] for layer in layers]).sum(0)
    colours = torch.sigmoid(total)
    return _blurred(colours, blur) if blur else colours


def _blurred(colours: torch.Tensor, spread: float) -> torch.Tensor:
    reach = max(1, round(2.5 * spread))
    x = torch.arange(-reach, reach + 1).float()
    kernel = torch.exp(-(x**2) / (2 * spread**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(colours[None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)[0]
