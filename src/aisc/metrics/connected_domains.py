"""Which pixels were changed, and how many separate patches they form (AISC 2022 report, section 4; RULES.md C)."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Connectivity = Literal[4, 8]


def perturbation_mask(original: NDArray[np.uint8], adversarial: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels in which any channel differs.

    The difference is taken by XOR: a subtraction of uint8 wraps, and a threshold would hide small changes.

    Args:
        original: ``(..., h, w, 3)`` uint8: one image or many.
        adversarial: The same shape and dtype.

    Returns:
        ``(..., h, w)`` bool.

    Raises:
        ValueError: Shapes or dtypes are not as above.

    >>> before = np.zeros((2, 2, 3), np.uint8)
    >>> after = before.copy()
    >>> after[0, 1, 2] = 255
    >>> perturbation_mask(before, after).tolist()
    [[False, True], [False, False]]
    """
    if original.dtype != np.uint8 or adversarial.dtype != np.uint8:
        raise ValueError(f"images are uint8, not {original.dtype} and {adversarial.dtype}")
    if original.shape != adversarial.shape or original.shape[-1:] != (3,):
        raise ValueError(f"images have one shape (..., h, w, 3), not {original.shape} and {adversarial.shape}")
    changed = (original ^ adversarial).ravel()
    # Every byte joined with the two behind it: whole rows at a time, faster than picking channels apart. Each third
    # byte then stands for one pixel.
    joined = changed[:-2] | changed[1:-1]
    joined |= changed[2:]
    mask: NDArray[np.bool_] = (joined[::3] != 0).reshape(original.shape[:-1])
    return mask


def connected_domains(mask: NDArray[np.bool_], connectivity: Connectivity = 4) -> int:
    """Count the connected domains of one mask.

    Args:
        mask: ``(h, w)`` bool.
        connectivity: 4 (sides touch) or 8 (sides or corners touch).

    Returns:
        How many domains the marked pixels form; 0 for an empty mask.

    Raises:
        ValueError: The mask is not a bool image, or the connectivity is not 4 or 8.

    >>> corner_to_corner = np.eye(3, dtype=bool)
    >>> connected_domains(corner_to_corner), connected_domains(corner_to_corner, 8)
    (3, 1)
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"a mask is (h, w) bool, not {mask.shape} {mask.dtype}")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}")
    image = np.ascontiguousarray(mask).view(np.uint8)
    left, top, width, height = cv2.boundingRect(image)
    if not width:
        return 0
    # Patches fill a part of the image only: looking there alone halves the time. There are at most half as many
    # domains as pixels, on a chessboard, so small images fit small labels.
    kind = cv2.CV_16U if width * height < 1 << 16 else cv2.CV_32S
    box = image[top : top + height, left : left + width]
    labels, _ = cv2.connectedComponents(box, connectivity=connectivity, ltype=kind)
    return labels - 1  # the background is a label too


def count_domains(masks: NDArray[np.bool_], connectivity: Connectivity = 4) -> NDArray[np.int32]:
    """Count the connected domains of many masks.

    Args:
        masks: ``(n, h, w)`` bool.
        connectivity: As in :func:`connected_domains`.

    Returns:
        ``(n,)`` int32.
    """
    return np.fromiter((connected_domains(mask, connectivity) for mask in masks), np.int32, len(masks))
