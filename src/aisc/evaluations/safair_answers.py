"""How defences of SAFAIR are asked: a batch of pictures in, a table of answers out, and a sample of it once more."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.evaluations.contract import Checked
from aisc.evaluations.programs import Outcome, run_program, task_of
from aisc.evaluations.safair import team_view
from aisc.evaluations.safair_inputs import Hidden, fresh_names
from aisc.evaluations.safair_probes import Batch, Pictures, write_batch
from aisc.identity import Plan
from aisc.submission.findings import Findings, Rule
from aisc.submission.predictions import (
    ANSWER_RULES,
    AnswersReport,
    Question,
    ask_attributes,
    ask_people,
    read_predictions,
)
from aisc.tracks.safair import differing, seconds_allowed
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

TABLE: Final = "predictions.csv"
_NO_TABLE: Final = Rule("PREDICTIONS_MISSING", "refused", f"Write /output/{TABLE} before the program ends.")
TABLE_RULES: Final[Mapping[str, Rule]] = {**ANSWER_RULES, _NO_TABLE.code: _NO_TABLE}


class Asked(NamedTuple):
    """A run of a defence: how it ended, and what it answered."""

    outcome: Outcome
    report: AnswersReport | None


def question_of(hidden: Hidden, names: list[str]) -> Question:
    """Put together what a task asks about pictures."""
    if hidden.task == "reid":
        return ask_people(names, hidden.described.people)
    return ask_attributes(names, hidden.described.attributes)


def read_table(table: Path, question: Question) -> AnswersReport:
    """Read the table that a program wrote; of a last line that was cut off when the time was up, nothing counts."""
    if not table.is_file():
        findings = Findings()
        findings.add(_NO_TABLE.broken("", "The program ended without a table."))
        return AnswersReport(findings, None)
    written = table.read_bytes()
    if not written.endswith(b"\n") and written.count(b"\n") <= len(question.names):
        table.write_bytes(written[: written.rfind(b"\n") + 1])
    return read_predictions(table, question)


def answer_batch(
    bench: Workbench,
    plan: Plan,
    archive: Path,
    hidden: Hidden,
    shown: Pictures,
    batch: Batch,
    kept: Checked,
    more: Mapping[str, Any],
    company: NDArray[np.uint8] | None = None,
) -> tuple[dict[str, Any], Findings]:
    """Run a defence on a batch, read its table, and ask it again about a sample in other company.

    Args:
        bench: Ledger, store and cache.
        plan: What is evaluated.
        archive: The submission.
        hidden: The hidden images.
        shown: The sets.
        batch: The same, laid out.
        kept: Its content gets ``values`` int64 (sets, n, columns) and ``answered`` bool (sets, n), ``.npz``.
        more: Further arrays for the content.
        company: `(n, ...)` pictures of the same images, of which as many as the sample has are shown with it again: so
            a program that judges a picture by the rest of a batch, all attacked or all clean, differs.

    Returns:
        The record of the run, for organizers, and what the team may read.
    """
    limits = DefenceLimits.model_validate(plan.version.limits)

    def ask(folder: Path, names: list[str]) -> Asked:
        with TemporaryDirectory() as output:
            wanted = task_of(limits, folder, (TABLE,), seconds_allowed(len(names), limits), keep_at_timeout=True)
            outcome = run_program(bench, plan, archive, limits, wanted, Path(output))
            if not outcome.completed:
                return Asked(outcome, None)
            return Asked(outcome, read_table(Path(output) / TABLE, question_of(hidden, names)))

    outcome, report = ask(batch.folder, [name for one in shown for name in batch.names[one]])
    record, findings = outcome.record, outcome.findings
    if report is not None:
        record["table"] = report.findings.as_json()
        findings.extend(team_view(report.findings, TABLE_RULES).listed)
    if report is not None and report.answers is not None:
        shape = (len(shown), len(hidden.faces.names))
        values, answered = report.answers.values.reshape(*shape, -1), report.answers.answered.reshape(shape)
        with kept.content.open("wb") as file:
            np.savez(file, values=values, answered=answered, **more)
        if limits.second_pass:
            record["second_pass"] = _ask_again(bench, plan, hidden, shown, values, ask, company)
    return record, findings


def _ask_again(
    bench: Workbench,
    plan: Plan,
    hidden: Hidden,
    shown: Pictures,
    first: NDArray[np.int64],
    ask: Callable[[Path, list[str]], Asked],
    company: NDArray[np.uint8] | None,
) -> dict[str, Any]:
    """Show a sample again under other names (rules 8 and 9).

    Each image comes once, clean or probed: a program that answers one picture by looking at its other versions has
    nothing to look at now, and differs.
    """
    limits, sets = DefenceLimits.model_validate(plan.version.limits), list(shown.values())
    rng = np.random.default_rng([plan.version.seed, len(hidden.faces.names)])
    order = rng.permutation(len(hidden.faces.names))
    chosen = np.sort(order[: limits.second_pass])
    which = rng.integers(0, len(sets), len(chosen))
    beside = [] if company is None else list(company[order[limits.second_pass : 2 * limits.second_pass]])
    names = list(fresh_names(hidden.secret, "second pass", len(chosen) + len(beside)))
    with bench.scratch() as scratch:
        pictures = [*(sets[one][index] for one, index in zip(which, chosen, strict=True)), *beside]
        write_batch(scratch, list(zip(names, pictures, strict=True)), hidden, limits)
        outcome, report = ask(scratch, names)
    before = first[which, chosen]
    again = report.answers.values if report is not None and report.answers is not None else np.full_like(before, -2)
    differ = differing(before, again[: len(chosen)])
    return {
        "compared": len(chosen),
        "differing": int(differ.sum()),
        "verdict": outcome.record["verdict"],
        "images": [hidden.faces.names[index] for index in chosen[differ]],
    }
