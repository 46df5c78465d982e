"""The closed schema of a participant's ``result.json``.

A bundle must not help to copy a victim (THREATS.md, T22): it holds aggregated scores, and image by image only what the
team could compute from its own files. What a victim answered to a single image is no field and no parameter here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from aisc.errors import PlatformError
from aisc.leaderboard.board import Bound, Measure
from aisc.leaderboard.entry import Entry
from aisc.submission.findings import Findings

MAX_PARTS = 32
"""More named aggregates than any track has, far fewer than images: no room for one number an image."""

Status = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,47}$", strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]


class _Public(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PublicPart(_Public):
    """A named aggregate, such as the success rate on one victim."""

    name: str
    value: int | float


class PublicInterval(_Public):
    """A two-sided 95 % interval."""

    low: float
    high: float


class ImageVerdict(_Public):
    """What the pixel rule says of one image; numbers are null where there is no readable image.

    Attributes:
        name: File name, as the rules prescribe it.
        status: A code.
        patches: Changed regions by the rule's connectivity.
        patches_8: Changed regions when pixels that touch at a corner are one.
        area_px: Changed pixels.
    """

    name: str
    status: Status
    patches: Count | None
    patches_8: Count | None
    area_px: Count | None


class ResultFile(_Public):
    """The whole of ``result.json``; a field that is not named here cannot be written."""

    format: Literal["aisc.result/1"] = "aisc.result/1"
    season: str
    track: str
    stage: str
    team: str
    submission: str
    state: str
    reason_code: str
    reason: str
    submitted_at: datetime
    evaluated_at: datetime | None
    score_name: str
    higher_is_better: bool
    score: float | None
    interval: PublicInterval | None
    parts: Annotated[tuple[PublicPart, ...], Field(max_length=MAX_PARTS)]
    version: dict[str, object] | None
    counts: dict[Status, Count]
    images: tuple[ImageVerdict, ...]

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [image.name for image in self.images]
        if len(set(names)) != len(names):
            raise ValueError("an image is named twice")
        return self


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Verdicts of the pixel rule, one row an image; -1 where there is no readable image.

    Attributes:
        names: ``n`` file names.
        status: ``n`` codes.
        legal: ``(n,)`` bool: the image counts.
        patches: ``(n,)`` integers, regions by the rule's connectivity.
        patches_8: ``(n,)`` integers, 8-connected regions.
        area_px: ``(n,)`` integers, changed pixels.
    """

    names: Sequence[str]
    status: Sequence[str]
    legal: NDArray[np.bool_]
    patches: NDArray[np.integer]
    patches_8: NDArray[np.integer]
    area_px: NDArray[np.integer]

    def __post_init__(self) -> None:
        columns = (self.status, self.legal, self.patches, self.patches_8, self.area_px)
        if any(len(column) != len(self.names) for column in columns):
            raise PlatformError("BUNDLE_TABLE", "the columns of the image table differ in length.")

    def verdicts(self) -> tuple[ImageVerdict, ...]:
        """Give the rows as published."""
        numbers = zip(self.patches.tolist(), self.patches_8.tolist(), self.area_px.tolist(), strict=True)
        return tuple(
            ImageVerdict(name=name, status=status, patches=_known(four), patches_8=_known(eight), area_px=_known(area))
            for name, status, (four, eight, area) in zip(self.names, self.status, numbers, strict=True)
        )


def make_result(
    *,
    season: str,
    track: str,
    stage: str,
    entry: Entry,
    measure: Measure,
    version: Bound | None,
    findings: Findings,
    images: ImageTable | None,
) -> ResultFile:
    """Gather what may be told, rounded, into the closed schema of ``result.json``."""
    row = entry.public(measure.digits)
    interval = row.interval
    return ResultFile(
        season=season,
        track=track,
        stage=stage,
        team=row.team,
        submission=row.submission,
        state=row.state,
        reason_code=row.reason_code,
        reason=row.reason,
        submitted_at=row.submitted_at,
        evaluated_at=row.evaluated_at,
        score_name=measure.name,
        higher_is_better=measure.higher_is_better,
        score=row.score,
        interval=None if interval is None else PublicInterval(low=interval.low, high=interval.high),
        parts=tuple(PublicPart(name=part.name, value=part.value) for part in row.parts),
        version=None if version is None else version.as_json(),
        counts=dict(findings.counts),
        images=() if images is None else images.verdicts(),
    )


def _known(number: int) -> int | None:
    return None if number < 0 else number
