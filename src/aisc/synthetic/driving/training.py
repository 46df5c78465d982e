"""The loop that teaches one detector; resumable, deterministic for one number of threads."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.synthetic.driving.album import Album
from aisc.synthetic.driving.losses import Truth, detection_loss
from aisc.synthetic.training import measure_statistics, pace, resume, save
from aisc.victims.detector_networks import Design, build_detector

_LEAST_VISIBLE: Final = 0.4
_LEAST_SIDE: Final = 6.0
_LEAST_HEIGHT: Final = 10.0
_WARM_UP: Final = 0.08
_REST: Final = 5e-3
_STATISTICS_FRAMES: Final = 256


class Schedule(NamedTuple):
    """How long and how fast."""

    epochs: int
    batch: int
    learning_rate: float
    seed: int
    threads: int


class EpochReport(NamedTuple):
    """What one epoch brought."""

    epoch: int
    epochs: int
    loss: float
    seconds: float


def fit(
    design: Design, schedule: Schedule, album: Album, checkpoint: Path,
    report: Callable[[EpochReport], None] | None = None,
) -> nn.Module:  # fmt: skip
    """Train on an album; continue from ``checkpoint`` where it exists. Returns the network in evaluation mode."""
    torch.set_num_threads(schedule.threads)
    torch.manual_seed(schedule.seed)
    network = build_detector(design)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), schedule.learning_rate, weight_decay=1e-3)
    first = resume(checkpoint, network, optimizer)
    truths = frame_truths(album)
    for epoch in range(first, schedule.epochs):
        begin = time.perf_counter()
        rng = np.random.default_rng([schedule.seed, epoch])
        order = rng.permutation(len(album.frames))
        batches = [order[start : start + schedule.batch] for start in range(0, len(order), schedule.batch)]
        total = 0.0
        for number, chosen in enumerate(batches):
            done = (epoch + number / len(batches)) / schedule.epochs
            optimizer.param_groups[0]["lr"] = schedule.learning_rate * pace(done, _WARM_UP, _REST)
            images, wanted = _augment(album.frames, truths, np.sort(chosen), rng)
            with torch.autocast("cpu", torch.bfloat16):
                maps = network(images)
            loss = detection_loss(design, maps, wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            total += float(loss.detach())
        save(checkpoint, network, optimizer, epoch + 1)
        if report is not None:
            report(EpochReport(epoch + 1, schedule.epochs, total / len(batches), time.perf_counter() - begin))
    measure_statistics(network, album.frames, schedule.seed, most=_STATISTICS_FRAMES, batch=32)
    return network.eval()


def frame_truths(album: Album) -> list[Truth]:
    """Sort an album's objects by frame and say which of them count: large enough and not much hidden."""
    objects = album.objects
    starts = np.searchsorted(objects["frame"], np.arange(len(album.frames) + 1))
    found = []
    for start, end in pairwise(starts):
        part = objects[start:end]
        boxes = part["box"].reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        counts = (part["visible"] >= _LEAST_VISIBLE) & (sides[:, 0] >= _LEAST_SIDE) & (sides[:, 1] >= _LEAST_HEIGHT)
        found.append(
            Truth(
                torch.from_numpy(boxes.astype(np.float32)), torch.from_numpy(part["label"].astype(np.int64)),
                torch.from_numpy(counts),
            )
        )  # fmt: skip
    return found


def _augment(
    frames: NDArray[np.uint8], truths: list[Truth], chosen: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Tensor, list[Truth]]:
    """Take frames as ``(n, 3, h, w)`` float32: half of them mirrored, light and tint changed, a little noise."""
    images = torch.from_numpy(frames[chosen]).permute(0, 3, 1, 2).float()
    mirrored = rng.random(len(chosen)) < 0.5
    images = torch.where(torch.from_numpy(mirrored)[:, None, None, None], images.flip(3), images)
    gain = rng.uniform(0.75, 1.25, (len(chosen), 1, 1, 1)) * rng.uniform(0.94, 1.06, (len(chosen), 3, 1, 1))
    images = images * torch.from_numpy(gain.astype(np.float32))
    images = images + torch.randn(images.shape[0], 1, *images.shape[2:]) * float(rng.uniform(0, 5))
    wanted = []
    for number, flip in zip(chosen, mirrored, strict=True):
        truth = truths[int(number)]
        if flip:
            left, top, right, bottom = truth.boxes.unbind(1)
            truth = truth._replace(boxes=torch.stack([frames.shape[2] - right, top, frames.shape[2] - left, bottom], 1))
        wanted.append(truth)
    return images.clamp(0, 255).contiguous(memory_format=torch.channels_last), wanted
