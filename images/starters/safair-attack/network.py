"""The small classifier behind these starters, and its file.

It takes grey levels, float32 RGB `(n, 3, 112, 112)` in [0, 255], and gives logits `(n, outputs)`.
"""

from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

WIDTHS = (24, 48, 96)
"""Channels at 28, 14 and 7 pixels."""
HIDDEN = 128

Network = TypeVar("Network", bound=nn.Module)


class Classifier(nn.Module):
    """Six convolutions at three sizes, and two layers that know where in the face a thing was seen."""

    def __init__(self, outputs: int) -> None:
        """Draw fresh weights from torch's generator."""
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(WIDTHS):
            layers += [*_convolution(before, width, 1 if number else 2), *_convolution(width, width, 1)]
            layers += [nn.MaxPool2d(2)] if number < len(WIDTHS) - 1 else []
            before = width
        self.trunk = nn.Sequential(*layers)
        self.middle = nn.Sequential(nn.Linear(16 * before, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU())
        self.head = nn.Linear(HIDDEN, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Give logits of whole pictures."""
        return self.look(halve(images))

    def look(self, half: Tensor) -> Tensor:
        """Give logits of pictures of half the size, `(n, 3, 56, 56)` in [0, 255]; training starts here."""
        seen = F.avg_pool2d(self.trunk(half / 128 - 1), 3, 2, 1, count_include_pad=False)
        logits: Tensor = self.head(self.middle(seen.flatten(1)))
        return logits


def halve(images: Tensor) -> Tensor:
    """Average blocks of two by two pixels: nothing here needs more of a face, and all that follows costs a quarter."""
    return F.avg_pool2d(images, 2)


def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


def save(network: nn.Module, target: Path) -> None:
    """Write weights in half precision, without counters."""
    kept = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    target.write_bytes(packed({name: tensor.detach().half().contiguous() for name, tensor in kept.items()}))


def load(network: Network, source: Path) -> Network:
    """Fill a network, for use alone: float32, evaluation mode, no gradients of weights.

    Raises:
        SystemExit: The file is missing, or made for another network.
    """
    if not source.is_file():
        raise SystemExit(f"{source}: there are no such weights; make them with train/train.py.")
    found = {name: tensor.float() for name, tensor in load_file(source).items()}
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    if {name: one.shape for name, one in found.items()} != {name: one.shape for name, one in wanted.items()}:
        raise SystemExit(f"{source}: these weights are for another number of people or attributes; train anew.")
    network.load_state_dict(found, strict=False)
    return network.eval().requires_grad_(False)
