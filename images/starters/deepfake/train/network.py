"""The network of all methods: what a small CNN sees in high-pass residuals, and what a picture's spectrum shows.

A generator leaves its mark in what a picture's content does not explain. The residuals show where and how; the spectrum
of small windows, averaged over the picture, shows periodic marks that a CNN learns slowly.
"""

import numpy as np
import torch
from torch import Tensor, nn

WIDTHS = ((24, 2), (32, 1), (48, 2), (48, 1), (64, 2), (64, 1))
"""Channels and stride of each convolution."""
DIM = 96
REACH = 3.0
"""Residuals beyond so many units are cut: an edge of the picture must not drown its texture."""
UNIT = 4.0
"""Grey levels of one unit."""
WINDOW, STEP = 16, 8
"""Side of the spectrum's windows and the distance between them, in pixels."""

_KERNELS = (
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, -0.5, 1, -0.5, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, -0.5, 0, 0), (0, 0, 1, 0, 0), (0, 0, -0.5, 0, 0), (0, 0, 0, 0, 0)),
    (
        (-1 / 12, 2 / 12, -2 / 12, 2 / 12, -1 / 12),
        (2 / 12, -6 / 12, 8 / 12, -6 / 12, 2 / 12),
        (-2 / 12, 8 / 12, -12 / 12, 8 / 12, -2 / 12),
        (2 / 12, -6 / 12, 8 / 12, -6 / 12, 2 / 12),
        (-1 / 12, 2 / 12, -2 / 12, 2 / 12, -1 / 12),
    ),
)
"""Second differences along a row and a column, and the square one of steganalysis (Fridrich and Kodovsky 2012)."""
_COLOURS = ((0.299, 0.587, 0.114), (0.5, 0.0, -0.5), (-0.5, 1.0, -0.5))
"""Lightness, and two differences of colours."""


class FingerprintNetwork(nn.Module):
    """Give the features of pictures.

    Args:
        stretch: Whether each picture's values are stretched to 0…255 first (AISC report 2.3.4).
    """

    def __init__(self, *, stretch: bool = False) -> None:
        super().__init__()
        self.stretch = stretch
        self.register_buffer("kernels", torch.tensor(_KERNELS)[:, None].repeat(3, 1, 1, 1) / UNIT)
        layers: list[nn.Module] = []
        before = 3 * len(_KERNELS)
        for width, stride in WIDTHS:
            convolution = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.spectrum = Spectrum()
        lines = self.spectrum.lines
        self.register_buffer("usual", torch.zeros(lines))
        self.register_buffer("spread", torch.ones(lines))
        self.mix = nn.Sequential(nn.Dropout(0.2), nn.Linear(lines, DIM), nn.ReLU())
        self.embed = nn.Linear(2 * before + DIM, DIM)
        self.neck = nn.BatchNorm1d(DIM)

    def forward(self, pictures: Tensor, lines: Tensor | None = None) -> Tensor:
        """Give the features for retrieval, `(n, 96)`, of RGB float32 `(n, 3, h, w)` in [0, 255]."""
        features: Tensor = self.neck(self.describe(pictures, lines))
        return features

    def know(self, lines: Tensor) -> None:
        """Take spectra `(n, 864)` of the training set as what is usual."""
        self.usual.copy_(lines.mean(0))
        self.spread.copy_(lines.std(0).clamp_min(1e-3))

    def ranged(self, pictures: Tensor) -> Tensor:
        """Stretch each picture's values to 0…255, if this network wants that."""
        if not self.stretch:
            return pictures
        low, high = pictures.amin((1, 2, 3), keepdim=True), pictures.amax((1, 2, 3), keepdim=True)
        return (pictures - low) * (255 / (high - low).clamp_min(1))

    def describe(self, pictures: Tensor, lines: Tensor | None = None) -> Tensor:
        """Give the features before the neck, `(n, 96)`; `lines`: the pictures' spectra, where they are known."""
        pictures = self.ranged(pictures)
        residuals = nn.functional.conv2d(pictures, self.kernels, padding=2, groups=3).clamp(-REACH, REACH)
        maps = self.trunk(residuals).float().flatten(2)
        means = maps.mean(2)
        deviations = ((maps - means[:, :, None]).square().mean(2) + 1e-4).sqrt()
        spectral = self.mix(((self.spectrum(pictures) if lines is None else lines) - self.usual) / self.spread)
        mixed: Tensor = self.embed(torch.cat([means, deviations, spectral], 1))
        return mixed


class Spectrum(nn.Module):
    """Logarithmic power at each frequency of 16 x 16 windows: the mean logarithm, and the logarithm of the mean.

    A Fourier transform in two convolutions, along rows and then columns, because ONNX runtimes are quick at those.
    """

    def __init__(self) -> None:
        super().__init__()
        window = np.hanning(WINDOW + 2)[1:-1]
        angles = 2 * np.pi * np.arange(WINDOW)[:, None] * np.arange(WINDOW) / WINDOW
        cosines, sines = np.cos(angles) * window, np.sin(angles) * window
        half = WINDOW // 2 + 1
        # A real row's upper half of frequencies repeats its lower half.
        rows = np.stack([cosines[:half], -sines[:half]], axis=1).reshape(2 * half, 1, 1, WINDOW)
        real = np.stack([cosines, sines], axis=1)
        imaginary = np.stack([-sines, cosines], axis=1)
        columns = np.tile(np.concatenate([real, imaginary]), (half, 1, 1))[..., None]
        self.half = half
        self.lines = 2 * len(_COLOURS) * half * WINDOW
        self.register_buffer("rows", torch.tensor(rows, dtype=torch.float32))
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.float32))
        self.register_buffer("colours", torch.tensor(_COLOURS)[:, :, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        """Give `(n, 864)` of pictures `(n, 3, h, w)` in [0, 255]."""
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            planes = nn.functional.conv2d(pictures - 128, self.colours).flatten(0, 1)[:, None]
            across = nn.functional.conv2d(planes, self.rows, stride=(1, STEP))
            both = nn.functional.conv2d(across, self.columns, stride=(STEP, 1), groups=self.half).flatten(2)
            parts = both.unflatten(1, (self.half, 2, WINDOW)).square()
            power = parts[:, :, 0] + parts[:, :, 1]
            lines = torch.cat([(power + 1).log().mean(3), (power.mean(3) + 1).log()], 1)
            return lines.flatten(1).unflatten(0, (-1, len(_COLOURS))).flatten(1)


class Classifier(nn.Module):
    """What training adds to the network and throws away: a linear layer without bias, and class centres.

    Args:
        classes: How many there are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(DIM, classes, bias=False)
        self.centres = nn.Parameter(torch.zeros(classes, DIM))

    def forward(self, features: Tensor) -> Tensor:
        """Give the logits `(n, classes)` of features from the neck."""
        logits: Tensor = self.linear(features)
        return logits

    def centre_loss(self, features: Tensor, classes: Tensor) -> Tensor:
        """Give half the mean squared distance to the classes' centres (Wen et al. 2016, eq. 2), a feature's share."""
        return 0.5 * (features - self.centres[classes]).square().mean()
