"""White-box probes of a defence: the model that its program hands over, and what the score takes from it.

A model is a claim about a program, and a team gains by a false one. So it is made before the program sees a picture,
it has to answer as the program does, clean and attacked, its gradient has to lead somewhere, and what is found through
it counts only beside what the surrogate finds.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import Faces, FacesDescription
from aisc.evaluations.contract import Checkup, Tick, Void
from aisc.evaluations.programs import Outcome, run_program, task_of
from aisc.evaluations.safair_inputs import IMAGES, TASK_FILE, Hidden, defence_facts
from aisc.identity import Plan
from aisc.store import hash_file
from aisc.submission.findings import Finding, Findings, RuleBrokenError
from aisc.submission.model_rules import MODEL, MODEL_RULES
from aisc.submission.predictions import Answers
from aisc.tracks.safair import differing, rightness
from aisc.tracks.safair_limits import DefenceLimits
from aisc.victims.classifier_package import Task
from aisc.victims.model_process import CHECK_SECONDS, Goals, ProbeSettings, SubmittedModel
from aisc.workbench import Workbench

AGREEMENT: Final = "answers of its model that agree, %"
GRADIENT: Final = "images with a gradient, %"
BY_TRANSFER: Final = "delta by transfer"
BY_MODEL: Final = "delta on its model"
TRIED: Final = 64
"""Pictures that a model is tried on offline."""
_SECONDS: Final = 600.0
"""Time for writing the model; nothing is computed about any picture."""


class HandedOver(NamedTuple):
    """How the program was asked for its model.

    Attributes:
        outcome: How that run ended; its findings hold what is wrong with the model, too.
        model: The model, if all is well.
    """

    outcome: Outcome
    model: SubmittedModel | None


def hand_over(
    bench: Workbench, plan: Plan, archive: Path, hidden: Hidden, limits: DefenceLimits, scratch: Path
) -> HandedOver:
    """Ask a program for its model, showing it no picture, and check what it writes.

    Args:
        bench: Ledger, store and cache.
        plan: What is evaluated.
        archive: The submission.
        hidden: Says what is asked; nothing of it is shown.
        limits: The stage's.
        scratch: An empty folder, which the model stays in.
    """
    shown, output = scratch / "nothing", scratch / "output"
    (shown / IMAGES).mkdir(parents=True)
    output.mkdir()
    facts = defence_facts(hidden.described, 0, limits, "model") | {"seconds": _SECONDS}
    (shown / TASK_FILE).write_text(json.dumps(facts, indent=2) + "\n")
    outcome = run_program(bench, plan, archive, limits, task_of(limits, shown, (MODEL,), _SECONDS), output)
    if not outcome.completed:
        return HandedOver(outcome, None)
    model = model_of(output / MODEL, hidden.described, limits)
    broken = broken_rule(model)
    if broken is not None:
        outcome.findings.add(broken)
        return HandedOver(outcome, None)
    sha256, size = hash_file(model.path)
    outcome.record["model"] = {"sha256": sha256, "bytes": size}
    return HandedOver(outcome, model)


def model_of(path: Path, described: FacesDescription, limits: DefenceLimits) -> SubmittedModel:
    """Say of a file what a model in it has to answer, and what it may cost: as much as the program itself."""
    outputs = described.people if described.task == "reid" else len(described.attributes)
    return SubmittedModel(path, described.task, outputs, limits.memory_mib, limits.cpus)


def broken_rule(model: SubmittedModel) -> Finding | None:
    """Check a file that should hold a model; gives the rule that it breaks."""
    if not model.path.is_file():
        return MODEL_RULES["MODEL_MISSING"].broken(model.path.name, "The program ended without a model.")
    try:
        model.check()
    except RuleBrokenError as broken:
        return broken.finding(model.path.name)
    return None


def check_model(
    path: Path,
    described: FacesDescription,
    faces: Faces,
    pictures: NDArray[np.uint8],
    limits: DefenceLimits,
    tick: Tick,
) -> Checkup:
    """Check a model offline, by the code that the round uses, and try it on pictures that everyone has.

    Args:
        path: The model's file.
        described: The dataset.
        faces: The truth about the pictures.
        pictures: The first ones of it, uint8 RGB `(n, 112, 112, 3)`, at least one.
        limits: The stage's.
        tick: Told of progress.
    """
    model, findings = model_of(path, described, limits), Findings()
    broken = broken_rule(model)
    tick(1, 2)
    if broken is not None:
        findings.add(broken)
        return Checkup(findings, {}, "")
    count = len(pictures)
    tried = Faces(faces.names[:count], faces.people[:count], faces.attributes[:count], faces.goals[:count])
    values = model.answers(pictures, CHECK_SECONDS)
    right = rightness(described.task, Answers(values, np.ones(count, bool)), tried, limits.accuracy)
    goals = Goals(tried.people if described.task == "reid" else tried.attributes, tried.goals)
    step = ProbeSettings("fgsm", 1, float(limits.epsilon), random_start=False, epsilon=limits.epsilon)
    moved = (model.attacked(pictures, goals, step, CHECK_SECONDS) != pictures).any(axis=(1, 2, 3))
    tick(2, 2)
    counts = {"pictures": count, "with a gradient": int(moved.sum())}
    text = f"on {count} pictures its accuracy is {100 * right.mean():.1f}, and on {moved.sum()} it has a gradient."
    unasked = "" if limits.probes == "white-box" else " The stage asks for no model."
    return Checkup(findings, counts, text + unasked)


class Said(NamedTuple):
    """What a defence answered, set by set in the order of the sets it was shown.

    Attributes:
        answers: Of the program.
        model: `(sets, n, columns)` int64: of the model that it handed over; ``None`` where none was asked for.
        altered: `(n,)` bool: whether one step along the model's gradient alters the image.
    """

    answers: list[Answers]
    model: NDArray[np.int64] | None
    altered: NDArray[np.bool_] | None


def worse(task: Task, one: Answers, other: Answers, faces: Faces, limits: DefenceLimits) -> Answers:
    """Take of two answers to each image the one that is less right."""
    right = [rightness(task, said, faces, limits.accuracy) for said in (one, other)]
    second = right[1] < right[0]
    return Answers(np.where(second[:, None], other.values, one.values), np.where(second, other.answered, one.answered))


def model_parts(said: Said) -> dict[str, float]:
    """Measure how far the model is the program's, in per cent; of several sets the worst counts."""
    assert said.model is not None  # noqa: S101 - asked for by the caller
    assert said.altered is not None  # noqa: S101
    agreeing = [
        1.0 if not one.answered.any() else float(np.mean(~differing(one.values, model)[one.answered]))
        for one, model in zip(said.answers, said.model, strict=True)
    ]
    return {AGREEMENT: 100 * min(agreeing), GRADIENT: 100 * float(said.altered.mean())}


def false_model(parts: Mapping[str, float | int], limits: DefenceLimits) -> Void | None:
    """Tell why a score does not count, because the model that was handed over says too little about its program."""
    if AGREEMENT not in parts:
        return None
    least = 100 * limits.agreement
    if parts[AGREEMENT] < least:
        text = f"Its model and its program agree on {parts[AGREEMENT]:.1f} % of the images of a set"
        return Void("MODEL_NOT_THE_PROGRAM", f"{text}, and {least:g} % are asked for.")
    if parts[GRADIENT] < least:
        text = f"The gradient of its model leads somewhere on {parts[GRADIENT]:.1f} % of the images"
        return Void("MODEL_HIDES_GRADIENT", f"{text}, and {least:g} % are asked for.")
    if parts[BY_MODEL] < parts[BY_TRANSFER] - (100 - least):
        text = f"The probes on its model take {parts[BY_MODEL]:.1f} points, those on the surrogate"
        return Void("MODEL_HIDES_GRADIENT", f"{text} {parts[BY_TRANSFER]:.1f}: its gradient is none to go by.")
    return None
