"""An autoencoder that takes attacks out of pictures before a classifier sees them (after Liao et al. 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

WIDTHS = (16, 32, 48)
"""Channels at 56, 28 and 14 pixels."""


class Denoiser(nn.Module):
    """Three sizes down and up again; it tells what to add to a picture, at most 16 grey levels, at first nothing."""

    def __init__(self) -> None:
        """Draw fresh weights from torch's generator."""
        super().__init__()
        first, second, third = WIDTHS
        self.down = nn.ModuleList([_layer(3, first, 1), _layer(first, second, 2), _layer(second, third, 2)])
        self.middle = _layer(third, third, 1)
        self.narrow = nn.ModuleList([nn.Conv2d(third, second, 1), nn.Conv2d(second, first, 1)])
        self.up = nn.ModuleList([_layer(second, second, 1), _layer(first, first, 1)])
        self.last = nn.Conv2d(first, 3, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, half: Tensor) -> Tensor:
        """Clean halved pictures, float32 `(n, 3, 56, 56)` in [0, 255]."""
        seen, kept = half / 128 - 1, []
        for layer in self.down:
            seen = layer(seen)
            kept.append(seen)
        seen = self.middle(kept.pop())
        for narrow, layer in zip(self.narrow, self.up, strict=True):
            seen = layer(F.interpolate(narrow(seen), scale_factor=2.0, mode="nearest") + kept.pop())
        return half + 16 * torch.tanh(self.last(seen))


def _layer(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
