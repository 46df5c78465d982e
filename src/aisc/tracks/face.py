"""Face recognition, be taken for someone else (AISC 2022 report, section 4): the rulebook as code.

Participants change a few small patches of 3000 face images so that verifiers take each for another given person. The
preliminary asks three black-box verifiers, the evaluation three other ones about the last submission, and the final is
physical: organizers enter how many targets were deceived.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from aisc.metrics.attack_success import attack_success
from aisc.metrics.bootstrap import mean_interval
from aisc.submission.archive import ArchiveLimits
from aisc.submission.images import ImagesReport, PixelRules, read_images

MEASURE = "attack success rate"
PHYSICAL_MEASURE = "targets deceived, %"
LARGEST_PATCH_CM2 = 60.0


class FaceLimits(BaseModel):
    """What a submission to the face track may not exceed.

    Attributes:
        patches: Most connected regions of changed pixels in one image.
        area: Largest changed share of an image's pixels, all patches together, in (0, 1]; the count of pixels is
            rounded down (112 · 112 · 0.10 = 1254.4 gives 1254).
        connectivity: Whether pixels that touch only at a corner belong to one patch: 4 says no, 8 says yes.
        max_archive_mib: Largest zip that is opened, in MiB (2^20 bytes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patches: int = Field(default=5, ge=1, le=1000, strict=True)
    area: float = Field(default=0.10, gt=0, le=1, allow_inf_nan=False)
    connectivity: Literal[4, 8] = 4
    max_archive_mib: int = Field(default=512, ge=1, le=65536, strict=True)


class FaceScore(NamedTuple):
    """A score and what explains it.

    Attributes:
        value: Attack success rate, equation 16 of the report, in [0, 1].
        low: Lower end of the 95 % bootstrap interval over images.
        high: Upper end.
        parts: Named numbers in the order of a board's columns: success on every victim, images within the pixel
            rules, and the control: how many unchanged images the victims accept anyway.
    """

    value: float
    low: float
    high: float
    parts: dict[str, float | int]


class PhysicalResult(BaseModel):
    """One team's attempt in the physical final, as organizers enter it.

    Attributes:
        team: The team's name.
        targets: How many targets were set.
        deceived: How many of them the system took the attacker for, in time.
        area_cm2: Frontal area of the worn patches in square centimetres.
        liveness: Whether the liveness check was passed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    team: str = Field(min_length=1)
    targets: int = Field(ge=1, le=10_000)
    deceived: int = Field(ge=0)
    area_cm2: float = Field(gt=0, allow_inf_nan=False)
    liveness: Literal["passed", "failed"]


class ExpertVerdict(BaseModel):
    """The experts' word on an entry of the evaluation.

    Attributes:
        team: The team's name.
        verdict: ``pass`` when the patches can be worn; ``fail`` disqualifies.
        note: One sentence for the team.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    team: str = Field(min_length=1)
    verdict: Literal["pass", "fail"]
    note: str = Field(default="", max_length=500)


def check_images(
    archive: Path,
    originals: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    limits: FaceLimits,
    progress: Callable[[int, int], None] | None = None,
) -> ImagesReport:
    """Check a submission against the limits, as the pipeline and ``aisc check`` both do.

    Args:
        archive: The zip.
        originals: The images that were handed out, uint8 (n, 112, 112, 3) RGB.
        pixels: Filled with the submitted images, the same shape.
        limits: The stage's limits.
        progress: Called with (done, all).
    """
    height, width = originals.shape[1:3]
    rules = PixelRules(limits.patches, limits.area, limits.connectivity, (height, width))
    most = limits.max_archive_mib << 20
    caps = ArchiveLimits(file_bytes=most, total_bytes=max(most, 512 << 20))
    return read_images(archive, originals, pixels, rules=rules, limits=caps, progress=progress)


def score_images(
    same: NDArray[np.bool_], legal: NDArray[np.bool_], clean: NDArray[np.bool_], victims: Sequence[str], seed: int
) -> FaceScore:
    """Score a submission by equation 16.

    Args:
        same: What the victims said of the changed images, bool (victims, n).
        legal: Which images obey the pixel rules, bool (n,).
        clean: What the victims say of the unchanged images, bool (victims, n).
        victims: Names of the victims, in the order of the rows.
        seed: Of the bootstrap.

    >>> same = np.array([[True, True, False, False]] * 3)
    >>> score_images(same, np.array([True, False, True, True]), ~same, ["a", "b", "c"], 0).value
    0.25
    """
    outcome = attack_success(same, legal)
    interval = mean_interval(outcome.per_image, seed=seed)
    parts: dict[str, float | int] = {name: float(rate) for name, rate in zip(victims, outcome.per_victim, strict=True)}
    parts["legal images"] = int(np.count_nonzero(legal))
    parts["clean accepts"] = int(np.count_nonzero(clean))
    return FaceScore(outcome.score, interval.low, interval.high, parts)


class PhysicalScore(NamedTuple):
    """What a physical attempt is worth, or why it is void.

    Attributes:
        value: Targets deceived of all, 100 = all; ``None`` when the attempt is void.
        code: Stable code of why it is void, ``""`` otherwise.
        reason: The same in words.
    """

    value: float | None
    code: str
    reason: str


def score_physical(content: Mapping[str, Any]) -> PhysicalScore:
    """Score an attempt of the physical final.

    >>> attempt = {"targets": 4, "deceived": 3, "area_cm2": 60.0, "liveness": "passed"}
    >>> score_physical(attempt).value
    75.0
    >>> score_physical(attempt | {"area_cm2": 60.1}).code
    'PATCH_TOO_LARGE'
    """
    if content["area_cm2"] > LARGEST_PATCH_CM2:
        reason = f"The patches measure {content['area_cm2']:g} cm² from the front, at most {LARGEST_PATCH_CM2:g} count."
        return PhysicalScore(None, "PATCH_TOO_LARGE", reason)
    if content["liveness"] != "passed":
        return PhysicalScore(None, "LIVENESS_FAILED", "The liveness check was not passed.")
    return PhysicalScore(100.0 * content["deceived"] / content["targets"], "", "")
