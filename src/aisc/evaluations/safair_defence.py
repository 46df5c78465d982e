"""Defences of SAFAIR at work: a program answers about clean and attacked images, not knowing which is which."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from aisc.datasets.attribute_faces import read_description, read_faces, read_pictures
from aisc.evaluations.contract import Checked, Checkup, Tick, Told, Void
from aisc.evaluations.programs import prove_sandbox, read_record
from aisc.evaluations.safair import SafairEvaluation
from aisc.evaluations.safair_answers import answer_batch
from aisc.evaluations.safair_inputs import Hidden, open_hidden
from aisc.evaluations.safair_probes import (
    PROBES,
    SETS,
    WHITE_BOX,
    Pictures,
    defence_batch,
    mixed_batch,
    probe_facts,
    probed_pictures,
    white_box_pictures,
)
from aisc.evaluations.safair_white_box import (
    BY_MODEL,
    BY_TRANSFER,
    TRIED,
    Said,
    check_model,
    false_model,
    hand_over,
    model_parts,
    worse,
)
from aisc.identity import Plan, Version
from aisc.ledger.runs import Score
from aisc.submission.findings import Findings, RuleBrokenError
from aisc.submission.model_rules import MODEL
from aisc.submission.predictions import (
    Answers,
    ask_attributes,
    ask_people,
    read_predictions,
)
from aisc.tracks.safair import TOO_LOW, SafairScore, rightness, score_defence, seconds_allowed, stands
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

MEASURE: Final = "weighted delta, points"


class SafairDefenceEvaluation(SafairEvaluation):
    """Rulebook ``safair-defence``; the probes are computed on the stage's only victim."""

    limits_type: ClassVar[type[DefenceLimits]] = DefenceLimits
    evidence_files: ClassVar[Mapping[str, tuple[str, str]]] = {
        "content": ("run_submission", "content"),
        "verdicts": ("run_submission", "verdicts"),
        "answers": ("run_submission", "content"),
    }

    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Rank by the deltas under the probes, weighted."""
        return MEASURE

    def higher_is_better(self, stage: str) -> bool:
        """Rank the defence that loses least first (rule 12)."""
        return False

    def void(self, score: Score, limits: Mapping[str, Any]) -> Void | None:
        """Leave out a defence that errs too often on clean images, or whose model is not what it uses."""
        known, initial = DefenceLimits.model_validate(limits), float(score.parts["initial accuracy"])
        if stands(initial, known):
            return false_model(score.parts, known)
        return Void(
            TOO_LOW,
            f"{initial:.1f} points of accuracy on clean images are below the floor of {known.floor:g}; "
            f"under attack it has {initial - score.value:.1f}.",
        )

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check an image's archive, a model, or a table of answers about the pictures in ``val``."""
        if file.suffix not in (".csv", ".onnx"):
            return super().check(file, stage, limits, data, scratch, tick)
        described, faces = read_description(data), read_faces(data, "val")
        reid = described.task == "reid"
        if file.suffix == ".onnx":
            known = DefenceLimits.model_validate(limits)
            return check_model(file, described, faces, read_pictures(data, "val", faces.names[:TRIED]), known, tick)
        question = (
            ask_people(faces.names, described.people) if reid else ask_attributes(faces.names, described.attributes)
        )
        report = read_predictions(file, question)
        tick(1, 1)
        right = 0 if report.answers is None else int(report.answers.answered.sum())
        return Checkup(report.findings, {"answers": right}, f"{right} of {len(faces.names)} pictures have an answer.")

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Compute the probes, lay out the pictures, and prove the sandbox."""
        limits = DefenceLimits.model_validate(version.limits)
        say(self.perturb(bench, version))
        defence_batch(bench, version)
        prove_sandbox(bench, version, limits, say)

    def perturb(self, bench: Workbench, version: Version) -> dict[str, Any]:
        """Compute the probes of the stage, or find them computed."""
        hidden = open_hidden(bench, version)
        return probe_facts(version, hidden, probed_pictures(bench, version, hidden))

    def run(self, bench: Workbench, plan: Plan, archive: Path, kept: Checked) -> Findings:
        """Run the defence on all sets at once, read its table, and ask it again about a sample in other company.

        Where the stage probes white box, the program hands over its model first, and that one's probes are shown too.

        Content is ``.npz``: ``values`` int64 (sets, n, columns) and ``answered`` bool (sets, n) in the order of the
        sets, clean images first; white box also ``model`` int64 (sets, n, columns), what the model answers, and
        ``altered`` bool (n,). Verdicts are the record of the run, JSON.
        """
        limits = DefenceLimits.model_validate(plan.version.limits)
        hidden = open_hidden(bench, plan.version)
        shown = probed_pictures(bench, plan.version, hidden)
        kept.content.write_bytes(b"")
        if limits.probes == "transfer":
            batch = defence_batch(bench, plan.version)
            record, findings = answer_batch(bench, plan, archive, hidden, shown, batch, kept, {})
        else:
            with bench.scratch() as scratch:
                record, findings = _answer_white_box(bench, plan, archive, hidden, shown, scratch, kept)
        kept.verdicts.write_text(json.dumps(record, indent=2))
        return findings

    def delta(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> SafairScore:
        """Score the weighted delta; an image without an answer is failed (rule 6).

        White box, what counts under a probe is the worse of two answers: to the surrogate's picture and to its model's.
        """
        hidden, limits = open_hidden(bench, version), DefenceLimits.model_validate(version.limits)
        said = _said(answers)
        clean, by_transfer = said.answers[0], said.answers[1 : len(SETS)]

        def score(probed: Sequence[Answers]) -> SafairScore:
            by_probe = dict(zip(PROBES, probed, strict=True))
            return score_defence(hidden.task, clean, by_probe, hidden.faces, limits, version.seed)

        if said.model is None:
            return score(by_transfer)
        by_model = said.answers[len(SETS) :]
        pairs = zip(by_transfer, by_model, strict=True)
        found = score([worse(hidden.task, *pair, hidden.faces, limits) for pair in pairs])
        deltas = {BY_TRANSFER: score(by_transfer).value, BY_MODEL: score(by_model).value}
        return found._replace(parts=found.parts | deltas | model_parts(said))

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell nothing of single images, which are hidden; say whether the program failed."""
        return Told(failed=read_record(checked.verdicts).get("verdict", "COMPLETED") != "COMPLETED")

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row an image: who is shown, and how right the answer is, clean and under each probe."""
        import pandas as pd

        hidden, limits = open_hidden(bench, version), DefenceLimits.model_validate(version.limits)
        columns: dict[str, object] = {"image": hidden.faces.names, "person": hidden.faces.people}
        said = _said(answers)
        for name, one in zip((*SETS, *WHITE_BOX), said.answers, strict=False):
            columns[f"{name}_answer"] = [" ".join(map(str, row)) for row in one.values]
            columns[f"{name}_right"] = rightness(hidden.task, one, hidden.faces, limits.accuracy)
        return pd.DataFrame(columns)


def _said(path: Path) -> Said:
    with np.load(path) as arrays:
        answers = [Answers(*one) for one in zip(arrays["values"], arrays["answered"], strict=True)]
        return Said(answers, arrays.get("model"), arrays.get("altered"))


def _answer_white_box(
    bench: Workbench, plan: Plan, archive: Path, hidden: Hidden, shown: Pictures, scratch: Path, kept: Checked
) -> tuple[dict[str, Any], Findings]:
    """Ask for the model, probe it, and ask for answers to what the surrogate and the model have led to."""
    limits = DefenceLimits.model_validate(plan.version.limits)
    outcome, model = hand_over(bench, plan, archive, hidden, limits, scratch)
    if model is None:
        return outcome.record, outcome.findings
    try:
        shown = {**shown, **white_box_pictures(bench, plan.version, hidden, model)}
        seconds = seconds_allowed(len(shown) * len(hidden.faces.names), limits)
        said = model.answers(np.concatenate(list(shown.values())), seconds)
    except RuleBrokenError as broken:
        outcome.findings.add(broken.finding(MODEL))
        return outcome.record, outcome.findings
    altered = (shown[WHITE_BOX[0]] != hidden.pictures).any(axis=(1, 2, 3))
    more = {"model": said.reshape(len(shown), len(altered), -1), "altered": altered}
    batch = mixed_batch(scratch / "batch", shown, hidden, limits)
    record, findings = answer_batch(bench, plan, archive, hidden, shown, batch, kept, more)
    return record | {"model": outcome.record["model"]}, findings


EVALUATION = SafairDefenceEvaluation()
