"""Patches counted against scipy, scikit-image and a plain flood fill."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from aisc.metrics.connected_domains import connected_domains, count_domains, perturbation_mask

Mask = NDArray[np.bool_]


def flooded(mask: Mask, connectivity: int) -> int:
    """Count domains by walking from pixel to pixel."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)] + ([(1, 1), (1, -1), (-1, 1), (-1, -1)] if connectivity == 8 else [])
    left = {tuple(at) for at in np.argwhere(mask).tolist()}
    domains = 0
    while left:
        domains += 1
        edge = [left.pop()]
        while edge:
            y, x = edge.pop()
            near = {(y + dy, x + dx) for dy, dx in steps} & left
            left -= near
            edge += near
    return domains


def spiral(size: int) -> Mask:
    """Draw one line that winds inwards, the hardest shape for two-pass labelling."""
    mask = np.zeros((size, size), bool)
    top, left, bottom, right = 0, 0, size - 1, size - 1
    while top <= bottom and left <= right:
        mask[top, left : right + 1] = True
        mask[top : bottom + 1, right] = True
        mask[bottom, left : right + 1] = True
        mask[top + 2 : bottom + 1, left] = True
        mask[top + 2, left : left + 2] = True
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return mask


def odd_masks() -> dict[str, Mask]:
    size = 112
    y, x = np.mgrid[0:size, 0:size]
    comb = (x % 2 == 0) | (y == size - 1)
    single = np.zeros((size, size), bool)
    single[-1, -1] = True
    return {
        "empty": np.zeros((size, size), bool),
        "full": np.ones((size, size), bool),
        "single": single,
        "chessboard": (x + y) % 2 == 0,
        "dots": (x % 2 == 0) & (y % 2 == 0),
        "comb": comb,
        "stripes": y % 2 == 0,
        "spiral": spiral(size),
        "diagonals": (x - y) % 3 == 0,
        "wide": (np.mgrid[0:3, 0:900].sum(0) % 2 == 0),
        "large-chessboard": np.mgrid[0:401, 0:399].sum(0) % 2 == 0,
    }


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("name", odd_masks())
def test_odd_masks_like_scipy_and_scikit_image(name: str, connectivity: int) -> None:
    mask = odd_masks()[name]
    near = 1 if connectivity == 4 else 2
    counted = connected_domains(mask, connectivity)
    assert counted == ndimage.label(mask, ndimage.generate_binary_structure(2, near))[1]
    assert counted == measure.label(mask, connectivity=near, return_num=True)[1]


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("density", [0.02, 0.1, 0.4, 0.5, 0.6, 0.9])
def test_random_masks_like_scipy_scikit_image_and_flood_fill(density: float, connectivity: int) -> None:
    rng = np.random.default_rng(int(100 * density))
    masks = rng.random((12, 40, 57)) < density
    near = 1 if connectivity == 4 else 2
    counted = count_domains(masks, connectivity)
    assert counted.dtype == np.int32
    structure = ndimage.generate_binary_structure(2, near)
    assert counted.tolist() == [ndimage.label(mask, structure)[1] for mask in masks]
    assert counted.tolist() == [measure.label(mask, connectivity=near, return_num=True)[1] for mask in masks]
    assert counted[:3].tolist() == [flooded(mask, connectivity) for mask in masks[:3]]


def test_a_mask_need_not_be_contiguous() -> None:
    mask = np.random.default_rng(0).random((60, 80)) < 0.5
    assert connected_domains(mask.T[::2]) == ndimage.label(mask.T[::2])[1]


def test_no_masks_no_counts() -> None:
    assert count_domains(np.zeros((0, 5, 5), bool)).shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1, 3), (112, 112, 3), (4, 30, 20, 3), (2, 3, 5, 4, 3)])
def test_the_mask_marks_what_differs_in_any_channel(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    before = rng.integers(0, 256, shape, dtype=np.uint8)
    after = np.where(rng.random(shape) < 0.2, rng.integers(0, 256, shape, dtype=np.uint8), before)
    expected = (np.abs(before.astype(np.int16) - after.astype(np.int16)) > 0).any(axis=-1)
    np.testing.assert_array_equal(perturbation_mask(before, after), expected)


def test_differences_do_not_wrap() -> None:
    before, after = np.zeros((1, 256, 3), np.uint8), np.zeros((1, 256, 3), np.uint8)
    after[0, :, 1] = np.arange(256)
    assert perturbation_mask(before, after)[0].tolist() == [False] + [True] * 255
    assert perturbation_mask(after, before)[0].tolist() == [False] + [True] * 255


def test_neighbouring_pixels_do_not_leak_into_each_other() -> None:
    before = np.zeros((2, 5, 3), np.uint8)
    for pixel in range(10):
        for channel in range(3):
            after = before.copy()
            after.reshape(10, 3)[pixel, channel] = 1
            assert np.flatnonzero(perturbation_mask(before, after)).tolist() == [pixel]


def test_wrong_arrays_are_refused() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    for other in (image.astype(np.int16), image[1:], image[..., :2]):
        with pytest.raises(ValueError, match="images"):
            perturbation_mask(image, other)
    with pytest.raises(ValueError, match="images"):
        perturbation_mask(image[..., :2], image[..., :2])
    for mask in (image, np.zeros((4, 4), np.uint8)):
        with pytest.raises(ValueError, match="a mask"):
            connected_domains(mask)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="connectivity"):
        connected_domains(np.zeros((4, 4), bool), 6)  # type: ignore[arg-type]
