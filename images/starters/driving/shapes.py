"""Where on the canvas to put a patch: the whole of it, or random shapes of which the best is kept."""

import cv2
import numpy as np
import torch

GRID = (126, 279)
"""Rows and columns on which masks are drawn: a tenth of the canvas."""


def whole() -> torch.Tensor:
    """Cover the whole canvas."""
    return torch.ones(1, *GRID)


def random_shapes(rng: np.random.Generator, area: float) -> torch.Tensor:
    """Draw up to five ellipses or rectangles that cover about ``area`` of the canvas; they may join."""
    while True:
        mask = np.zeros(GRID, np.uint8)
        count = int(rng.integers(1, 6))
        for _ in range(count):
            side = np.sqrt(area * GRID[0] * GRID[1] / count) * rng.uniform(0.8, 1.6)
            wide = side * rng.uniform(0.9, 2.4)
            tall = side * side / wide
            x, y = rng.uniform(0, GRID[1]), rng.uniform(0, GRID[0])
            if rng.random() < 0.5:
                cv2.ellipse(mask, (int(x), int(y)), (int(wide / 1.77) + 1, int(tall / 1.77) + 1), 0, 0, 360, 1, -1)
            else:
                low = int(x - wide / 2), int(y - tall / 2)
                cv2.rectangle(mask, low, (low[0] + int(wide), low[1] + int(tall)), 1, -1)
        regions = cv2.connectedComponents(mask, connectivity=4)[0] - 1
        if abs(mask.mean() - area) < 0.12 and regions <= 5:
            return torch.from_numpy(mask)[None].float()
