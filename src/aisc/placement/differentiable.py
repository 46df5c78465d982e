"""The same placement in torch, so that a gradient flows from a detector through the scene back to the canvas."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

from aisc.placement.geometry import F64, guarded, pixel_box, quad_homographies
from aisc.placement.light import FacePose, occlusion_in


def place_tensor(frame: Tensor, colours: Tensor, mask: Tensor, pose: FacePose, samples: int = 4) -> Tensor:
    """Put a canvas onto a face and give the new frame; differentiable with respect to colours and mask.

    Args:
        frame: ``(3, h, w)`` float32 in [0, 255]; it stays as it is.
        colours: ``(3, ch, cw)`` float32 in [0, 255]; any resolution, it is stretched over the whole canvas.
        mask: ``(1, ch, cw)`` float32 in [0, 1].
        pose: Where the face is and how it is lit.
        samples: Samples along each side of a frame pixel.

    Returns:
        ``(3, h, w)`` float32 in [0, 255], not rounded.

    Raises:
        UsageError: PLACEMENT_CORNERS.
    """
    box = left, top, right, bottom = pixel_box(pose.corners, (frame.shape[1], frame.shape[2]))
    if left >= right or top >= bottom:
        return frame
    size = colours.shape[1], colours.shape[2]
    back = np.linalg.inv(quad_homographies(pose.corners[None], (float(size[0]), float(size[1])))[0])
    sheet = _shrunk(torch.cat([colours * mask, mask]), ((bottom - top) * samples, (right - left) * samples))
    points = torch.from_numpy(_canvas_points(back, box, samples, size).astype(np.float32)).to(frame.device)
    fine = F.grid_sample(sheet[None], points[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    seen = F.avg_pool2d(fine, samples)[0]
    open_share = torch.from_numpy(1 - occlusion_in(pose, box)).to(frame.device)
    gain = torch.from_numpy(_gain(pose, back, box, size)).to(frame.device)
    haze = torch.from_numpy(pose.haze).to(frame.device)[:, None, None]
    share = seen[3:] * open_share
    region = frame[:, top:bottom, left:right]
    mixed = region * (1 - share) + seen[:3] * gain * open_share + haze * share
    padding = (left, frame.shape[2] - right, top, frame.shape[1] - bottom)
    inside = F.pad(torch.ones_like(share), padding)
    return frame * (1 - inside) + F.pad(mixed.clamp(0, 255), padding)


def _shrunk(sheet: Tensor, size: tuple[int, int]) -> Tensor:
    """Average a sheet down where it has more pixels than samples will be taken of it."""
    target = min(sheet.shape[1], size[0]), min(sheet.shape[2], size[1])
    return sheet if target == tuple(sheet.shape[1:]) else F.adaptive_avg_pool2d(sheet[None], target)[0]


def _canvas_points(back: F64, box: tuple[int, int, int, int], samples: int, size: tuple[int, int]) -> F64:
    """Map the samples of a box to the canvas in [-1, 1], ``(rows, columns, 2)``."""
    left, top, right, bottom = box
    x = left + (np.arange((right - left) * samples) + 0.5) / samples
    y = top + (np.arange((bottom - top) * samples) + 0.5) / samples
    mapped = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1) @ back.T
    points = mapped[..., :2] / guarded(mapped[..., 2:])
    scaled = points / [size[1] / 2, size[0] / 2] - 1
    scaled[mapped[..., 2] <= 0] = -4.0
    # Far outside is as good as anywhere outside, and float32 can hold it.
    return np.asarray(np.clip(scaled, -4, 4))


def _gain(pose: FacePose, back: F64, box: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """Give the gain at each pixel of a box, ``(3, h, w)`` float32, interpolated linearly between the grid's cells."""
    rows, columns = pose.gain.shape[:2]
    centres = (_canvas_points(back, box, 1, size) + 1) / 2 * [columns, rows] - 0.5
    spot = np.clip(centres, 0, [columns - 1, rows - 1])
    low = np.minimum(np.floor(spot).astype(int), [max(columns - 2, 0), max(rows - 2, 0)])
    high = np.minimum(low + 1, [columns - 1, rows - 1])
    across, down = (part[..., None] for part in np.moveaxis(spot - low, -1, 0))
    upper, lower = (
        pose.gain[row, low[..., 0]] * (1 - across) + pose.gain[row, high[..., 0]] * across
        for row in (low[..., 1], high[..., 1])
    )
    mixed = upper * (1 - down) + lower * down
    return np.ascontiguousarray(np.moveaxis(mixed, -1, 0), np.float32)
