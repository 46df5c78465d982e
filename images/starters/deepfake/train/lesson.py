"""One lesson: so many pictures shown, with the losses that the method asks for."""

import time
from typing import NamedTuple

import numpy as np
import torch
from network import Classifier, FingerprintNetwork
from numpy.typing import NDArray
from pool import BATCH, Pool, to_tensor
from torch import Tensor, nn

CROP = 64
"""Side in pixels of the part that the CNN sees in training; the spectrum is that of the whole picture."""
_STATISTICS = 768


class Lesson(NamedTuple):
    """How to learn.

    Attributes:
        samples: Pictures shown, repeats counted.
        rate: Largest learning rate; it rises in the first tenth and falls along a cosine.
        centre: Weight of the centre loss.
        agreement: Weight of the distance between the features of two views of the same picture.
    """

    samples: int
    rate: float = 0.002
    centre: float = 0.0
    agreement: float = 0.0


def teach(network: FingerprintNetwork, pool: Pool, classes: NDArray[np.int64], lesson: Lesson, seed: int) -> Classifier:
    """Train a network in place and give its classifier; all classes are shown equally often.

    Args:
        network: What learns; on return in evaluation mode.
        pool: Two views of `n` pictures.
        classes: `(n,)` int64; pictures below 0 teach no class, but agreement.
        lesson: How to learn.
        seed: Fixes everything that is drawn.
    """
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    head = Classifier(int(classes.max()) + 1)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lesson.rate, weight_decay=0.01)
    steps = max(1, lesson.samples // BATCH)
    draw = _Draw(classes, chance, everyone=lesson.agreement > 0)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    begun, total = time.process_time(), 0.0
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lesson.rate * _pace(step / steps)
        loss = _loss(network, head, pool, draw(BATCH), classes, lesson, chance)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        total += float(loss.detach())
        if (step + 1) % 50 == 0 or step + 1 == steps:
            mean, total = total / (step % 50 + 1), 0.0
            print(f"  {step + 1}/{steps} steps, loss {mean:.3f}, {time.process_time() - begun:.0f} CPU s", flush=True)
    measure_statistics(network, pool, seed)
    return head


def measure_statistics(network: FingerprintNetwork, pool: Pool, seed: int) -> None:
    """Measure the batch statistics anew on whole pictures in float32; leave the network in evaluation mode."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    chosen = np.random.default_rng(seed).permutation(pool.pixels.shape[1])[:_STATISTICS]
    network.train()
    with torch.no_grad():
        for at in range(0, len(chosen), BATCH):
            some = chosen[at : at + BATCH]
            network(to_tensor(pool.pixels[0, some]), torch.from_numpy(pool.lines[0, some]))
    for norm in norms:
        norm.momentum = 0.1
    network.eval()


def describe(network: FingerprintNetwork, pool: Pool, *, unit: bool = True) -> NDArray[np.float32]:
    """Give the features for retrieval `(n, 96)` of the pictures as they are; `unit`: brought to length 1."""
    network.eval()
    with torch.no_grad():
        parts = [
            network(to_tensor(pool.pixels[0, at : at + BATCH]), torch.from_numpy(pool.lines[0, at : at + BATCH]))
            for at in range(0, pool.pixels.shape[1], BATCH)
        ]
    features = torch.cat(parts)
    return np.asarray((nn.functional.normalize(features, dim=1) if unit else features).numpy(), np.float32)


class _Draw:
    """Draw pictures so that every class comes equally often; `everyone`: the nameless fill half of a batch."""

    def __init__(self, classes: NDArray[np.int64], chance: np.random.Generator, *, everyone: bool) -> None:
        self._members = [np.flatnonzero(classes == one) for one in range(int(classes.max()) + 1)]
        self._members = [members for members in self._members if len(members)]
        self._nameless = np.flatnonzero(classes < 0) if everyone else np.empty(0, np.int64)
        self._chance = chance

    def __call__(self, count: int) -> NDArray[np.int64]:
        free = count // 2 if len(self._nameless) else 0
        groups = self._chance.permutation(np.arange(count - free) % len(self._members))
        named = [self._chance.choice(self._members[group]) for group in groups]
        return np.array([*named, *self._chance.choice(self._nameless, free)] if free else named, np.int64)


def _loss(
    network: FingerprintNetwork,
    head: Classifier,
    pool: Pool,
    chosen: NDArray[np.int64],
    classes: NDArray[np.int64],
    lesson: Lesson,
    chance: np.random.Generator,
) -> Tensor:
    wanted = torch.from_numpy(classes[chosen])
    views = chance.integers(0, 2, len(chosen))
    described = _look(network, pool, views, chosen, chance)
    features = network.neck(described)
    named = wanted >= 0
    loss = nn.functional.cross_entropy(head(features[named]), wanted[named], label_smoothing=0.05)
    if lesson.centre:
        loss = loss + lesson.centre * head.centre_loss(described[named], wanted[named])
    if lesson.agreement:
        again = network.neck(_look(network, pool, 1 - views, chosen, chance))
        loss = loss + lesson.agreement * (1 - nn.functional.cosine_similarity(features, again)).mean()
    return loss


def _look(
    network: FingerprintNetwork,
    pool: Pool,
    views: NDArray[np.int64],
    chosen: NDArray[np.int64],
    chance: np.random.Generator,
) -> Tensor:
    """Describe one view of each chosen picture, of which the CNN sees a part."""
    top, left = chance.integers(0, pool.pixels.shape[2] - CROP + 1, 2)
    seen = to_tensor(pool.pixels[views, chosen, top : top + CROP, left : left + CROP])
    with torch.autocast("cpu", torch.bfloat16):
        return network.describe(seen, torch.from_numpy(pool.lines[views, chosen])).float()


def _pace(done: float) -> float:
    """Give the share of the learning rate at `done` of the way."""
    return (0.05 + 9.5 * done) if done < 0.1 else float(0.5 * (1 + np.cos(np.pi * (done - 0.1) / 0.9))) + 1e-3
