"""Deepfake source identification (AISC 2022 report, section 2): the rulebook as code.

Which generator made this picture? A participant's program names for each probe the five most similar pictures of a
gallery. The preliminary shows generators of the training folder, the evaluation hidden ones too, and the final asks
besides whether a generator is new. Equation 1 scores the neighbours; the final's total adds the area under the curve
of the novelty and the experts' mark.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aisc.datasets.forgery_sets import Stage, Task, Truth, open_task
from aisc.errors import UsageError
from aisc.metrics.bootstrap import mean_interval
from aisc.metrics.novelty import auc_of_counts, novelty_auc, total_score
from aisc.metrics.precision_at_k import precision_at_k
from aisc.submission.findings import Findings
from aisc.submission.result_tables import Expected, ResultReport, ResultTable, read_result
from aisc.tracks.program_limits import ProgramLimits

MEASURE: Final = "precision at 5"
FINAL_MEASURE: Final = "0.6 P@5 + 0.3 AUC + 0.1 S"
PRECISION: Final = "precision"
AUC: Final = "novelty AUC"

_RESAMPLES: Final = 1000
_LEVEL: Final = 0.95


class DeepfakeLimits(ProgramLimits):
    """What a submission to the deepfake track may use, and how it is scored.

    Attributes:
        neighbours: How many gallery pictures are named for each probe.
        precision_weight: Weight of the precision in a final's total.
        auc_weight: Weight of the area under the novelty's curve.
        mark_weight: Weight of the experts' mark; the three make 1.
        wall_seconds: How long the program may run.
    """

    neighbours: int = Field(default=5, ge=1, le=20, strict=True)
    precision_weight: float = Field(default=0.6, ge=0, le=1, allow_inf_nan=False)
    auc_weight: float = Field(default=0.3, ge=0, le=1, allow_inf_nan=False)
    mark_weight: float = Field(default=0.1, ge=0, le=1, allow_inf_nan=False)
    wall_seconds: int = Field(default=3600, ge=1, le=7 * 86400, strict=True)

    @model_validator(mode="after")
    def _weights_make_one(self) -> Self:
        if abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError("precision_weight, auc_weight and mark_weight must make 1")
        return self

    @property
    def weights(self) -> tuple[float, float, float]:
        """Weights of precision, area under the curve and mark."""
        return self.precision_weight, self.auc_weight, self.mark_weight


class ExpertMark(BaseModel):
    """The experts' word on an entry of the final.

    Attributes:
        team: The team's name.
        verdict: ``pass``, or ``fail``, which disqualifies.
        mark: S in [0, 1]: clarity, reproducibility, research value.
        note: One sentence for the team.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    team: str = Field(min_length=1)
    verdict: Literal["pass", "fail"]
    mark: float = Field(ge=0, le=1, allow_inf_nan=False)
    note: str = Field(default="", max_length=500)


class MethodScore(NamedTuple):
    """How one generator's probes did; for organizers alone.

    Attributes:
        group: Who knew of it.
        probes: How many probes it made.
        precision: Precision at k on them; ``None`` for a new generator, of which the gallery has nothing.
        auc: Area under the curve of its probes against all known ones; ``None`` for a known generator, and where
            novelty is not asked for.
    """

    group: str
    probes: int
    precision: float | None
    auc: float | None


class DeepfakeScore(NamedTuple):
    """A score and what explains it.

    Attributes:
        value: Equation 1, in [0, 1]; in the final the total without the experts' mark, in [0, 0.9].
        low: Lower end of the 95 % bootstrap interval over probes.
        high: Upper end.
        parts: Named numbers in the order of a board's columns.
        per_method: Scores by generator, for organizers alone: a team that knew them could label the hidden set.
    """

    value: float
    low: float
    high: float
    parts: dict[str, float | int]
    per_method: dict[str, MethodScore]


def read_table(path: Path, task: Task, limits: DeepfakeLimits) -> ResultReport:
    """Check a program's table against its task and read it, as the pipeline and ``aisc check`` both do.

    Raises:
        UsageError: RESULT_FILE; TASK_NEIGHBOURS: the task asks for another number of neighbours than the stage.
    """
    asked = task.description.neighbours
    if asked != limits.neighbours:
        raise UsageError(
            "TASK_NEIGHBOURS", f"The dataset's task asks for {asked} neighbours, the stage for {limits.neighbours}.",
            "Set `neighbours` in the stage's limits to the dataset's, or choose another dataset.",
        )  # fmt: skip
    return read_result(path, Expected(task.probes, task.gallery, asked, task.description.novelty))


def check_result(path: Path, task_folder: Path) -> Findings:
    """Check a table against a task folder: all that is wrong, with line numbers.

    Raises:
        UsageError: RESULT_FILE, and those of :func:`aisc.datasets.forgery_sets.open_task`.
    """
    task = open_task(task_folder)
    return read_table(path, task, DeepfakeLimits(neighbours=task.description.neighbours)).findings


def score_table(table: ResultTable, truth: Truth, stage: Stage, limits: DeepfakeLimits, seed: int) -> DeepfakeScore:
    """Score a table by equation 1; in the final with the area under the novelty's curve.

    Args:
        table: Of all probes, in the task's order.
        truth: The truth, in the same order.
        stage: In the final, probes of new generators do not count for the precision, and all count for the area.
        limits: Of the stage.
        seed: Of the bootstrap.

    Raises:
        UsageError: AUC_UNDEFINED: the dataset is at fault.
        ValueError: The table has no novelty in the final, or the stage has a probe of a new generator outside it.
    """
    new = truth.new
    if (table.novelty is None) == (stage == "final") or (stage != "final" and new.any()):
        raise ValueError("a final has a novelty and probes of new generators, other stages have neither")
    known = ~new
    outcome = precision_at_k(truth.gallery[table.neighbours[known]], truth.probes[known])
    hits = np.full(len(new), np.nan)
    hits[known] = outcome.per_probe
    per_method = dict(_by_method(truth, hits, table.novelty))
    parts: dict[str, float | int] = {PRECISION: outcome.score}
    if table.novelty is None:
        interval = mean_interval(outcome.per_probe, level=_LEVEL, seed=seed)
        return DeepfakeScore(outcome.score, interval.low, interval.high, parts, per_method)
    parts[AUC] = novelty_auc(table.novelty, new)
    low, high = _total_interval(outcome.per_probe, table.novelty, new, limits, seed)
    return DeepfakeScore(final_total(parts, 0.0, limits), low, high, parts, per_method)


def final_total(parts: Mapping[str, float], mark: float, limits: DeepfakeLimits) -> float:
    """Give a final's total with the experts' mark S.

    >>> round(final_total({"precision": 0.9820, "novelty AUC": 0.9944}, 1.0, DeepfakeLimits()), 4)
    0.9875
    """
    return total_score(parts[PRECISION], parts[AUC], mark, limits.weights)


def _by_method(
    truth: Truth, hits: NDArray[np.float64], novelty: NDArray[np.float64] | None
) -> Iterator[tuple[str, MethodScore]]:
    for number, name in enumerate(truth.names):
        own = truth.probes == number
        if not own.any():
            continue
        is_new = bool(truth.new[own].any())
        compared = own | ~truth.new
        auc = novelty_auc(novelty[compared], own[compared]) if is_new and novelty is not None else None
        precision = None if is_new else float(hits[own].mean())
        yield name, MethodScore(str(truth.groups[own][0]), int(own.sum()), precision, auc)


def _total_interval(
    hits: NDArray[np.float64], novelty: NDArray[np.float64], new: NDArray[np.bool_], limits: DeepfakeLimits, seed: int
) -> tuple[float, float]:
    """Give the bootstrap interval of the total without mark; known and new probes are drawn apart.

    Args:
        hits: ``(known,)`` float64: precision of each known probe.
        novelty: ``(n,)`` float64.
        new: ``(n,)`` bool.
        limits: Gives the weights.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    levels, place = np.unique(novelty, return_inverse=True)
    known_places, new_places = place[~new], place[new]
    totals = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        known = rng.integers(len(known_places), size=len(known_places))
        drawn = known_places[known], new_places[rng.integers(len(new_places), size=len(new_places))]
        auc = auc_of_counts(*(np.bincount(places, minlength=len(levels)) for places in drawn))
        totals[number] = limits.precision_weight * hits[known].mean() + limits.auc_weight * auc
    low, high = np.quantile(totals, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
