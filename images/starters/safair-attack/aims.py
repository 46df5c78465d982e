"""What an attack wants of one picture, as numbers to be raised.

Who is shown is not told, nor which attributes are seen: both are read off the surrogate's answer to the clean picture.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

Aim = Callable[[Tensor], Tensor]
"""Logits `(1, outputs)` in, a number or several out: the higher, the nearer is the attack to what it wants."""


def away_from(answer: int) -> Aim:
    """Raise the cross entropy of the person who is shown: the face is taken for anybody else."""
    return lambda logits: F.cross_entropy(logits, torch.tensor([answer]))


def towards(target: int) -> Aim:
    """Lower the cross entropy of a person: the face is taken for this one."""
    return lambda logits: -F.cross_entropy(logits, torch.tensor([target]))


def turn(seen: Tensor, given: list[int]) -> Aim:
    """Raise the binary cross entropy of the given attributes, each against what is seen now, `(outputs,)` bool."""
    truth = seen[given].float()
    return lambda logits: F.binary_cross_entropy_with_logits(logits[0, given], truth, reduction="sum")


def lead_away_from(answer: int) -> Aim:
    """Give by how many logits the best other person leads the one who is shown, `(1,)`."""

    def lead(logits: Tensor) -> Tensor:
        others = torch.ones(logits.shape[1], dtype=torch.bool)
        others[answer] = False
        return (logits[0, others].max() - logits[0, answer])[None]

    return lead


def lead_turned(seen: Tensor, given: list[int]) -> Aim:
    """Give by how many logits each given attribute is on the other side of 0, `(k,)`."""
    signs = 1 - 2 * seen[given].float()
    return lambda logits: signs * logits[0, given]
