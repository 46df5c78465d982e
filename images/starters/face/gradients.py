"""Make faces that the surrogates take for others, and hope that the hidden verifiers follow: transfer attacks.

MI: momentum over the gradients of the steps (Dong et al. 2018, CVPR).
TI: the gradient is that of shifted pictures (Dong et al. 2019, CVPR). The paper blurs the gradient, which is the mean
over shifts; on threads one pixel wide a blur mixes in pixels that must not change, so a shift is drawn for each step.
DI: at random steps the picture is shrunk and padded before the network sees it (Xie et al. 2019, CVPR).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pictures import SIDE, Pairs, Pictures
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

BATCH = 25
"""Pictures at once: few enough for a processor's cache. They do not influence one another."""
SMALLEST = 96
"""Side in pixels to which DI shrinks at most."""
COPIES, NOISE = 4, 25.0
"""How many noisy copies tell what a pixel is worth, and the noise's standard deviation in grey levels."""

Surrogates = Sequence[nn.Module]
Number = TypeVar("Number", bound=np.generic)
View = Callable[[Tensor], Tensor]
Report = Callable[[int, int], None]
"""Called with the pictures done, and all of them."""


class Method(NamedTuple):
    """How to climb.

    Attributes:
        steps: Gradients for each picture.
        step_size: Grey levels of the first step; the steps shrink in a line to nothing.
        momentum: Share of the earlier direction that is kept (MI).
        shift: Pixels by which a step sees the picture moved, at most (TI).
        diversity: Probability that a step sees the picture shrunk and padded (DI).
        start: How much of the other face is in the mask before the first step, 0 to 1.
    """

    steps: int
    step_size: float = 24.0
    momentum: float = 0.9
    shift: int = 0
    diversity: float = 0.0
    start: float = 0.0


def load_surrogates(kit: Path) -> list[nn.Module]:
    """Load the kit's TorchScript networks in the order of their names; freezing folds the batch norms away."""
    paths = sorted((kit / "surrogates").glob("*.pt"))
    if not paths:
        raise SystemExit(f"{kit / 'surrogates'} holds no *.pt: give the folder of the kit.")
    return [torch.jit.freeze(torch.jit.load(str(path), map_location="cpu").eval()) for path in paths]


def craft(
    surrogates: Surrogates,
    pairs: Pairs,
    masks: NDArray[np.bool_],
    method: Method,
    seed: int,
    threads: int,
    report: Report,
) -> Pictures:
    """Change the pictures inside their masks so that the surrogates find them similar to the faces to become.

    Args:
        surrogates: Networks from RGB float32 `(n, 3, 112, 112)` in [0, 255] to embeddings `(n, dim)`.
        pairs: The pictures.
        masks: `(n, 112, 112)` bool.
        method: How to climb.
        seed: Fixes the random transformations; they are the same for all pictures.
        threads: Batches at work side by side; the result does not depend on them.
        report: Told of the progress.

    Returns:
        Pictures like the originals, rounded to whole grey levels.
    """

    def climb(batch: _Batch) -> Pictures:
        inside = torch.from_numpy(masks[batch.part, None].astype(np.float32))
        changed = _climb(surrogates, batch.originals, batch.compares, inside, method, seed)
        return changed.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()

    return _for_all(climb, pairs, threads, report)


def pixel_worth(surrogates: Surrogates, pairs: Pairs, seed: int, threads: int, report: Report) -> NDArray[np.float32]:
    """Tell how strongly each pixel steers the surrogates: `(n, 112, 112)`, at least 0.

    It is the size of the gradient, summed over a few noisy copies (after Smilkov et al. 2017, SmoothGrad) and blurred:
    networks agree on where a face matters, not on the very pixel.
    """
    noise = torch.Generator().manual_seed(seed)
    shake = [NOISE * torch.randn((1, 3, SIDE, SIDE), generator=noise) for _ in range(COPIES)]

    def weigh(batch: _Batch) -> NDArray[np.float32]:
        targets = _embed_all(surrogates, batch.compares)
        size = torch.zeros(len(batch.originals), SIDE, SIDE)
        for copy, offset in enumerate(shake):
            view = _draw_view(copy, Method(COPIES), np.random.default_rng(seed))
            size += _gradient(surrogates, batch.originals + offset, targets, view).abs().sum(1)
        return np.stack([cv2.GaussianBlur(one, (0, 0), 2.0) for one in size.numpy()])

    return _for_all(weigh, pairs, threads, report)


class _Batch(NamedTuple):
    part: slice
    originals: Tensor
    compares: Tensor


def _for_all(work: Callable[[_Batch], NDArray[Number]], pairs: Pairs, threads: int, report: Report) -> NDArray[Number]:
    """Do batches side by side, each on one thread: on a busy machine threads that share a batch wait for each other."""
    torch.set_num_threads(1)
    total, results = len(pairs.names), []

    def do(start: int) -> NDArray[Number]:
        part = slice(start, start + BATCH)
        return work(_Batch(part, _tensor(pairs.originals[part]), _tensor(pairs.compares[part])))

    with ThreadPoolExecutor(threads) as pool:
        for start, result in zip(range(0, total, BATCH), pool.map(do, range(0, total, BATCH)), strict=True):
            results.append(result)
            report(start + len(result), total)
    return np.concatenate(results)


def _climb(
    surrogates: Surrogates, originals: Tensor, compares: Tensor, inside: Tensor, method: Method, seed: int
) -> Tensor:
    """Climb with one batch: the sign of the accumulated gradient, step by step, within [0, 255]."""
    chance = np.random.default_rng(seed)
    targets = _embed_all(surrogates, compares)
    changed = torch.lerp(originals, compares, method.start * inside)
    direction = torch.zeros_like(changed)
    for step in range(method.steps):
        gradient = _gradient(surrogates, changed, targets, _draw_view(step, method, chance)) * inside
        size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
        direction = method.momentum * direction + gradient / size
        pace = method.step_size * (1 - step / method.steps)
        changed = (changed + pace * direction.sign() * inside).clamp(0, 255)
    return changed


def _gradient(surrogates: Surrogates, pictures: Tensor, targets: list[Tensor], view: View) -> Tensor:
    """Give the gradient of the cosines to the targets, summed over the surrogates."""
    pictures = pictures.detach().requires_grad_(True)
    seen = view(pictures)
    cosines = [(model(seen) * target).sum() for model, target in zip(surrogates, targets, strict=True)]
    (gradient,) = torch.autograd.grad(torch.stack(cosines).sum(), pictures)
    return gradient


def _embed_all(surrogates: Surrogates, pictures: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return [_embed(surrogate, pictures) for surrogate in surrogates]


def _embed(surrogate: nn.Module, pictures: Tensor) -> Tensor:
    """Embed as the verifiers do: picture and mirror image summed, then brought to length 1."""
    return F.normalize(surrogate(pictures) + surrogate(pictures.flip(3)), dim=1)


def _draw_view(step: int, method: Method, chance: np.random.Generator) -> View:
    """Draw what a step sees: picture and mirror image by turns, shrunk at times (DI) and shifted (TI).

    Verifiers add both images; a step on each in turn climbs the sum at half the cost of both at every step.
    """
    side = int(chance.integers(SMALLEST, SIDE)) if chance.random() < method.diversity else SIDE
    top, left = (int(place) for place in chance.integers(0, SIDE - side + 1, 2))
    shift = tuple(int(pixels) for pixels in chance.integers(-method.shift, method.shift + 1, 2))

    def view(pictures: Tensor) -> Tensor:
        if side < SIDE:
            pictures = F.interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)
            pictures = F.pad(pictures, (left, SIDE - side - left, top, SIDE - side - top))
        return torch.roll(pictures.flip(3) if step % 2 else pictures, shift, (2, 3))

    return view


def _tensor(pictures: Pictures) -> Tensor:
    """Give `(n, h, w, 3)` uint8 as `(n, 3, h, w)` float32, channels last: the fast layout of a processor."""
    return torch.from_numpy(pictures).float().permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
