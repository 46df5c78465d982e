"""What the training loops of faces, frames and attributes share: the learning rate's way, checkpoints, statistics.

A checkpoint holds all that the next epoch depends on, so that a training stopped and resumed ends with the weights of
one that never stopped.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisc.errors import UsageError


def pace(done: float, warm_up: float, rest: float) -> float:
    """Give the share of the highest learning rate: up in a line, then down along a cosine.

    Args:
        done: How much of the training is behind, in [0, 1].
        warm_up: Where the line ends, in (0, 1).
        rest: What is added to the cosine, so that the last steps still teach.
    """
    if done < warm_up:
        return 0.05 + 0.95 * done / warm_up
    return float(0.5 * (1 + np.cos(np.pi * (done - warm_up) / (1 - warm_up)))) + rest


def save(checkpoint: Path, state: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    """Write all that the next epoch depends on; a process that dies meanwhile leaves the checkpoint before."""
    part = checkpoint.with_suffix(".part")
    saved = {
        "state": state.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs,
        "random": torch.get_rng_state(),
    }  # fmt: skip
    torch.save(saved, part)
    part.replace(checkpoint)


def resume(checkpoint: Path, state: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take up a checkpoint where there is one, torch's generator with it; give the number of epochs behind it.

    Raises:
        UsageError: ``CHECKPOINT_UNUSABLE``: of another network, or of an aisc that wrote other checkpoints.
    """
    if not checkpoint.exists():
        return 0
    try:
        saved = torch.load(checkpoint, weights_only=True)
        state.load_state_dict(saved["state"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
        return int(saved["epochs"])
    except Exception as error:  # pickle, zip and torch raise their own types, a missing part a KeyError
        raise UsageError(
            "CHECKPOINT_UNUSABLE", f"{checkpoint} is no checkpoint of this training.",
            "Remove it and train from the beginning.",
        ) from error  # fmt: skip


def measure_statistics(network: nn.Module, pictures: NDArray[np.uint8], seed: int, *, most: int, batch: int) -> None:
    """Measure the means and variances of batch norms anew, in float32 and on pictures as they are.

    Those of training are of altered pictures, of bfloat16 and, with faces, of two sizes. The network is left in
    training mode.

    Args:
        network: Of float32 weights; it takes `(n, 3, h, w)` in [0, 255].
        pictures: `(n, h, w, 3)`.
        seed: Chooses the pictures where there are more than `most`.
        most: Pictures that are measured.
        batch: Pictures at once.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None
    count = min(most, len(pictures))
    chosen = np.sort(np.random.default_rng([seed, 10_000]).choice(len(pictures), count, replace=False))
    network.train()
    with torch.no_grad():
        for start in range(0, count, batch):
            images = torch.from_numpy(pictures[chosen[start : start + batch]]).float().permute(0, 3, 1, 2)
            network(images.contiguous(memory_format=torch.channels_last))
