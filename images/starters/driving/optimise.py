"""The loop that all attacks share: place the patch, ask the detectors, follow the gradient."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from kit import CLASSES, Shot, WhiteBox
from terms import near_target, non_printability, seen, total_variation
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

from aisc.placement.differentiable import place_tensor


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
        rate: Step width.
    """

    goal: str = "objectness"
    step: str = "adam"
    variation: float = 0.3
    print_loss: float = 0.1
    blur: float = 0.0
    transforms: float = 0.5
    rows: int = 24
    rate: float = 0.04


def optimise(
    detectors: list[WhiteBox], shots: list[Shot], target: str, mask: torch.Tensor, method: Method, steps: int,
    seed: int = 0, batch: int = 6, tell: Callable[[int, float], None] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Give the optimised colours (3, rows, columns) in [0, 255]."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    columns = max(1, round(method.rows * 2790 / 1260))
    hidden = (torch.randn(3, method.rows, columns) * 0.5).requires_grad_(True)
    optimizer = torch.optim.Adam([hidden], method.rate * 4)
    running = torch.zeros_like(hidden)
    wanted = [CLASSES.index(name) for name in (("person",) if target == "mannequin" else ("car", "truck", "bus"))]
    order: list[int] = []
    for step in range(steps):
        if len(order) < batch:
            order += rng.permutation(len(shots)).tolist()
        chosen, order = [shots[k] for k in order[:batch]], order[batch:]
        colours = torch.sigmoid(hidden)
        shown = _blurred(colours, method.blur) if method.blur else colours
        frames = torch.stack([_placed(shot, shown, mask, method.transforms, rng) for shot in chosen])
        loss = method.variation * total_variation(colours) + method.print_loss * non_printability(colours)
        for detector in detectors:
            boxes, scores, objectness = detector.confidences(frames)
            goal = scores[..., wanted].amax(2) if method.goal == "class" else objectness
            for one, values, shot in zip(boxes, goal, chosen, strict=True):
                near = near_target(one.detach(), shot.pose.corners, target)
                loss = loss + seen(values, near) / (len(chosen) * len(detectors))
        optimizer.zero_grad()
        loss.backward()
        if method.step == "adam":
            optimizer.param_groups[0]["lr"] = method.rate * 4 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            optimizer.step()
        else:
            running = 0.9 * running + hidden.grad / hidden.grad.abs().mean().clamp(min=1e-12)
            with torch.no_grad():
                hidden -= method.rate * running.sign()
        if tell is not None:
            tell(step + 1, float(loss.detach()))
    finished = torch.sigmoid(hidden).detach()
    return (_blurred(finished, method.blur) if method.blur else finished) * 255


def _placed(
    shot: Shot, colours: torch.Tensor, mask: torch.Tensor, strength: float, rng: np.random.Generator
) -> torch.Tensor:
    """Put the patch into a frame, with light, noise and place changed a little."""
    # Twice the mask's grid is finer than any frame shows, and borders of the patch stay sharp.
    sheet = F.interpolate(colours[None] * 255, mask.shape[1:], mode="bilinear")[0]
    sheet = sheet * float(1 + strength * rng.uniform(-0.2, 0.2)) + float(strength * rng.uniform(-12, 12))
    move = strength * rng.normal(0, 0.6, 2) if strength else np.zeros(2)
    pose = shot.pose._replace(corners=shot.pose.corners + move)
    frame = place_tensor(shot.pixels, sheet.clamp(0, 255), mask, pose, samples=3)
    return (frame + torch.randn_like(frame) * (3 * strength)).clamp(0, 255)


def _blurred(colours: torch.Tensor, spread: float) -> torch.Tensor:
    reach = max(1, round(2.5 * spread))
    x = torch.arange(-reach, reach + 1).float()
    kernel = torch.exp(-(x**2) / (2 * spread**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(colours[None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)[0]
