"""Defences of SAFAIR at work: a program answers about clean and attacked images, not knowing which is which."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import read_description, read_faces
from aisc.evaluations.contract import Checked, Checkup, Tick, Told, Void
from aisc.evaluations.programs import Outcome, prove_sandbox, read_record, run_program, task_of
from aisc.evaluations.safair import SafairEvaluation, team_view
from aisc.evaluations.safair_inputs import Hidden, fresh_names, open_hidden
from aisc.evaluations.safair_probes import SETS, defence_batch, probe_facts, probed_pictures, write_batch
from aisc.identity import Plan, Version
from aisc.ledger.runs import Score
from aisc.submission.findings import Findings, Rule
from aisc.submission.predictions import (
    ANSWER_RULES,
    Answers,
    AnswersReport,
    Question,
    ask_attributes,
    ask_people,
    read_predictions,
)
from aisc.tracks.safair import TOO_LOW, SafairScore, differing, rightness, score_defence, seconds_allowed, stands
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

MEASURE: Final = "weighted delta, points"
TABLE: Final = "predictions.csv"
_NO_TABLE: Final = Rule("PREDICTIONS_MISSING", "refused", f"Write /output/{TABLE} before the program ends.")
_RULES: Final[Mapping[str, Rule]] = {**ANSWER_RULES, _NO_TABLE.code: _NO_TABLE}


class Asked(NamedTuple):
    """A run of a defence: how it ended, and what it answered."""

    outcome: Outcome
    report: AnswersReport | None


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
        """Leave out a defence that errs too often on clean images: it has little to lose."""
        known, initial = DefenceLimits.model_validate(limits), float(score.parts["initial accuracy"])
        if stands(initial, known):
            return None
        return Void(
            TOO_LOW,
            f"{initial:.1f} points of accuracy on clean images are below the floor of {known.floor:g}; "
            f"under attack it has {initial - score.value:.1f}.",
        )

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check an image's archive, or a table of answers about the pictures in ``val``."""
        if file.suffix != ".csv":
            return super().check(file, stage, limits, data, scratch, tick)
        described, faces = read_description(data), read_faces(data, "val")
        reid = described.task == "reid"
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

        Content is ``.npz``: ``values`` int64 (4, n, columns) and ``answered`` bool (4, n), clean images first, then
        FGSM, BIM, PGD; verdicts are the record of the run, JSON.
        """
        limits = DefenceLimits.model_validate(plan.version.limits)
        hidden = open_hidden(bench, plan.version)
        batch = defence_batch(bench, plan.version)

        def ask(folder: Path, names: list[str]) -> Asked:
            with TemporaryDirectory() as output:
                seconds = seconds_allowed(len(names), limits)
                wanted = task_of(limits, folder, (TABLE,), seconds, keep_at_timeout=True)
                outcome = run_program(bench, plan, archive, limits, wanted, Path(output))
                return Asked(
                    outcome, _read(Path(output) / TABLE, _question(hidden, names)) if outcome.completed else None
                )

        order = [name for one in SETS for name in batch.names[one]]
        outcome, report = ask(batch.folder, order)
        record, findings = outcome.record, outcome.findings
        kept.content.write_bytes(b"")
        if report is not None:
            record["table"] = report.findings.as_json()
            findings.extend(team_view(report.findings, _RULES).listed)
        if report is not None and report.answers is not None:
            shape = (len(SETS), len(hidden.faces.names))
            values, answered = report.answers
            with kept.content.open("wb") as file:
                np.savez(file, values=values.reshape(*shape, -1), answered=answered.reshape(shape))
            if limits.second_pass:
                record["second_pass"] = _ask_again(bench, plan, hidden, values.reshape(*shape, -1), ask, limits)
        kept.verdicts.write_text(json.dumps(record, indent=2))
        return findings

    def delta(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> SafairScore:
        """Score the weighted delta; an image without an answer is failed (rule 6)."""
        hidden = open_hidden(bench, version)
        clean, *probed = _answers(answers)
        limits = DefenceLimits.model_validate(version.limits)
        by_probe = dict(zip(SETS[1:], probed, strict=True))
        return score_defence(hidden.task, clean, by_probe, hidden.faces, limits, version.seed)

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell nothing of single images, which are hidden; say whether the program failed."""
        return Told(failed=read_record(checked.verdicts).get("verdict", "COMPLETED") != "COMPLETED")

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row an image: who is shown, and how right the answer is, clean and under each probe."""
        import pandas as pd

        hidden, limits = open_hidden(bench, version), DefenceLimits.model_validate(version.limits)
        columns: dict[str, object] = {"image": hidden.faces.names, "person": hidden.faces.people}
        for name, one in zip(SETS, _answers(answers), strict=True):
            columns[f"{name}_answer"] = [" ".join(map(str, row)) for row in one.values]
            columns[f"{name}_right"] = rightness(hidden.task, one, hidden.faces, limits.accuracy)
        return pd.DataFrame(columns)


def _question(hidden: Hidden, names: list[str]) -> Question:
    if hidden.task == "reid":
        return ask_people(names, hidden.described.people)
    return ask_attributes(names, hidden.described.attributes)


def _read(table: Path, question: Question) -> AnswersReport:
    """Read the table that a program wrote; of a last line that was cut off when the time was up, nothing counts."""
    if not table.is_file():
        findings = Findings()
        findings.add(_NO_TABLE.broken("", "The program ended without a table."))
        return AnswersReport(findings, None)
    written = table.read_bytes()
    if not written.endswith(b"\n") and written.count(b"\n") <= len(question.names):
        table.write_bytes(written[: written.rfind(b"\n") + 1])
    return read_predictions(table, question)


def _answers(path: Path) -> list[Answers]:
    with np.load(path) as arrays:
        return [Answers(*one) for one in zip(arrays["values"], arrays["answered"], strict=True)]


def _ask_again(
    bench: Workbench,
    plan: Plan,
    hidden: Hidden,
    first: NDArray[np.int64],
    ask: Callable[[Path, list[str]], Asked],
    limits: DefenceLimits,
) -> dict[str, Any]:
    """Show a sample again under other names (rules 8 and 9).

    Each image comes once, clean or probed: a program that answers one picture by looking at its other versions has
    nothing to look at now, and differs.
    """
    rng = np.random.default_rng([plan.version.seed, len(hidden.faces.names)])
    chosen = np.sort(rng.permutation(len(hidden.faces.names))[: limits.second_pass])
    which = rng.integers(0, len(SETS), len(chosen))
    probed = probed_pictures(bench, plan.version, hidden)
    names = list(fresh_names(hidden.secret, "second pass", len(chosen)))
    with bench.scratch() as scratch:
        pictures = [probed[SETS[one]][index] for one, index in zip(which, chosen, strict=True)]
        write_batch(scratch, list(zip(names, pictures, strict=True)), hidden, limits)
        outcome, report = ask(scratch, names)
    before = first[which, chosen]
    again = report.answers.values if report is not None and report.answers is not None else np.full_like(before, -2)
    differ = differing(before, again)
    return {
        "compared": len(chosen),
        "differing": int(differ.sum()),
        "verdict": outcome.record["verdict"],
        "images": [hidden.faces.names[index] for index in chosen[differ]],
    }


EVALUATION = SafairDefenceEvaluation()
