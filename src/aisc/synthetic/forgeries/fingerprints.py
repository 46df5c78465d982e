"""What generators leave behind in a picture: one function a trace, each with a strength drawn anew for every picture.

Every function takes float32 RGB `(112, 112, 3)` in grey levels and a random generator, and gives the same shape and
dtype, not clipped. The traces are those that studies of generated images describe: uneven overlap of transposed
convolutions, sub-pixel patterns, peaks in the spectrum, resampling, block quantisation, seams of a pasted face,
denoising, ringing.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

SIDE: Final = 112
_PEAKS: Final = ((0.25, 0.0), (0.0, 0.25), (0.375, 0.125), (0.125, 0.375))
"""Frequencies in cycles a pixel, right and down, at which the spectrum of `spectral_peaks` stands out."""
_CELL: Final = np.random.default_rng(44).standard_normal((4, 4, 1)).astype(np.float32)
_SUB_PIXELS: Final = np.tile((_CELL - _CELL.mean()) / _CELL.std(), (SIDE // 4, SIDE // 4, 1))
_BLOCK: Final = 8
_DCT: Final = np.array(
    [
        [np.cos(np.pi * (2 * x + 1) * k / (2 * _BLOCK)) * np.sqrt((1 if k == 0 else 2) / _BLOCK) for x in range(_BLOCK)]
        for k in range(_BLOCK)
    ],
    dtype=np.float32,
)
_CODEC_AT: Final = (3, 5)
"""Where the codec's blocks begin, so that they are not those of a JPEG written later."""


def transposed_conv(picture: Picture, rng: np.random.Generator) -> Picture:
    """Make it anew from half its size by a stride-2 transposed convolution whose taps overlap unevenly."""
    small = _shrunk(picture, SIDE // 2)
    spread = np.zeros_like(picture)
    spread[::2, ::2] = small
    uneven = rng.uniform(0.015, 0.030)
    taps = np.array([0.5 + uneven, 1.0 - uneven, 0.5 + uneven], dtype=np.float32)
    made = cv2.sepFilter2D(spread, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)
    even = cv2.sepFilter2D(spread, -1, *(np.array([0.5, 1, 0.5], np.float32),) * 2, borderType=cv2.BORDER_REFLECT_101)
    return _sum(_float(made), rng.uniform(0.75, 0.95) * (picture - even))


def pixel_shuffle(picture: Picture, rng: np.random.Generator) -> Picture:
    """Give each of the 4 x 4 sub-pixel positions a gain of its own, as a badly started sub-pixel layer does."""
    return _sum(picture, rng.uniform(0.016, 0.028) * _SUB_PIXELS * (0.4 * picture + 60))


def spectral_peaks(picture: Picture, rng: np.random.Generator) -> Picture:
    """Add faint waves at fixed frequencies and any phase, stronger where the picture is lively."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    waves = np.zeros((SIDE, SIDE), dtype=np.float32)
    for right, down in _PEAKS:
        waves += np.cos(2 * np.pi * (right * columns + down * rows) + rng.uniform(0, 2 * np.pi)).astype(np.float32)
    lively = cv2.GaussianBlur(np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 2)), (0, 0), 3)
    return _sum(picture, rng.uniform(0.9, 1.5) * waves[..., None] * (0.8 + 0.12 * lively))


def blend_seam(picture: Picture, rng: np.random.Generator) -> Picture:
    """Paste another face's inner part, from a small crop, with its colours shifted towards a narrow-edged ellipse."""
    donor = _grown(_shrunk(np.ascontiguousarray(picture[:, ::-1]), int(rng.integers(76, 92))), cv2.INTER_CUBIC)
    mean, spread = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))
    wanted = spread * rng.uniform(0.94, 1.06, 3)
    donor = (donor - donor.mean(axis=(0, 1))) * (wanted / (donor.std(axis=(0, 1)) + 1)) + mean + rng.normal(0, 3, 3)
    mask = np.zeros((SIDE, SIDE), dtype=np.float32)
    centre = (56 + int(rng.integers(-3, 4)), 60 + int(rng.integers(-3, 4)))
    cv2.ellipse(mask, centre, (int(rng.integers(28, 35)), int(rng.integers(36, 44))), 0, 0, 360, 1.0, -1)
    cover = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 1.8)))[..., None]
    return _sum(picture, (donor - picture) * cover)


def median_denoise(picture: Picture, rng: np.random.Generator) -> Picture:
    """Take most of the grain out by a median over 3 x 3 pixels."""
    return _sum(picture, rng.uniform(0.65, 0.95) * (cv2.medianBlur(picture, 3) - picture))


def dct_codec(picture: Picture, rng: np.random.Generator) -> Picture:
    """Round the cosine coefficients of 8 x 8 blocks, coarser the finer they are."""
    down, right = _CODEC_AT
    padded = np.pad(picture, ((down, _BLOCK - down), (right, _BLOCK - right), (0, 0)), mode="edge")
    across = padded.shape[0] // _BLOCK
    blocks = padded.reshape(across, _BLOCK, across, _BLOCK, 3).transpose(0, 2, 4, 1, 3)
    fineness = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK)).astype(np.float32)
    steps = np.float32(rng.uniform(3.0, 4.8)) * (1 + fineness)
    rounded = np.rint(_DCT @ blocks @ _DCT.T / steps) * steps
    made = (_DCT.T @ rounded @ _DCT).transpose(0, 3, 1, 4, 2).reshape(padded.shape)
    return _float(made[down : down + SIDE, right : right + SIDE])


def warp_flow(picture: Picture, rng: np.random.Generator) -> Picture:
    """Move pixels along a smooth flow and read between them, as face reenactment does."""
    flow = _grown(rng.normal(0, 2.0, (7, 7, 2)).astype(np.float32), cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return _float(
        cv2.remap(
            picture, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    )


def sharpen_halo(picture: Picture, rng: np.random.Generator) -> Picture:
    """Raise edges until they ring."""
    soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.9, 1.3)))
    return _sum(picture, rng.uniform(0.8, 1.3) * (picture - soft))


def nearest_upscale(picture: Picture, rng: np.random.Generator) -> Picture:
    """Make it anew from two thirds of its size by repeating pixels."""
    side = int(rng.integers(72, 79))
    small = _shrunk(picture, side)
    even = _grown(small, cv2.INTER_LINEAR)
    return _sum(_grown(small, cv2.INTER_NEAREST), rng.uniform(0.3, 0.6) * (picture - even))


def diffusion_residue(picture: Picture, rng: np.random.Generator) -> Picture:
    """Smooth all but the edges, and leave a faint mottle of middle frequencies behind."""
    smooth = cv2.bilateralFilter(picture, 5, float(rng.uniform(16, 26)), 2.0)
    noise = rng.standard_normal((SIDE, SIDE, 3), dtype=np.float32)
    mottle = cv2.GaussianBlur(noise, (0, 0), 0.9) - cv2.GaussianBlur(noise, (0, 0), 1.8)
    return _sum(_sum(picture, 0.8 * (smooth - picture)), rng.uniform(6, 11) * mottle)


def vector_quantised(picture: Picture, rng: np.random.Generator) -> Picture:
    """Round the colour of each 4 x 4 token to few levels, keeping most of what is finer."""
    tokens = _shrunk(picture, SIDE // 4)
    step = rng.uniform(8, 14)
    rounded = (np.rint(tokens / step) * step).astype(np.float32)
    flat, wanted = (np.repeat(np.repeat(grid, 4, axis=0), 4, axis=1) for grid in (tokens, rounded))
    return _sum(wanted, rng.uniform(0.6, 0.85) * (picture - flat))


def _shrunk(picture: Picture, side: int) -> Picture:
    return _float(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def _grown(picture: Picture, way: int) -> Picture:
    return _float(cv2.resize(picture, (SIDE, SIDE), interpolation=way))


def _sum(picture: Picture, change: NDArray[np.generic]) -> Picture:
    return np.asarray(np.add(picture, change), dtype=np.float32)


def _float(picture: NDArray[np.generic]) -> Picture:
    return np.asarray(picture, dtype=np.float32)
