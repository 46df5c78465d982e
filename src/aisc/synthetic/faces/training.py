"""The loop that teaches one face network: small pictures first, then full size; resumable, deterministic.

The same recipe, album, thread count and torch build give the same weights: every epoch draws from its own seed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.synthetic.faces.losses import LossName, PeopleLoss
from aisc.synthetic.training import measure_statistics, pace, resume, save
from aisc.victims.networks import Architecture, EmbeddingNetwork, build_network

SMALL = 64
_MOMENTUM = 0.9
_DECAY = 5e-4
_WARM_UP, _REST = 0.15, 1e-4
_MARGIN_FROM, _MARGIN_FULL = 0.08, 0.35
_STATISTICS_IMAGES = 4096


class Schedule(NamedTuple):
    """How long and how fast."""

    small_epochs: int
    full_epochs: int
    batch: int
    learning_rate: float
    seed: int
    threads: int


class EpochReport(NamedTuple):
    """What one epoch brought."""

    epoch: int
    epochs: int
    size: int
    loss: float
    seconds: float


Report = Callable[[EpochReport], None]


def fit(
    architecture: Architecture,
    loss: LossName,
    schedule: Schedule,
    album: NDArray[np.uint8],
    checkpoint: Path,
    report: Report | None = None,
) -> EmbeddingNetwork:
    """Train on an album `(people, shots, 112, 112, 3)`; continue from `checkpoint` where it exists.

    Returns the network in evaluation mode with its batch statistics measured at full size in float32.
    """
    torch.set_num_threads(schedule.threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory would find reads of it, and costs a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(schedule.seed)
    people, shots = album.shape[:2]
    network = build_network(architecture)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = PeopleLoss(loss, people, architecture.dim)
    parameters = [*network.parameters(), *teacher.parameters()]
    optimizer = torch.optim.SGD(parameters, schedule.learning_rate, _MOMENTUM, weight_decay=_DECAY, nesterov=True)
    state = nn.ModuleDict({"network": network, "teacher": teacher})
    first = resume(checkpoint, state, optimizer)
    epochs = schedule.small_epochs + schedule.full_epochs
    full = album.reshape(-1, *album.shape[2:])
    small = _shrink(full) if first < schedule.small_epochs else full
    for epoch in range(first, epochs):
        begin = time.perf_counter()
        pictures = small if epoch < schedule.small_epochs else full
        rng = np.random.default_rng([schedule.seed, epoch])
        order = _order(rng, people, shots, schedule.batch, grouped=loss == "triplet")
        total = 0.0
        for number, chosen in enumerate(order):
            done = (epoch + number / len(order)) / epochs
            optimizer.param_groups[0]["lr"] = schedule.learning_rate * pace(done, _WARM_UP, _REST)
            strength = float(np.clip((done - _MARGIN_FROM) / (_MARGIN_FULL - _MARGIN_FROM), 0, 1))
            images = _augment(pictures, chosen, rng)
            with torch.autocast("cpu", torch.bfloat16):
                embeddings = network(images)
            value = teacher(embeddings.float(), torch.from_numpy(chosen // shots), strength)
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            total += float(value.detach())
        save(checkpoint, state, optimizer, epoch + 1)
        if report is not None:
            size = pictures.shape[1]
            report(EpochReport(epoch + 1, epochs, size, total / len(order), time.perf_counter() - begin))
    measure_statistics(network, full, schedule.seed, most=_STATISTICS_IMAGES, batch=128)
    network.eval()
    return network


def _order(rng: np.random.Generator, people: int, shots: int, batch: int, *, grouped: bool) -> list[NDArray[np.int64]]:
    """Give the picture numbers of each batch of an epoch; `grouped` brings each person four at a time."""
    if grouped:
        each = rng.permuted(np.arange(people * shots).reshape(people, shots), axis=1).reshape(-1, 4)
        numbers = rng.permutation(each).reshape(-1)
    else:
        numbers = rng.permutation(people * shots)
    whole = len(numbers) // batch
    return list(numbers[: whole * batch].reshape(whole, batch))


def _shrink(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average pictures down to the small size."""
    small = np.empty((len(pictures), SMALL, SMALL, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        small[number] = cv2.resize(picture, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    return small


def _augment(pictures: NDArray[np.uint8], chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """Take pictures as `(n, 3, h, w)` float32: half of them mirrored, all shifted a little, lightness changed."""
    images = torch.from_numpy(pictures[chosen]).float().permute(0, 3, 1, 2)
    mirrored = torch.from_numpy(rng.random(len(chosen)) < 0.5)
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    reach = pictures.shape[1] // 28
    down, right = (int(value) for value in rng.integers(-reach, reach + 1, 2))
    images = torch.roll(images, (down, right), (2, 3))
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(chosen), 1, 1, 1)).astype(np.float32))
    return (images * gain).clamp(0, 255).contiguous(memory_format=torch.channels_last)
