"""The loop that teaches one face classifier, plainly or against FGSM; resumable, deterministic for one thread.

Adversarial training takes the step of Goodfellow et al. (2015, section 6) from a random start (Wong et al. 2020,
algorithm 3), which keeps one step from being learnt by heart, and teaches clean and attacked pictures half and half.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

from aisc.synthetic.attributes.album import Album
from aisc.synthetic.training import measure_statistics, pace, resume, save
from aisc.victims.classifier_networks import ClassifierArchitecture, ClassifierNetwork
from aisc.victims.classifier_package import Task

_WARM_UP: Final = 0.15
_REST: Final = 1e-4
_DECAY: Final = 5e-4
_STATISTICS_IMAGES: Final = 2048


class Schedule(NamedTuple):
    """How long, how fast and against what.

    Attributes:
        epochs: Rounds over the album.
        batch: Pictures a step.
        learning_rate: The highest; it rises in a line and falls along a cosine.
        epsilon: Grey levels that the attack of the training may change; 0 trains on clean pictures alone.
        seed: Of weights, order, augmentation and random starts.
        threads: Of torch; the sum of floats depends on it.
    """

    epochs: int
    batch: int
    learning_rate: float
    epsilon: int
    seed: int
    threads: int


class EpochReport(NamedTuple):
    """What one epoch brought."""

    epoch: int
    epochs: int
    loss: float
    seconds: float


def fit(
    task: Task, architecture: ClassifierArchitecture, schedule: Schedule, album: Album, checkpoint: Path,
    report: Callable[[EpochReport], None] | None = None,
) -> ClassifierNetwork:  # fmt: skip
    """Train on an album; continue from `checkpoint` where it exists. Returns the network in evaluation mode."""
    torch.set_num_threads(schedule.threads)
    torch.manual_seed(schedule.seed)
    network = ClassifierNetwork(architecture)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(), schedule.learning_rate, 0.9, weight_decay=_DECAY, nesterov=True
    )  # fmt: skip
    first = resume(checkpoint, network, optimizer)
    truth = album.people if task == "reid" else album.attributes
    for epoch in range(first, schedule.epochs):
        begin = time.perf_counter()
        rng = np.random.default_rng([schedule.seed, epoch])
        whole = len(album.pictures) // schedule.batch
        order = rng.permutation(len(album.pictures))[: whole * schedule.batch].reshape(whole, schedule.batch)
        total = 0.0
        for number, chosen in enumerate(order):
            done = (epoch + number / whole) / schedule.epochs
            optimizer.param_groups[0]["lr"] = schedule.learning_rate * pace(done, _WARM_UP, _REST)
            images, labels = _augment(album.pictures, chosen, rng), torch.from_numpy(truth[chosen])
            loss = _step_loss(network, images, labels, schedule.epsilon, rng)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach())
        save(checkpoint, network, optimizer, epoch + 1)
        if report is not None:
            report(EpochReport(epoch + 1, schedule.epochs, total / whole, time.perf_counter() - begin))
    measure_statistics(network, album.pictures, schedule.seed, most=_STATISTICS_IMAGES, batch=128)
    return network.eval()


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the mean loss: cross entropy over people `(n,)` int64, or binary cross entropy over attributes bool."""
    if labels.dtype == torch.bool:
        return F.binary_cross_entropy_with_logits(logits, labels.float())
    return F.cross_entropy(logits, labels)


def _step_loss(
    network: ClassifierNetwork, images: Tensor, labels: Tensor, epsilon: int, rng: np.random.Generator
) -> Tensor:
    """Give the loss of one step; with an attack, the mean over clean and attacked pictures."""
    if epsilon:
        attacked = _one_step(network, images, labels, epsilon, rng)
        images, labels = torch.cat([images, attacked]), torch.cat([labels, labels])
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    return classification_loss(logits.float(), labels)


def _one_step(
    network: ClassifierNetwork, images: Tensor, labels: Tensor, epsilon: int, rng: np.random.Generator
) -> Tensor:
    """Go one signed step of 1.25 ε from a random start, and back to within ε."""
    start = torch.from_numpy(rng.random(images.shape, dtype=np.float32) * (2 * epsilon) - epsilon)
    moved = (images + start).clamp(0, 255).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(moved)
    (gradient,) = torch.autograd.grad(classification_loss(logits.float(), labels), moved)
    change = (moved.detach() - images + 1.25 * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
    return (images + change).clamp(0, 255)


def _augment(pictures: NDArray[np.uint8], chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """Take pictures as `(n, 3, h, w)` float32: half of them mirrored, all shifted a little."""
    images = torch.from_numpy(pictures[chosen]).float().permute(0, 3, 1, 2)
    mirrored = torch.from_numpy(rng.random(len(chosen)) < 0.5)
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    down, right = (int(value) for value in rng.integers(-4, 5, 2))
    return torch.roll(images, (down, right), (2, 3)).contiguous(memory_format=torch.channels_last)
