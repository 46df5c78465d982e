"""The deepfake track at work: a program in the sandbox, its table against the truth (:mod:`aisc.tracks.deepfake`)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from pydantic import BaseModel

from aisc.datasets.forgery_copies import write_inputs, write_practice
from aisc.datasets.forgery_sets import ForgerySet, Stage, Task, open_forgery_set, open_task
from aisc.evaluations.assets import stage_data
from aisc.evaluations.contract import Checked, Checkup, Evaluation, Tick, Told
from aisc.evaluations.programs import (
    Outcome,
    check_archive,
    image_limits,
    prove_sandbox,
    read_record,
    run_program,
    task_of,
)
from aisc.evaluations.second_pass import pass_again
from aisc.identity import Plan, Version
from aisc.ledger.runs import Score
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.running import images_cache
from aisc.season import StageRef
from aisc.submission.findings import Findings, Rule
from aisc.submission.result_tables import ResultReport, ResultTable, team_findings
from aisc.tracks.deepfake import (
    FINAL_MEASURE,
    MEASURE,
    DeepfakeLimits,
    ExpertMark,
    check_result,
    read_table,
    score_table,
)
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

RESULTS: Final = ("result.csv", "result.parquet")
PRACTICE: Final = "practice"
_TWO_TABLES: Final = Rule("RESULT_TWO_FILES", "refused", f"Write one of {' and '.join(RESULTS)}, not both.")
_NO_TABLE: Final = Rule("RESULT_MISSING", "refused", "Write /output/result.csv before the program ends.")


class DeepfakeEvaluation(Evaluation):
    """Rulebook ``source-identification``."""

    kit_folder: ClassVar[str] = "training"
    evidence_files: ClassVar[Mapping[str, tuple[str, str]]] = {
        "content": ("run_submission", "content"),
        "verdicts": ("run_submission", "verdicts"),
        "answers": ("run_submission", "content"),
    }

    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Rank by precision at 5, the final by its total."""
        return FINAL_MEASURE if stage == "final" else MEASURE

    def review_form(self, stage: str, *, entered: bool = False) -> type[BaseModel]:
        """Take a verdict and the mark S."""
        return ExpertMark

    def judge(self, stage: str, score: Score, review: Mapping[str, Any]) -> Score:
        """Add the experts' mark to a final's total; it moves the whole interval."""
        if stage != "final":
            return score
        # The weight travels with the score: a board must not follow limits that were changed since.
        gained = score.parts["mark weight"] * review["mark"]
        parts = {name: value for name, value in score.parts.items() if name != "mark weight"}
        return Score(score.value + gained, score.low + gained, score.high + gained, parts | {"mark": review["mark"]})

    def open_data(self, ref: StageRef) -> str | None:
        """Hand out the training folder."""
        return ref.stage.training

    def add_to_kit(self, stage: str, folder: Path) -> None:
        """Lay out a task to practise on, with its truth, from labelled training pictures."""
        write_practice(folder / self.kit_folder, folder / PRACTICE, novelty=stage == "final")

    def image_limits(self, limits: Mapping[str, Any]) -> ImageLimits:
        """Give the caps on a submitted image."""
        return image_limits(DeepfakeLimits.model_validate(limits))

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check an image's archive, or a table that a program wrote for the practice task."""
        if file.suffix in {Path(name).suffix for name in RESULTS}:
            practice = data.parent / PRACTICE
            if not practice.is_dir():
                practice = scratch / PRACTICE
                write_practice(data, practice, novelty=stage == "final")
            findings = check_result(file, practice)
            return Checkup(findings, {"probes": len(open_task(practice).probes)}, "the table fits the practice task.")
        program, findings = check_archive(file, DeepfakeLimits.model_validate(limits), scratch / "images")
        tick(1, 1)
        accepted = f"the {program['kind']} {program['digest'][:19]} can be run." if program else ""
        return Checkup(findings, {"images": int(bool(program))}, accepted)

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Stage the inputs once for all programs, and prove the sandbox."""
        found = open_task(_inputs(bench, version))
        say({"probes": len(found.probes), "gallery": len(found.gallery)})
        prove_sandbox(bench, version, DeepfakeLimits.model_validate(version.limits), say)

    def validate(self, bench: Workbench, plan: Plan, archive: Path, checked: Checked) -> Findings:
        """Check the image's archive; content and verdicts name the program, JSON."""
        limits = DeepfakeLimits.model_validate(plan.version.limits)
        program, findings = check_archive(archive, limits, images_cache(bench.cache), plan.submission.sha256)
        for path in checked:
            path.write_text(json.dumps({"program": program}))
        return findings

    def run(self, bench: Workbench, plan: Plan, archive: Path, kept: Checked) -> Findings:
        """Run the program on the stage's inputs, check its table, and ask it a second time about a sample.

        Content is ``.npz`` with ``neighbours``, ``similarities`` and, where asked for, ``novelty``; verdicts are the
        record of the run, JSON.
        """
        limits = DeepfakeLimits.model_validate(plan.version.limits)
        inputs = _inputs(bench, plan.version)
        task = open_task(inputs)

        def ask(folder: Path, asked: Task) -> tuple[Outcome, ResultReport | None]:
            with TemporaryDirectory() as output:
                wanted = task_of(limits, folder, RESULTS, limits.wall_seconds)
                outcome = run_program(bench, plan, archive, limits, wanted, Path(output))
                return outcome, _read(Path(output), asked, limits) if outcome.completed else None

        outcome, report = ask(inputs, task)
        record = outcome.record
        findings = outcome.findings
        if report is not None:
            record["table"] = report.findings.as_json()
            unread = report.findings.counts.keys() <= _OWN_CODES
            findings = report.findings if unread else team_findings(report.findings)
        if report is not None and report.table is not None:
            _write_table(kept.content, report.table)
            if limits.second_pass:
                with bench.scratch() as scratch:
                    record["second_pass"] = pass_again(
                        inputs, task, report.table, limits.second_pass, plan.version.seed, scratch, ask
                    )
        else:
            kept.content.write_bytes(b"")
        kept.verdicts.write_text(json.dumps(record, indent=2))
        return findings

    def score(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> Score:
        """Score the table by equation 1; in the final the total without the experts' mark."""
        limits = DeepfakeLimits.model_validate(version.limits)
        stage = _stage(version)
        outcome = score_table(_read_table(answers), _hidden(bench, version).truth, stage, limits, version.seed)
        record = read_record(checked.verdicts)
        parts = dict(outcome.parts)
        if stage == "final":
            parts["mark weight"] = limits.mark_weight
        if "second_pass" in record:
            parts["second answers that differ"] = record["second_pass"]["differing"]
        if not record["confined"]:
            parts["outside a sandbox"] = 1
        return Score(outcome.value, outcome.low, outcome.high, parts)

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell nothing of single probes, which are hidden; say whether the program failed."""
        record = read_record(checked.verdicts)
        return Told(failed=record.get("verdict", "COMPLETED") != "COMPLETED")

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row a generator: probes, precision, novelty; the run's record stands in every row's last columns."""
        import pandas as pd

        limits = DeepfakeLimits.model_validate(version.limits)
        record = read_record(checked.verdicts)
        truth = _hidden(bench, version).truth
        outcome = score_table(_read_table(answers), truth, _stage(version), limits, version.seed)
        second = record.get("second_pass", {})
        run = {
            "driver": record["driver"], "wall_seconds": record["evidence"]["wall_seconds"],
            "peak_memory_bytes": record["evidence"]["peak_memory_bytes"],
            "second_pass_compared": second.get("compared"), "second_pass_differing": second.get("differing"),
        }  # fmt: skip
        return pd.DataFrame([{"method": name, **row._asdict(), **run} for name, row in outcome.per_method.items()])


_OWN_CODES: Final = frozenset({_TWO_TABLES.code, _NO_TABLE.code})


def _inputs(bench: Workbench, version: Version) -> Path:
    """Give the folder that every program of the stage sees as ``/input``: laid out once a machine, never copied."""
    data = stage_data(version)
    source = bench.asset(data)

    def lay_out(folder: Path) -> None:
        write_inputs(source, folder)

    return bench.cached(f"inputs-{data.sha256}", lay_out)


def _hidden(bench: Workbench, version: Version) -> ForgerySet:
    return open_forgery_set(bench.asset(stage_data(version)))


def _stage(version: Version) -> Stage:
    return version.stage_name  # type: ignore[return-value]


def _read(output: Path, task: Task, limits: DeepfakeLimits) -> ResultReport:
    """Read the one table that a program wrote."""
    written = [output / name for name in RESULTS if (output / name).is_file()]
    if len(written) == 1:
        return read_table(written[0], task, limits)
    findings = Findings()
    if written:
        findings.add(_TWO_TABLES.broken("", "The program wrote two tables."))
    else:
        findings.add(_NO_TABLE.broken("", "The program ended well and left no table that is an ordinary file."))
    return ResultReport(findings, None)


def _write_table(path: Path, table: ResultTable) -> None:
    arrays = {name: value for name, value in table._asdict().items() if value is not None}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _read_table(path: Path) -> ResultTable:
    with np.load(path) as arrays:
        novelty = arrays["novelty"] if "novelty" in arrays.files else None
        return ResultTable(arrays["neighbours"], arrays["similarities"], novelty)


EVALUATION = DeepfakeEvaluation()
