"""What an attack minimises: how surely a detector sees the target, and how unlike a print the patch is."""

import numpy as np
import torch

# Colours that an ordinary printer reaches, as red, green, blue in [0, 1].
PRINTABLE = torch.tensor(
    [[r, g, b] for r in (0.10, 0.35, 0.60, 0.88) for g in (0.10, 0.35, 0.60, 0.88) for b in (0.12, 0.36, 0.60, 0.86)]
)


def near_target(boxes: torch.Tensor, corners: np.ndarray, target: str) -> torch.Tensor:
    """Tell which candidate boxes (m, 4) may show the target: their centre lies on or around its face.

    Below a truck's face are its lights and wheels, which a detector takes for a car as soon as the rest is hidden.
    """
    low, high = torch.from_numpy(corners.min(0)).float(), torch.from_numpy(corners.max(0)).float()
    around, below = (torch.tensor([0.4, 0.4]), torch.tensor([0.4, 1.1])) if target == "truck" else (1.2, 1.56)
    size = high - low
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centre > low - size * around) & (centre < high + size * below)).all(1)


def seen(confidence: torch.Tensor, near: torch.Tensor, keep: int = 12) -> torch.Tensor:
    """Sum -log(1 - p) over the surest candidates of one frame: what is unsure already pulls no more."""
    chosen = torch.where(near, confidence, torch.zeros_like(confidence))
    best = chosen.topk(min(keep, len(chosen))).values.clamp(max=0.9999)
    return -torch.log1p(-best).sum()


def total_variation(colours: torch.Tensor) -> torch.Tensor:
    """Mean difference of neighbouring pixels of a patch (3, r, c) in [0, 1]."""
    return (colours[:, 1:] - colours[:, :-1]).abs().mean() + (colours[:, :, 1:] - colours[:, :, :-1]).abs().mean()


def non_printability(colours: torch.Tensor) -> torch.Tensor:
    """Mean distance of each pixel to the nearest printable colour (Sharif et al. 2016, section 4.2.2, as a minimum)."""
    return torch.cdist(colours.flatten(1).T, PRINTABLE).amin(1).mean()
