"""Small face embedding networks: four families that share one contract.

Every network takes RGB pictures as float32 in [0, 255], `(n, 3, 112, 112)`, and gives L2-normalised embeddings
`(n, dim)`. The change of range lives inside, so that a gradient is with respect to grey levels. Nothing is trained at
import, everything can be scripted, and no layer is depthwise: those run at a fraction of a processor's speed.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

Family = Literal["residual", "squeeze", "plain", "dense", "mixer"]


class Architecture(NamedTuple):
    """What defines a network apart from its weights."""

    family: Family
    widths: tuple[int, int, int, int]
    """Channels at 56, 28, 14 and 7 pixels."""
    depths: tuple[int, int, int]
    """Blocks at 28, 14 and 7 pixels."""
    dim: int = 128


def build_network(architecture: Architecture) -> "EmbeddingNetwork":
    """Make a network with fresh weights from torch's generator."""
    return EmbeddingNetwork(architecture)


class EmbeddingNetwork(nn.Module):
    """A trunk that ends at one sixteenth of the size, and a head that keeps where things were seen."""

    def __init__(self, architecture: Architecture) -> None:
        """Build trunk and head."""
        super().__init__()
        self.trunk = nn.Sequential(*_TRUNKS[architecture.family](architecture))
        self.head = nn.Linear(architecture.widths[-1] * 16, architecture.dim, bias=False)
        self.norm = nn.BatchNorm1d(architecture.dim)

    def forward(self, images: Tensor) -> Tensor:
        """Embed RGB pictures `(n, 3, h, w)` in [0, 255], h = w = 112 (or 64), as `(n, dim)` of length 1."""
        features = self.trunk(images * (1 / 128.0) - 1.0)
        if features.size(-1) > 4:
            features = F.avg_pool2d(features, 3, 2, 1, count_include_pad=False)
        return F.normalize(self.norm(self.head(features.flatten(1))).float(), dim=1)


def _convolution(
    inside: int, outside: int, kernel: int | tuple[int, int] = 3, stride: int = 1, activation: bool = True
) -> list[nn.Module]:
    """Give convolution, batch norm and, unless told otherwise, ReLU."""
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = (sides[0] // 2, sides[1] // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, sides, stride, padding, bias=False),
        nn.BatchNorm2d(outside),
    ]
    if activation:
        layers.append(nn.ReLU(inplace=True))
    return layers


class _Squeeze(nn.Module):
    """Weigh the channels by what all the picture shows (squeeze and excitation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width // 4, 1),
            nn.ReLU(),
            nn.Conv2d(width // 4, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(x)
        return x * gate


class _ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        body = _convolution(inside, outside, stride=stride) + _convolution(outside, outside, activation=False)
        self.body = nn.Sequential(*body, *([_Squeeze(outside)] if squeeze else []))
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if inside != outside:
            shortcut += _convolution(inside, outside, 1, activation=False)
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class _DenseLayer(nn.Module):
    """Append what is newly seen to what was known."""

    def __init__(self, inside: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolution(inside, growth))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class _MixerBlock(nn.Module):
    """Look far along rows and columns with 7-pixel kernels, then mix the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.space = nn.Sequential(
            *_convolution(width, width, (1, 7), activation=False), *_convolution(width, width, (7, 1))
        )
        self.channels = nn.Sequential(
            *_convolution(width, 2 * width, 1), *_convolution(2 * width, width, 1, activation=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = x + self.space(x)
        mixed: Tensor = self.channels(seen)
        return seen + mixed


def _residual(architecture: Architecture) -> list[nn.Module]:
    squeeze = architecture.family == "squeeze"
    widths = architecture.widths
    layers = _convolution(3, widths[0], stride=2)
    for inside, outside, depth in zip(widths[:-1], widths[1:], architecture.depths, strict=True):
        layers.append(_ResidualBlock(inside, outside, 2, squeeze))
        layers += [_ResidualBlock(outside, outside, 1, squeeze) for _ in range(depth - 1)]
    return layers


def _plain(architecture: Architecture) -> list[nn.Module]:
    widths = architecture.widths
    layers = _convolution(3, widths[0], stride=2) + _convolution(widths[0], widths[0])
    for inside, outside, depth in zip(widths[:-1], widths[1:], architecture.depths, strict=True):
        layers += [nn.MaxPool2d(2), *_convolution(inside, outside)]
        for _ in range(depth - 1):
            layers += _convolution(outside, outside)
    return layers


def _dense(architecture: Architecture) -> list[nn.Module]:
    """Grow from each width to the next, layer by layer; a narrow convolution and a halving come before each block."""
    widths = architecture.widths
    layers = _convolution(3, widths[0], stride=2)
    inside = widths[0]
    for outside, depth in zip(widths[1:], architecture.depths, strict=True):
        start = outside // 2
        growth = (outside - start) // depth
        layers += [*_convolution(inside, start, 1), nn.AvgPool2d(2)]
        layers += [_DenseLayer(start + k * growth, growth) for k in range(depth)]
        inside = start + depth * growth
    return [*layers, *_convolution(inside, widths[-1], 1)]


def _mixer(architecture: Architecture) -> list[nn.Module]:
    widths = architecture.widths
    layers = _convolution(3, widths[0], 7, stride=2)
    for inside, outside, depth in zip(widths[:-1], widths[1:], architecture.depths, strict=True):
        layers += _convolution(inside, outside, 3, stride=2)
        layers += [_MixerBlock(outside) for _ in range(depth)]
    return layers


_TRUNKS = {"residual": _residual, "squeeze": _residual, "plain": _plain, "dense": _dense, "mixer": _mixer}


def count_parameters(modules: Sequence[nn.Module]) -> int:
    """Count the trainable numbers of some modules."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())
