"""Three small detectors of different design, for frames of a road.

Each takes RGB frames as float32 in [0, 255], ``(n, 3, h, w)``, h and w multiples of 32, and gives raw maps, which the
heads in :mod:`aisc.victims.detector_heads` turn into boxes. The change of range lives inside, so that a gradient is
with respect to grey levels. Everything can be traced; no layer is depthwise: those are slow on a processor.
"""

from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

Design = Literal["anchors", "distances", "peaks"]

CLASSES: Final = 4
STRIDES: Final[dict[Design, tuple[int, ...]]] = {"anchors": (8, 16, 32), "distances": (8, 16, 32), "peaks": (4,)}
"""Frame pixels per cell of each map, finest first."""
ANCHORS: Final = (
    ((8.0, 20.0), (16.0, 14.0), (14.0, 34.0)),
    ((32.0, 28.0), (24.0, 64.0), (56.0, 48.0)),
    ((48.0, 124.0), (92.0, 84.0), (170.0, 150.0)),
)
"""Width and height in pixels of the anchors of each map."""


def build_detector(design: Design) -> nn.Module:
    """Make a detector with fresh weights from torch's generator."""
    return {"anchors": AnchorDetector, "distances": DistanceDetector, "peaks": PeakDetector}[design]()


def _unit(inside: int, outside: int, kernel: int = 3, stride: int = 1, slope: float = 0.1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.LeakyReLU(slope, inplace=True),
    )


class _Residual(nn.Module):
    """A narrow and a wide convolution beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_unit(width, width // 2, 1), _unit(width // 2, width))

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = x + self.body(x)
        return shortcut


class AnchorDetector(nn.Module):
    """Residual trunk, three maps joined top down, three anchors a cell: the way of YOLOv3 (Redmon and Farhadi 2018).

    Gives three maps ``(n, 27, h/s, w/s)``: per anchor x, y, width, height, objectness and four classes.
    """

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 12, 3, 2), _unit(12, 24, 3, 2), _Residual(24))
        self.fine = nn.Sequential(_unit(24, 48, 3, 2), _Residual(48))
        self.middle = nn.Sequential(_unit(48, 80, 3, 2), _Residual(80), _Residual(80))
        self.coarse = nn.Sequential(_unit(80, 112, 3, 2), _Residual(112))
        self.down_coarse, self.down_middle = _unit(112, 48, 1), _unit(80, 48, 1)
        self.join_middle, self.join_fine = _unit(96, 56), _unit(56 + 48, 56)
        per_cell = 3 * (5 + CLASSES)
        self.heads = nn.ModuleList(
            [nn.Conv2d(56, per_cell, 1), nn.Conv2d(56, per_cell, 1), nn.Conv2d(112, per_cell, 1)]
        )
        for head in self.heads:
            nn.init.constant_(head.bias.view(3, -1)[:, 4], -4.6)  # type: ignore[operator]

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Give the raw maps, finest first."""
        fine = self.fine(self.stem(frames * (1 / 128.0) - 1.0))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        up = F.interpolate(self.down_coarse(coarse), scale_factor=2.0, mode="nearest")
        joined = self.join_middle(torch.cat([up, self.down_middle(middle)], 1))
        finest = self.join_fine(torch.cat([F.interpolate(joined, scale_factor=2.0, mode="nearest"), fine], 1))
        outputs = [finest, joined, coarse]
        return tuple(head(output) for head, output in zip(self.heads, outputs, strict=True))


class DistanceDetector(nn.Module):
    """Plain trunk; each cell says how far it is to the four sides of its box (after FCOS, Tian et al. 2019).

    Gives three maps ``(n, 9, h/s, w/s)``: four classes, four logarithms of distances in strides, centredness.
    """

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 16, 5, 2, 0.0), nn.MaxPool2d(2), _unit(16, 32, 3, 1, 0.0))
        self.fine = nn.Sequential(nn.MaxPool2d(2), _unit(32, 64, 3, 1, 0.0), _unit(64, 64, 3, 1, 0.0))
        self.middle = nn.Sequential(nn.MaxPool2d(2), _unit(64, 96, 3, 1, 0.0), _unit(96, 64, 3, 1, 0.0))
        self.coarse = nn.Sequential(nn.MaxPool2d(2), _unit(64, 96, 3, 1, 0.0), _unit(96, 64, 3, 1, 0.0))
        self.smooth = _unit(64, 64, 3, 1, 0.0)
        self.head = nn.Conv2d(64, CLASSES + 5, 3, padding=1)
        self.sizes = nn.Parameter(torch.tensor([0.0, 0.0, 0.0]))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias[:CLASSES], -4.6)  # type: ignore[index]

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Give the raw maps, finest first."""
        fine = self.fine(self.stem(frames * (1 / 128.0) - 1.0))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        maps: list[Tensor] = []
        for number, features in enumerate([fine, middle, coarse]):
            raw = self.head(self.smooth(features))
            sides = raw[:, CLASSES : CLASSES + 4] + self.sizes[number]
            maps.append(torch.cat([raw[:, :CLASSES], sides, raw[:, CLASSES + 4 :]], 1))
        return tuple(maps)


class _Squeeze(nn.Module):
    """Weigh the channels by what all the frame shows (squeeze and excitation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 4, 1), nn.ReLU(), nn.Conv2d(width // 4, width, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(x)
        return gated


class PeakDetector(nn.Module):
    """An hourglass with one fine map, on which objects are peaks (after CenterNet, Zhou et al. 2019).

    Gives one map ``(n, 8, h/4, w/4)``: four classes, width and height as logarithms of strides, offset of the centre.
    """

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 12, 3, 2, 0.0), _unit(12, 24, 3, 2, 0.0))
        self.first = nn.Sequential(_unit(24, 40, 3, 2, 0.0), _unit(40, 40, 3, 1, 0.0))
        self.second = nn.Sequential(_unit(40, 72, 3, 2, 0.0), _Squeeze(72), _unit(72, 72, 3, 1, 0.0))
        self.third = nn.Sequential(_unit(72, 96, 3, 2, 0.0), _Squeeze(96), _unit(96, 72, 3, 1, 0.0))
        self.fourth = nn.Sequential(_unit(72, 72, 3, 2, 0.0), _unit(72, 72, 1, 1, 0.0))
        self.up_second, self.up_first, self.up_stem = (
            _unit(72, 40, 3, 1, 0.0), _unit(40, 24, 3, 1, 0.0), _unit(24, 32, 3, 1, 0.0)
        )  # fmt: skip
        self.head = nn.Sequential(_unit(32, 40, 3, 1, 0.0), nn.Conv2d(40, CLASSES + 4, 1))
        last = self.head[1]
        nn.init.constant_(last.bias[:CLASSES], -4.6)  # type: ignore[index]

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Give the raw map."""
        stem = self.stem(frames * (1 / 128.0) - 1.0)
        first = self.first(stem)
        second = self.second(first)
        third = self.third(second)
        # The whole frame in a few cells: large boxes need to see that far.
        far = F.interpolate(self.fourth(third), size=third.shape[2:], mode="nearest")
        up = self.up_second(second + F.interpolate(third + far, scale_factor=2.0, mode="nearest"))
        up = self.up_first(first + F.interpolate(up, scale_factor=2.0, mode="nearest"))
        up = self.up_stem(stem + F.interpolate(up, scale_factor=2.0, mode="nearest"))
        return (self.head(up),)
