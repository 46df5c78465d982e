"""Signed steps kept within ε of every grey level: FGSM, BIM and PGD are one loop with three settings.

Grey levels in [0, 255] all along: ε is the whole number that the rules name, whatever range a model uses inside, and
whole steps from a whole start stay whole. A start or a step between two levels is rounded once at the end, which cannot
leave a ball whose centre and radius are whole.

Sources: Goodfellow et al. 2015, section 4 (FGSM); Kurakin et al. 2017, section 2.2 (BIM); Madry et al. 2018, section
2.1 (PGD).
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.attacks.epsilon import EPSILON
from aisc.attacks.objectives import Objective

BATCH: Final = 64


class Probe(NamedTuple):
    """How an attack goes.

    Attributes:
        name: Which of the three it is called.
        steps: How many signed steps.
        step: Grey levels a step, above 0.
        random_start: Whether it starts anywhere within ε instead of at the picture.
    """

    name: Literal["fgsm", "bim", "pgd"]
    steps: int
    step: float
    random_start: bool = False


FGSM: Final = Probe("fgsm", 1, EPSILON)
BIM: Final = Probe("bim", 10, 2)
PGD: Final = Probe("pgd", 10, 2, random_start=True)
PROBES: Final = (FGSM, BIM, PGD)


def attack_pictures(
    model: nn.Module,
    objective: Objective,
    pictures: NDArray[np.uint8],
    goals: NDArray[np.generic],
    probe: Probe,
    *,
    epsilon: int = EPSILON,
    seed: int = 0,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Alter pictures so that the model's objective rises.

    Args:
        model: Maps float32 RGB `(n, 3, h, w)` in [0, 255] to logits, in evaluation mode.
        objective: What to raise.
        pictures: uint8 RGB `(n, h, w, 3)`.
        goals: What the objective takes beside the logits, one row a picture.
        probe: The attack's settings.
        epsilon: Most that a channel may change, in grey levels.
        seed: Of the random starts; picture after picture from one stream, whatever the batch.
        batch: Pictures at once.
        progress: Called with (done, all).

    Returns:
        uint8 RGB of the same shape, within ε of every grey level.

    Raises:
        ValueError: The pictures are no uint8 RGB, or ε is no whole number from 1 to 255.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise ValueError(f"pictures are uint8 (n, h, w, 3), not {pictures.dtype} {pictures.shape}")
    if not 1 <= epsilon <= 255 or epsilon != int(epsilon):
        raise ValueError(f"ε is a whole number of grey levels from 1 to 255, not {epsilon}")
    generator = torch.Generator().manual_seed(seed)
    altered = np.empty_like(pictures)
    for at in range(0, len(pictures), batch):
        part = slice(at, at + batch)
        # The view keeps the pixels where they are: this already is the layout that convolutions like.
        images = torch.from_numpy(np.ascontiguousarray(pictures[part])).permute(0, 3, 1, 2).float()
        goal = torch.from_numpy(np.ascontiguousarray(goals[part]))
        found = projected_steps(model, objective, images, goal, probe, epsilon, generator)
        altered[part] = found.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        if progress is not None:
            progress(min(at + batch, len(pictures)), len(pictures))
    return altered


def projected_steps(
    model: nn.Module,
    objective: Objective,
    images: Tensor,
    goals: Tensor,
    probe: Probe,
    epsilon: int = EPSILON,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Go the steps of one batch, `(n, 3, h, w)` float32 in [0, 255]; gives the same shape, not yet rounded."""
    moved = images
    if probe.random_start:
        start = torch.rand(images.shape, generator=generator) * (2 * epsilon) - epsilon
        moved = (images + start).clamp_(0, 255)
    for _ in range(probe.steps):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(model(moved), goals), moved)
        if 0 in gradient.stride():  # one number stands for many, as behind a sum
            gradient = gradient.clone(memory_format=torch.contiguous_format)
        # In the gradient's own memory: fresh memory in each step would cost more than the arithmetic.
        change = gradient.sign_().mul_(probe.step).add_(moved.detach()).sub_(images).clamp_(-epsilon, epsilon)
        moved = change.add_(images).clamp_(0, 255)
    return moved.detach()
