"""Attacks of SAFAIR at work: a program alters hidden images, the baseline is asked before and after."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.attribute_faces import read_description, read_faces, read_pictures
from aisc.evaluations.assets import stage_data
from aisc.evaluations.contract import Checked, Remember, Told
from aisc.evaluations.programs import Outcome as Run
from aisc.evaluations.programs import prove_sandbox, read_record, run_program, task_of
from aisc.evaluations.safair import SafairEvaluation
from aisc.evaluations.safair_inputs import (
    Hidden,
    attack_facts,
    attack_inputs,
    baseline_of,
    copy_surrogate,
    fresh_names,
    open_hidden,
    write_attack_inputs,
)
from aisc.evaluations.safair_sheet import draw_attack_sheet
from aisc.identity import Plan, Version
from aisc.leaderboard.bundle import Picture
from aisc.leaderboard.result import ImageTable
from aisc.submission.altered_images import ALTERED_RULES, AlteredReport, Outcome, is_counted, read_altered
from aisc.submission.findings import Finding, Findings
from aisc.submission.predictions import Answers
from aisc.tracks.safair import MEASURE, SafairScore, differing, score_attack, seconds_allowed
from aisc.tracks.safair_limits import AttackLimits
from aisc.victims.classifier import answers as said
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

PRACTICE = "practice"
PRACTICE_IMAGES = 100
_TOLD: Final[Mapping[Outcome, str]] = {
    Outcome.UNCHANGED: "It is the image that was given, pixel for pixel; it counts.",
    Outcome.MISSING: "There is no such file, or no ordinary one.",
    Outcome.BROKEN: "The file is cut or damaged.",
    Outcome.FORMAT: "It is no plain 8-bit RGB PNG.",
    Outcome.SIZE: "It has another width or height.",
    Outcome.OVER_EPSILON: "At least one channel differs by more than ε.",
}
"""What a team reads of an image: no more than the outcome, which its own program has chosen (T41, T43)."""


class SafairAttackEvaluation(SafairEvaluation):
    """Rulebook ``safair-attack``; the stage's first victim is attacked, its last one is what programs receive."""

    limits_type: ClassVar[type[AttackLimits]] = AttackLimits
    evidence_files: ClassVar[Mapping[str, tuple[str, str]]] = {
        "content": ("run_submission", "content"),
        "verdicts": ("run_submission", "verdicts"),
        "answers": ("query_victims", "answers"),
    }

    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Rank by what the baseline loses."""
        return MEASURE

    def add_to_kit(self, stage: str, folder: Path) -> None:
        """Lay out pictures to practise on as a program will find the hidden ones, the surrogate apart."""
        faces_folder = folder / self.kit_folder
        described, faces = read_description(faces_folder), read_faces(faces_folder, "val")
        names = faces.names[:PRACTICE_IMAGES]
        facts = attack_facts(described, len(names), AttackLimits())
        (folder / PRACTICE).mkdir()
        pictures = read_pictures(faces_folder, "val", names)
        write_attack_inputs(folder / PRACTICE, names, pictures, faces.goals[: len(names)], facts)

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Stage the inputs, ask the baseline about the clean images, and prove the sandbox."""
        limits = AttackLimits.model_validate(version.limits)
        attack_inputs(bench, version, limits)
        hidden = open_hidden(bench, version)
        say({"images": len(hidden.faces.names), "baseline": baseline_of(version).name})
        clean_answers(bench, version, hidden)
        prove_sandbox(bench, version, limits, say)

    def run(self, bench: Workbench, plan: Plan, archive: Path, kept: Checked) -> Findings:
        """Run the attack, judge every image, and run it again on a sample in other company.

        Content is ``.npy`` uint8 `(n, 112, 112, 3)` RGB with the original where an image does not count; verdicts are
        the record of the run, JSON, with ``outcomes`` and ``changes`` of all images.
        """
        limits = AttackLimits.model_validate(plan.version.limits)
        hidden = open_hidden(bench, plan.version)
        inputs = attack_inputs(bench, plan.version, limits)

        def attack(
            folder: Path, names: tuple[str, ...], originals: NDArray[np.uint8], out: NDArray[np.uint8]
        ) -> tuple[Run, AlteredReport | None]:
            with TemporaryDirectory() as output:
                seconds = seconds_allowed(len(names), limits)
                wanted = task_of(limits, folder, names, seconds, keep_at_timeout=True)
                ran = run_program(bench, plan, archive, limits, wanted, Path(output))
                if not ran.completed:
                    return ran, None
                return ran, read_altered(Path(output), names, originals, out, epsilon=limits.epsilon)

        pixels = np.lib.format.open_memmap(kept.content, "w+", np.uint8, hidden.pictures.shape)
        ran, report = attack(inputs, hidden.faces.names, hidden.pictures, pixels)
        pixels.flush()
        record, findings = ran.record, ran.findings
        if report is not None:
            record |= {"outcomes": report.outcomes.tolist(), "changes": report.changes.tolist()}
            record["images"] = report.findings.as_json()
            findings.extend(_told_of(hidden.faces.names, report))
            if limits.second_pass:
                record["second_pass"] = _attack_again(bench, plan, hidden, inputs, pixels, report, attack, limits)
        kept.verdicts.write_text(json.dumps(record, indent=2))
        return findings

    def query(self, bench: Workbench, plan: Plan, checked: Checked, answers: Path, remember: Remember) -> None:
        """Ask the baseline about the altered images that count.

        The answers are ``clean`` and ``altered``, int64 (n, columns), ``.npz``; -1 where an image does not count.
        """
        hidden = open_hidden(bench, plan.version)
        counted = np.flatnonzero(_counted(checked))
        clean = clean_answers(bench, plan.version, hidden)
        altered = np.full_like(clean, -1)
        if len(counted):
            pixels = np.load(checked.content, mmap_mode="r")
            baseline = bench.victims.open_classifier(bench.asset(baseline_of(plan.version)))
            altered[counted] = said(hidden.task, baseline.logits(pixels[counted]))
        print(f"{baseline_of(plan.version).name}: {len(counted)} images asked about", flush=True)
        with answers.open("wb") as file:
            np.savez(file, clean=clean, altered=altered)

    def delta(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> SafairScore:
        """Score what the baseline lost; an image that does not count is right for it (rule 7)."""
        hidden = open_hidden(bench, version)
        counted = _counted(checked)
        with np.load(answers) as arrays:
            clean, altered = (Answers(arrays[name], (arrays[name] >= 0).all(axis=1)) for name in ("clean", "altered"))
        limits = AttackLimits.model_validate(version.limits)
        return score_attack(hidden.task, clean, altered, counted, hidden.faces, limits, version.seed)

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell what became of every image, and show as many of them as the stage allows."""
        record = read_record(checked.verdicts)
        failed = record.get("verdict", "COMPLETED") != "COMPLETED"
        if "outcomes" not in record:
            return Told(failed=failed)
        hidden = open_hidden(bench, version)
        outcomes = np.array(record["outcomes"], np.uint8)
        status = [Outcome(outcome).name.lower() for outcome in outcomes.tolist()]
        unknown = np.full(len(outcomes), -1)
        counted = is_counted(outcomes)
        table = ImageTable(hidden.faces.names, status, counted, unknown, unknown, unknown)
        shown = min(AttackLimits.model_validate(version.limits).shown, len(outcomes))
        if not shown:
            return Told(table, failed=failed)
        altered = np.load(checked.content, mmap_mode="r")[:shown]
        sheet = draw_attack_sheet(
            hidden.faces.names[:shown], status[:shown], counted[:shown], hidden.pictures[:shown], altered
        )
        about = f"the first {shown} images: given, returned, and sixteen times the change"
        return Told(table, {"contact-sheet.png": Picture(sheet, about)}, failed)

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row an image: what became of it, who is shown, its goal, the baseline's answers."""
        import pandas as pd

        hidden, record = open_hidden(bench, version), read_record(checked.verdicts)
        with np.load(answers) as arrays:
            clean, altered = arrays["clean"], arrays["altered"]
        return pd.DataFrame({
            "image": hidden.faces.names,
            "outcome": [Outcome(outcome).name.lower() for outcome in record["outcomes"]],
            "change": record["changes"],
            "person": hidden.faces.people,
            "goal": [" ".join(map(str, goal)) for goal in hidden.faces.goals],
            "clean_answer": [" ".join(map(str, row)) for row in clean],
            "altered_answer": [" ".join(map(str, row)) for row in altered],
        })  # fmt: skip


def clean_answers(bench: Workbench, version: Version, hidden: Hidden) -> NDArray[np.int64]:
    """Give the baseline's answers to the clean images, `(n, columns)`: asked once a stage."""
    baseline = baseline_of(version)

    def make(target: Path) -> None:
        classifier = bench.victims.open_classifier(bench.asset(baseline))
        found = said(hidden.task, classifier.logits(np.asarray(hidden.pictures)))
        with target.open("wb") as file:
            np.save(file, found)

    inputs = {"data": stage_data(version).sha256, "victim": baseline.sha256, "code": version.code}
    return np.asarray(np.load(bench.derived("clean-answers.npy", inputs, make)), np.int64)


Attack = Callable[[Path, tuple[str, ...], NDArray[np.uint8], NDArray[np.uint8]], tuple[Run, AlteredReport | None]]


def _attack_again(
    bench: Workbench,
    plan: Plan,
    hidden: Hidden,
    inputs: Path,
    first: NDArray[np.uint8],
    report: AlteredReport,
    attack: Attack,
    limits: AttackLimits,
) -> dict[str, Any]:
    """Show a sample of the images again under other names; equal images must come back pixel for pixel (rule 9)."""
    rng = np.random.default_rng([plan.version.seed, len(first)])
    chosen = np.sort(rng.permutation(np.flatnonzero(report.counts))[: limits.second_pass])
    if not len(chosen):
        return {"compared": 0, "differing": 0, "verdict": "", "images": []}
    names = fresh_names(hidden.secret, "second pass", len(chosen))
    originals = np.asarray(hidden.pictures[chosen])
    again = np.zeros_like(originals)
    with bench.scratch() as scratch:
        copy_surrogate(inputs, scratch)
        facts = attack_facts(hidden.described, len(chosen), limits)
        write_attack_inputs(scratch, names, originals, hidden.faces.goals[chosen], facts)
        ran, found = attack(scratch, names, originals, again)
    lost = ~found.counts if found is not None else np.ones(len(chosen), bool)
    differ = differing(np.asarray(first[chosen]), again) | lost
    return {
        "compared": len(chosen),
        "differing": int(differ.sum()),
        "verdict": ran.record["verdict"],
        "images": [hidden.faces.names[index] for index in chosen[differ]],
    }


def _told_of(names: Sequence[str], report: AlteredReport) -> Iterator[Finding]:
    for name, number in zip(names, report.outcomes.tolist(), strict=True):
        outcome = Outcome(number)
        if outcome in _TOLD:
            yield ALTERED_RULES[f"ALTERED_{outcome.name}"].broken(name, _TOLD[outcome])


def _counted(checked: Checked) -> NDArray[np.bool_]:
    return is_counted(np.array(read_record(checked.verdicts)["outcomes"], np.uint8))


EVALUATION = SafairAttackEvaluation()
