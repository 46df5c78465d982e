"""What a SAFAIR stage allows: the strength of an attack, a program's time and machine, and how the result is scored."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from aisc.attacks.epsilon import EPSILON
from aisc.metrics.accuracy_delta import PROBE_WEIGHTS, AttributeRule
from aisc.tracks.program_limits import ProgramLimits

FLOOR: Final = 70.0
"""Accuracy on clean images, in points, below which a defence is not ranked. One answer for all reaches about 58."""


class SafairLimits(ProgramLimits):
    """What both sides have in common.

    Attributes:
        epsilon: Grey levels by which a channel may differ, on the stored 8-bit image; of a defence's probes, too.
        accuracy: Which attributes make an image right: the share of the ``given`` ones; ``any-given``: wrong only when
            all of them are wrong; ``all``: the share of all attributes.
        hours: Time for 1000 images (rule 11); other numbers in proportion.
        names: Whether a file is called ``TEAM.TASK.DATASET.ATTEMPT`` with any ending.
    """

    epsilon: int = Field(default=EPSILON, ge=1, le=255, strict=True)
    accuracy: AttributeRule = "given"
    hours: float = Field(default=4.0, gt=0, le=1000, allow_inf_nan=False)
    names: bool = Field(default=False, strict=True)
    second_pass: int = Field(default=32, ge=0, le=100_000, strict=True)
    output_mib: int = Field(default=128, ge=1, le=65536, strict=True)


class AttackLimits(SafairLimits):
    """What an attack may do, and how it is scored.

    Attributes:
        shown: How many of the hidden images a team sees in its result, original beside altered. They are no secret any
            more, and within ε a program can write into them what else it saw; 0 shows none.
    """

    shown: int = Field(default=12, ge=0, le=48, strict=True)


class DefenceLimits(SafairLimits):
    """How a defence is probed and scored.

    Attributes:
        probes: On what the probes are computed. ``transfer``: on the surrogate, which is no defence of anybody's;
            ``white-box``: on the surrogate and on the model that every program has to hand over, and what hurts it more
            counts, image by image.
        agreement: Least share of the images on which the model that was handed over answers as its program does, and of
            those where its gradient finds a way; where it falls short, the score is void.
        steps: Steps of BIM and PGD.
        step: Grey levels a step; the public toolkit's setting is 2.55 with 100 and 400 steps.
        weights: Weights of the deltas under FGSM, BIM and PGD.
        floor: Least accuracy on clean images, in points; a defence below is not ranked.
        faithful: Score as the page says, without the floor: a classifier that never changes its answer then wins.
    """

    probes: Literal["transfer", "white-box"] = "transfer"
    agreement: float = Field(default=0.95, ge=0.5, le=1, allow_inf_nan=False)
    steps: int = Field(default=10, ge=1, le=1000, strict=True)
    step: float = Field(default=2.0, gt=0, le=255, allow_inf_nan=False)
    weights: tuple[float, float, float] = (PROBE_WEIGHTS["fgsm"], PROBE_WEIGHTS["bim"], PROBE_WEIGHTS["pgd"])
    floor: float = Field(default=FLOOR, ge=0, le=100, allow_inf_nan=False)
    faithful: bool = False

    @model_validator(mode="after")
    def _weights_are_shares(self) -> Self:
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError("weights are three shares that add up to 1")
        return self
