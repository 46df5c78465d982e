"""Make faces that the surrogates take for others, and hope that the hidden verifiers follow: transfer attacks.

MI: momentum over the gradients of the steps (Dong et al. 2018, CVPR).
TI: a gradient smoothed as if it were the mean over shifted pictures (Dong et al. 2019, CVPR).
DI: at random steps the picture is shrunk and moved before the network sees it (Xie et al. 2019, CVPR).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pictures import SIDE, Pictures
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

BATCH = 30
"""Pictures at once: few enough for a processor's cache. They do not influence one another."""
SMALLEST = 96
"""DI shrinks to this side at most."""

Surrogates = Sequence[nn.Module]
Report = Callable[[int, int], None]
"""Called with the pictures done, and all of them."""


class Method(NamedTuple):
    """How to climb.

    Attributes:
        steps: Gradients for each picture.
        step_size: Grey levels of the first step; the steps shrink in a line to nothing.
        momentum: Share of the earlier direction that is kept (MI).
        blur: Standard deviation, in pixels, of the gradient's smoothing (TI); 0 leaves the gradient as it is.
        diversity: Probability that a step sees the picture shrunk and moved (DI).
    """

    steps: int
    step_size: float = 24.0
    momentum: float = 0.9
    blur: float = 0.0
    diversity: float = 0.0


def load_surrogates(kit: Path) -> list[nn.Module]:
    """Load the kit's TorchScript networks in the order of their names; freezing folds the batch norms away."""
    paths = sorted((kit / "surrogates").glob("*.pt"))
    if not paths:
        raise SystemExit(f"{kit / 'surrogates'} holds no *.pt: give the folder of the kit.")
    return [torch.jit.freeze(torch.jit.load(str(path), map_location="cpu").eval()) for path in paths]


def craft(
    surrogates: Surrogates,
    originals: Pictures,
    compares: Pictures,
    mask: NDArray[np.bool_],
    method: Method,
    seed: int,
    report: Report,
) -> Pictures:
    """Change the pictures inside the mask so that the surrogates find them similar to `compares`.

    Args:
        surrogates: Networks from RGB float32 `(n, 3, 112, 112)` in [0, 255] to embeddings `(n, dim)`.
        originals: `(n, 112, 112, 3)` uint8.
        compares: The faces to become, the same shape and dtype.
        mask: `(112, 112)` bool.
        method: How to climb.
        seed: Fixes the random transformations; they are the same for all pictures.
        report: Told of the progress.

    Returns:
        Pictures like `originals`, rounded to whole grey levels.
    """
    inside = torch.from_numpy(mask.astype(np.float32))
    changed = []
    for start in range(0, len(originals), BATCH):
        part = slice(start, start + BATCH)
        batch = _climb(surrogates, _tensor(originals[part]), _tensor(compares[part]), inside, method, seed)
        changed.append(batch.permute(0, 2, 3, 1).round().to(torch.uint8).numpy())
        report(min(start + BATCH, len(originals)), len(originals))
    return np.concatenate(changed)


def _climb(
    surrogates: Surrogates, originals: Tensor, compares: Tensor, inside: Tensor, method: Method, seed: int
) -> Tensor:
    """Climb with one batch: the sign of the accumulated gradient, step by step, within [0, 255]."""
    chance = np.random.default_rng(seed)
    with torch.no_grad():
        targets = [_embed(surrogate, compares) for surrogate in surrogates]
    changed = originals.clone()
    direction = torch.zeros_like(changed)
    for step in range(method.steps):
        changed.requires_grad_(True)
        seen = _diverse(changed, method.diversity, chance)
        cosines = [(_embed(model, seen) * target).sum() for model, target in zip(surrogates, targets, strict=True)]
        (gradient,) = torch.autograd.grad(torch.stack(cosines).sum(), changed)
        gradient = _smooth(gradient, method.blur) * inside
        size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
        direction = method.momentum * direction + gradient / size
        pace = method.step_size * (1 - step / method.steps)
        changed = (changed.detach() + pace * direction.sign() * inside).clamp(0, 255)
    return changed


def _embed(surrogate: nn.Module, pictures: Tensor) -> Tensor:
    """Embed as the verifiers do: picture and mirror image summed, then brought to length 1."""
    return F.normalize(surrogate(pictures) + surrogate(pictures.flip(3)), dim=1)


def _diverse(pictures: Tensor, probability: float, chance: np.random.Generator) -> Tensor:
    """Shrink the pictures a little and put them somewhere on a black canvas, or leave them as they are."""
    if chance.random() >= probability:
        return pictures
    side = int(chance.integers(SMALLEST, SIDE))
    top, left = (int(place) for place in chance.integers(0, SIDE - side + 1, 2))
    small = F.interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)
    return F.pad(small, (left, SIDE - side - left, top, SIDE - side - top))


def _smooth(gradient: Tensor, blur: float) -> Tensor:
    """Blur each channel with a Gaussian that reaches two standard deviations."""
    if not blur:
        return gradient
    reach = int(np.ceil(2 * blur))
    line = torch.from_numpy(cv2.getGaussianKernel(2 * reach + 1, blur, cv2.CV_32F)).flatten()
    kernel = torch.outer(line, line).expand(3, 1, -1, -1)
    return F.conv2d(gradient, kernel, padding=reach, groups=3)


def _tensor(pictures: Pictures) -> Tensor:
    """Give `(n, h, w, 3)` uint8 as `(n, 3, h, w)` float32, channels last: the fast layout of a processor."""
    return torch.from_numpy(pictures).float().permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
