"""How a classifier learns: plainly, or from pictures that an attack on itself has altered; one thread, fixed seeds.

Adversarial training: Goodfellow et al. 2015, section 6 (one step), here from a random start as in Wong et al. 2020,
algorithm 3; Madry et al. 2018, section 2.1 (several steps). Clean and attacked pictures are learnt half and half.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from faces import Faces
from network import Classifier, halve
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

BATCH = 128
MOST_RATE = 0.1
WARM_UP = 0.15
"""Share of the time in which the rate rises."""
SHIFT = 2
"""Pixels of the halved picture by which a batch is moved at most."""


class Lesson(NamedTuple):
    """What is learnt from.

    Attributes:
        epochs: Times that every picture is shown.
        plain: Of them, how many show clean pictures alone, first: an attack on a network that knows nothing yet
            teaches little and costs as much.
        epsilon: Grey levels that the attack on the network may change afterwards.
        steps: Steps of that attack.
        seed: Of weights, order and random starts.
    """

    epochs: int
    plain: int
    epsilon: float = 8
    steps: int = 1
    seed: int = 1


def teach(faces: Faces, lesson: Lesson, checkpoint: Path) -> Classifier:
    """Train a classifier; one that was interrupted goes on from its checkpoint."""
    torch.manual_seed(lesson.seed)
    network = Classifier(faces.outputs).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), MOST_RATE, 0.9, weight_decay=5e-4, nesterov=True)
    halves = halve(faces.pictures.float())
    first = _resume(checkpoint, network, optimizer)
    for epoch in range(first, lesson.epochs):
        started, total = time.process_time(), 0.0
        generator = torch.Generator().manual_seed(1000 * lesson.seed + epoch)
        order = torch.randperm(len(halves), generator=generator)
        batches = [chosen for chosen in order.split(BATCH) if len(chosen) == BATCH or len(order) < BATCH]
        for number, chosen in enumerate(batches):
            optimizer.param_groups[0]["lr"] = MOST_RATE * _pace((epoch + number / len(batches)) / lesson.epochs)
            images, labels = varied(halves[chosen], generator), faces.labels[chosen]
            if epoch >= lesson.plain:
                images = torch.cat([images, attacked(network, images, labels, lesson.epsilon, lesson.steps, generator)])
                labels = torch.cat([labels, labels])
            optimizer.zero_grad()
            loss = error(_look(network, images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach())
        _keep(checkpoint, network, optimizer, epoch + 1)
        spent = time.process_time() - started
        print(f"epoch {epoch + 1}/{lesson.epochs}: loss {total / len(batches):.3f}, {spent:.0f} CPU s", flush=True)
    settle(network, network.look, halves)
    return network.eval()


def error(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the mean loss: cross entropy over people, or binary cross entropy over attributes."""
    if labels.dtype == torch.float32:
        return F.binary_cross_entropy_with_logits(logits, labels)
    return F.cross_entropy(logits, labels)


def _look(network: Classifier, images: Tensor) -> Tensor:
    """Give logits with half the digits in the convolutions, which is twice as fast."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = network.look(images)
    return logits.float()


def attacked(
    network: Classifier, images: Tensor, labels: Tensor, epsilon: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Attack the network as it is now, from a random start within ε; halved pictures in and out."""
    size = 1.25 * epsilon if steps == 1 else 1.5 * epsilon / steps
    moved = images + (2 * torch.rand(images.shape, generator=generator) - 1) * epsilon
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        (slope,) = torch.autograd.grad(error(_look(network, moved), labels), moved)
        change = (moved.detach() + size * slope.sign() - images).clamp(-epsilon, epsilon)
        moved = (images + change).clamp(0, 255)
    return moved


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures, and move all of them a little."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    down, right = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
    return torch.roll(images, (down, right), (2, 3)).contiguous(memory_format=torch.channels_last)


def _pace(done: float) -> float:
    """Give the share of the rate at `done` of the way: up in a line, then down along a cosine."""
    if done < WARM_UP:
        return 0.05 + 0.95 * done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) + 1e-4


@torch.no_grad()
def settle(network: nn.Module, look: Callable[[Tensor], Tensor], halves: Tensor) -> None:
    """Measure the means and variances of batch norm anew: on clean pictures, in full precision."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
    network.train()
    for images in halves[:2048].split(BATCH):
        look(images)


def _keep(checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    part = checkpoint.with_suffix(".part")
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}, part)
    part.replace(checkpoint)


def _resume(checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take up a checkpoint; give how many epochs it has behind it."""
    if not checkpoint.exists():
        return 0
    kept = torch.load(checkpoint, weights_only=True)
    network.load_state_dict(kept["network"])
    optimizer.load_state_dict(kept["optimizer"])
    return int(kept["epochs"])
