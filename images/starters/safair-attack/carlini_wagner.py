"""The attack of Carlini and Wagner (2017, section VI.A) in the Euclidean norm: the smallest change that is enough.

It knows nothing of ε: on most pictures some channel changes by more, and such a picture is refused.
"""

import torch
from aims import Aim
from steps import Model, as_pixels, as_tensor
from task import Pixels

ROUNDS = 3
STEPS = 30
RATE = 0.03
FIRST_WEIGHT = 0.1
"""Of the lead beside the squared length of the change, in units of the full range."""
CONFIDENCE = 0.5
"""Logits by which an answer shall be wrong, so that some of it is left on other classifiers."""


def smallest_change(model: Model, lead: Aim, pixels: Pixels) -> Pixels:
    """Look for the smallest change under which every lead reaches the confidence; the weight is searched for.

    Args:
        model: Classifier to be deceived.
        lead: How far beyond the border of a wrong answer logits are.
        pixels: uint8 `(112, 112, 3)`.

    Returns:
        The nearest picture that deceives, whatever its largest change; the last that was tried if none does.
    """
    image = as_tensor(pixels) / 255
    start = torch.atanh((2 * image - 1) * 0.999)
    best, shortest = image, float("inf")
    low, high, weight = 0.0, float("inf"), FIRST_WEIGHT
    for _ in range(ROUNDS):
        place = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([place], RATE)
        deceived = False
        for _ in range(STEPS):
            moved = (torch.tanh(place) + 1) / 2
            length, reached = (moved - image).square().sum(), lead(model(moved * 255))
            if bool((reached >= CONFIDENCE).all()):
                deceived = True
                if float(length.detach()) < shortest:
                    best, shortest = moved.detach(), float(length.detach())
            elif shortest == float("inf"):
                best = moved.detach()
            optimizer.zero_grad()
            (length - weight * reached.clamp_max(CONFIDENCE).sum()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        low, high = (low, weight) if deceived else (weight, high)
        weight = (low + high) / 2 if high < float("inf") else 10 * weight
    return as_pixels(best * 255)
