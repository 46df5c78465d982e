"""Signed steps within ε of one picture: FGSM, BIM, PGD and momentum are one loop with other settings.

Sources: Goodfellow et al. 2015, section 4 (FGSM); Kurakin et al. 2017, section 2.2 (BIM); Madry et al. 2018, section
2.1 (PGD); Dong et al. 2018, algorithm 1 (momentum).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from aims import Aim
from task import Pixels
from torch import Tensor

Model = Callable[[Tensor], Tensor]
"""Grey levels float32 `(1, 3, 112, 112)` in [0, 255] in, logits `(1, outputs)` out."""


class Steps(NamedTuple):
    """How an attack goes.

    Attributes:
        times: How many steps.
        size: Grey levels a step, as a share of ε.
        random_start: Whether it starts anywhere within ε instead of at the picture.
        decay: How much of the directions so far is kept at a step; 0 forgets them.
    """

    times: int
    size: float
    random_start: bool = False
    decay: float = 0.0


def climb(models: Sequence[Model], aim: Aim, pixels: Pixels, epsilon: int, steps: Steps) -> Pixels:
    """Alter one picture so that the aim rises, summed over all models.

    Returns:
        uint8 `(112, 112, 3)` within ε of every grey level: its centre and radius are whole, so rounding stays inside.
    """
    image = as_tensor(pixels)
    moved = (image + random_change(pixels, epsilon)).clamp(0, 255) if steps.random_start else image
    direction = torch.zeros_like(image)
    for _ in range(steps.times):
        slope = gradient(models, aim, moved)
        # Gradients of two steps differ in length by far; their directions alone are added up.
        direction = steps.decay * direction + slope / slope.abs().mean().clamp_min(1e-30)
        change = moved + steps.size * epsilon * direction.sign() - image
        moved = (image + change.clamp(-epsilon, epsilon)).clamp(0, 255)
    return as_pixels(moved)


def gradient(models: Sequence[Model], aim: Aim, image: Tensor) -> Tensor:
    """Give the slope of the aim at an image, the same shape."""
    image = image.detach().requires_grad_()
    total = torch.stack([aim(model(image)) for model in models]).sum()
    (slope,) = torch.autograd.grad(total, image)
    return slope


def random_change(pixels: Pixels, epsilon: int) -> Tensor:
    """Draw a change within ε by the picture's own bytes: neither its name nor its company plays a part."""
    seed = int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "big")
    drawn = np.random.default_rng(seed).uniform(-epsilon, epsilon, pixels.shape).astype(np.float32)
    return torch.from_numpy(drawn).permute(2, 0, 1)[None]


def as_tensor(pixels: Pixels) -> Tensor:
    """Give a picture as float32 `(1, 3, 112, 112)` in [0, 255]."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


def as_pixels(image: Tensor) -> Pixels:
    """Round to whole grey levels, uint8 `(112, 112, 3)`."""
    return np.ascontiguousarray(image.detach().round().to(torch.uint8)[0].permute(1, 2, 0).numpy())
