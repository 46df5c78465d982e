"""Put a canvas onto a face, fast: only the region of interest is touched, area averages come from supersampling.

Each pixel of the region is the mean of 144 samples, or 324 for a small face, of a copy of the canvas that was shrunk by
area averages until its pixels are about as long as the samples lie apart. So a canvas 2790 pixels wide that is seen 20
pixels wide does not alias; `aisc.placement.reference` is the test's oracle.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.placement.geometry import F64, pixel_box, quad_homographies
from aisc.placement.light import FacePose, occlusion_in
from aisc.placement.pyramid import Pyramid

SAMPLES: Final = 12
"""Samples along each side of a frame pixel."""
FINE_SAMPLES: Final = 18
"""The same for a face so small that a pixel sees many edges, and samples cost little."""
_SMALL_FACE: Final = 1000
_MOST_SAMPLES_AT_ONCE: Final = 1 << 21


def place(frame: NDArray[np.uint8], canvas: Pyramid, pose: FacePose, samples: int = 0) -> NDArray[np.float32]:
    """Put a canvas onto a face, in place.

    A pixel becomes ``coverage · (gain · colour + haze) + (1 - coverage) · what was there``, where colour is the canvas
    averaged over the pixel's area and coverage the share of that area that the mask covers and no occluder hides.

    Args:
        frame: ``(h, w, 3)`` uint8, changed where the canvas lands and nowhere else.
        canvas: The canvas.
        pose: Where the face is and how it is lit.
        samples: Samples along each side of a pixel; 0 chooses by the size of the face.

    Returns:
        ``(h', w')`` float32 in [0, 1]: the coverage within ``pixel_box(pose.corners, frame size)``.

    Raises:
        UsageError: PLACEMENT_CORNERS.
    """
    height, width = frame.shape[:2]
    box = left, top, right, bottom = pixel_box(pose.corners, (height, width))
    coverage = np.zeros((bottom - top, right - left), np.float32)
    if not coverage.size:
        return coverage
    samples = samples or (FINE_SAMPLES if coverage.size <= _SMALL_FACE else SAMPLES)
    matrix = quad_homographies(pose.corners[None], canvas.size)[0]
    level = canvas.level(*(length / samples for length in _footprint(matrix, canvas.size)))
    to_frame = matrix @ _centres(level.scale)
    step = max(1, _MOST_SAMPLES_AT_ONCE // (samples * samples * (right - left)))
    occluded = occlusion_in(pose, box)
    for start in range(top, bottom, step):
        end = min(start + step, bottom)
        averaged = _averaged(level.pixels, to_frame, (left, start, right, end), samples)
        gain = _gain(pose.gain, matrix, canvas.size, (left, start, right, end))
        share = averaged[..., 3:] * (1 - occluded[start - top : end - top, :, None]) * np.float32(1 / 255)
        lit = averaged[..., :3] * gain * (1 - occluded[start - top : end - top, :, None]) + pose.haze * share
        region = frame[start:end, left:right]
        mixed = region * (1 - share) + lit
        # Where nothing is covered the pixel must keep its value to the bit; rounding keeps it: share is 0 there.
        np.clip(mixed, 0, 255, out=mixed)
        region[:] = np.rint(mixed).astype(np.uint8)
        coverage[start - top : end - top] = share[..., 0]
    return coverage


def _footprint(matrix: F64, size: tuple[int, int]) -> tuple[float, float]:
    """Give how many canvas pixels a frame pixel spans at the face's centre, along the canvas's x and y.

    The weight at the centre is 1, so the derivative of (p / w) there is p' - p · w'.
    """
    middle = matrix[:2] @ (size[1] / 2, size[0] / 2, 1.0)
    slopes = matrix[:2, :2] - np.outer(middle, matrix[2, :2])
    across, down = np.hypot(slopes[0], slopes[1]).tolist()
    return 1 / max(across, 1e-9), 1 / max(down, 1e-9)


def _centres(scale: tuple[float, float]) -> F64:
    """Give the matrix from a level's pixel indices to canvas coordinates: index i is at (i + 0.5) · scale."""
    return np.array([[scale[0], 0, scale[0] / 2], [0, scale[1], scale[1] / 2], [0, 0, 1]])


def _averaged(
    pixels: NDArray[np.uint8], to_frame: F64, box: tuple[int, int, int, int], samples: int
) -> NDArray[np.float32]:
    """Sample a level over a box of the frame and average the samples of each pixel; ``(h, w, 4)`` float32."""
    left, top, right, bottom = box
    to_samples = np.array([[samples, 0, -left * samples - 0.5], [0, samples, -top * samples - 0.5], [0, 0, 1.0]])
    fine = cv2.warpPerspective(
        pixels, to_samples @ to_frame, ((right - left) * samples, (bottom - top) * samples), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0),
    )  # fmt: skip
    return np.asarray(cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA), np.float32)


def _gain(
    gain: NDArray[np.float32], matrix: F64, size: tuple[int, int], box: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Give the gain at each pixel of a box, ``(h, w, 3)``, or ``(1, 1, 3)`` where it is the same all over."""
    rows, columns = gain.shape[:2]
    if rows == columns == 1:
        return gain
    left, top, right, bottom = box
    to_box = np.array([[1, 0, -left - 0.5], [0, 1, -top - 0.5], [0, 0, 1.0]])
    grid = matrix @ _centres((size[1] / columns, size[0] / rows))
    seen = cv2.warpPerspective(
        gain, to_box @ grid, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)
