"""The small network behind the shipped face classifiers: who is this, or which attributes are seen.

It takes RGB pictures as float32 grey levels in [0, 255], `(n, 3, 112, 112)`, and gives logits `(n, outputs)`. The
change of range lives inside: a gradient is with respect to grey levels, and an ε in grey levels is the same for all.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads


class ClassifierArchitecture(NamedTuple):
    """What defines a classifier apart from its weights.

    Attributes:
        widths: Channels at 28, 14 and 7 pixels.
        hidden: Numbers between the map of 7 pixels and the logits.
        outputs: Logits a picture: one a person, or one an attribute.
    """

    widths: tuple[int, int, int]
    hidden: int
    outputs: int


class ClassifierNetwork(nn.Module):
    """Pairs of plain convolutions at three sizes, and a head that keeps where things were seen."""

    def __init__(self, architecture: ClassifierArchitecture) -> None:
        """Build trunk and head with fresh weights from torch's generator."""
        super().__init__()
        first, second, third = architecture.widths
        self.trunk = nn.Sequential(
            *_pair(3, first, stride=2), nn.MaxPool2d(2), *_pair(first, second), nn.MaxPool2d(2), *_pair(second, third)
        )
        self.hidden = nn.Linear(third * 16, architecture.hidden, bias=False)
        self.norm = nn.BatchNorm1d(architecture.hidden)
        self.head = nn.Linear(architecture.hidden, architecture.outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Give logits `(n, outputs)` of RGB pictures `(n, 3, 112, 112)` in [0, 255]."""
        # Half the size at once: a face needs no more for these questions, and every later layer costs a quarter.
        features = self.trunk(F.avg_pool2d(images * (1 / 128.0) - 1.0, 2))
        features = F.avg_pool2d(features, 3, 2, 1, count_include_pad=False)
        logits: Tensor = self.head(torch.relu(self.norm(self.hidden(features.flatten(1)))))
        return logits


def _pair(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    """Give two convolutions of 3 pixels, each with batch norm and ReLU; the first may halve the size."""
    layers: list[nn.Module] = []
    for incoming, step in ((inside, stride), (outside, 1)):
        layers += [nn.Conv2d(incoming, outside, 3, step, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
    return layers
