"""What an attack trains on: a window around the target, with place, light and noise changed at random."""

import math

import numpy as np
import torch
from kit import Shot

from aisc.placement.differentiable import place_tensor

STRIDE = 32
"""Detectors want sides that are multiples of it."""
AROUND = (0.25, 1.15)
"""What a window must show beside and below the face, in widths and heights of the face."""


def window_size(shots: list[Shot]) -> tuple[int, int]:
    """Give rows and columns of a window that holds the target of every frame, and all that is above it.

    A window keeps the frame's top: a detector knows from the rows how far away a thing is, and finds nothing where
    they are cut off. Columns can be left out, which halves the work or better.
    """
    corners = np.stack([shot.pose.corners for shot in shots])
    sizes = np.ptp(corners, axis=1)
    wide = (sizes[:, 0] * (1 + 2 * AROUND[0])).max()
    low = (corners[:, :, 1].max(axis=1) + sizes[:, 1] * AROUND[1]).max()
    whole = shots[0].pixels.shape[1:]
    rows, columns = (
        min(most, math.ceil(side / STRIDE) * STRIDE) for side, most in zip((low, wide), whole, strict=True)
    )
    return max(rows, STRIDE), max(columns, STRIDE)


def cut(shot: Shot, size: tuple[int, int], rng: np.random.Generator) -> Shot:
    """Cut a window of ``size`` (rows, columns) out of a frame, the target somewhere about its middle."""
    rows, columns = size
    corners = shot.pose.corners
    slack = max(0.0, columns - float(np.ptp(corners[:, 0])) * (1 + 2 * AROUND[0])) * 0.3
    left = round(float(corners[:, 0].mean() - columns / 2 + rng.uniform(-slack, slack)))
    left = min(max(left, 0), shot.pixels.shape[2] - columns)
    x0, y0, x1, y1 = shot.pose.occlusion_box
    pose = shot.pose._replace(corners=corners - [left, 0], occlusion_box=(x0 - left, y0, x1 - left, y1))
    return Shot(shot.pixels[:, :rows, left : left + columns], pose)


def view(
    shot: Shot, sheet: torch.Tensor, mask: torch.Tensor, strength: float, rng: np.random.Generator
) -> torch.Tensor:
    """Put a patch (3, r, c) in [0, 255] into a frame; give (3, h, w), changed at random as ``strength`` says.

    The print gets lighter or darker, the face moves by less than a pixel, the camera adds noise. Some frames get dark
    as a whole, for no training scene is at night.
    """
    sheet = sheet * float(1 + strength * rng.uniform(-0.2, 0.2)) + float(strength * rng.uniform(-12, 12))
    pose = shot.pose._replace(corners=shot.pose.corners + strength * rng.normal(0, 0.5, 2))
    frame = place_tensor(shot.pixels, sheet.clamp(0, 255), mask, pose, samples=2)
    if rng.random() < 0.8 * strength:
        tint = rng.uniform(0.25, 1.0) * rng.uniform(0.85, 1.15, (3, 1, 1))
        frame = frame * torch.from_numpy(tint.astype(np.float32))
    return (frame + torch.randn_like(frame) * (3 * strength)).clamp(0, 255)
