"""Tracks whose submissions are programs: check the image, run it in the sandbox, keep a record of what happened."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from aisc.errors import PlatformError
from aisc.identity import Plan, Version
from aisc.sandbox.conformance import ensure_conformance
from aisc.sandbox.contract import Limits, Verdict
from aisc.sandbox.disclosure import printable_log, team_report
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage
from aisc.sandbox.running import Ran, Task, check_program, images_cache, machine_choice, run_image
from aisc.sandbox.starters import LARGEST_NAME
from aisc.submission.findings import Effect, Finding, Findings
from aisc.tracks.program_limits import ProgramLimits
from aisc.workbench import Workbench

IMAGE: Final = "image"
_MIB: Final = 1 << 20
_SPARE_FILES: Final = 16
"""Entries that a program may leave in its output folder beside the declared ones."""
_REMEDY: Final = (
    "Try your image on the training pictures under the stage's limits; 'aisc check' looks at the image itself."
)


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        findings: What the team may read: nothing for a run that ended well.
        record: For organizers: verdict, evidence, driver, log.
        completed: Whether the program ended well, or its outputs count although its time was up.
    """

    findings: Findings
    record: dict[str, Any]
    completed: bool


def check_archive(
    archive: Path, limits: ProgramLimits, images: Path, sha256: str = ""
) -> tuple[dict[str, Any], Findings]:
    """Check a submission without running it.

    Returns:
        What it holds (``kind`` and ``digest``, or nothing) and the findings.
    """
    program, findings = check_program(archive, image_limits(limits), images, sha256)
    kind = IMAGE if isinstance(program, CheckedImage) else "starter"
    return ({"kind": kind, "digest": program.digest} if program else {}), findings


def run_program(
    bench: Workbench, plan: Plan, archive: Path, limits: ProgramLimits, task: Task, output: Path
) -> Outcome:
    """Run a submission's program once.

    Args:
        bench: Ledger, store and cache.
        plan: What is evaluated.
        archive: The submission; its digest is the receipt's.
        limits: The stage's.
        task: Inputs and declared outputs.
        output: Existing empty folder for the outputs.

    Raises:
        PlatformError: ``SANDBOX_FAULT``, ``SANDBOX_NOT_CONFORMANT``, ``SANDBOX_CHANGED``; the attempt is given back.
        UsageError: ``SANDBOX_NONE``.
    """
    images = images_cache(bench.cache)
    program, _ = check_archive(archive, limits, images, plan.submission.sha256)
    driver = _proven_driver(bench, plan.version, limits) if program.get("kind") == IMAGE else ""
    ran = run_image(archive, task, output, images, driver, plan.submission.sha256)
    if ran.result.verdict == Verdict.PLATFORM_FAULT:
        raise PlatformError(
            "SANDBOX_FAULT", f"{ran.result.driver}: {ran.result.evidence.platform}", "See docs/runbooks/sandbox.md."
        )
    kept = ran.result.verdict == Verdict.TIMEOUT and task.keep_at_timeout
    return Outcome(_told(ran, kept=kept), _record(ran), kept or ran.result.verdict == Verdict.COMPLETED)


def task_of(
    limits: ProgramLimits,
    inputs: Path,
    outputs: tuple[str, ...],
    wall_seconds: float,
    *,
    keep_at_timeout: bool = False,
) -> Task:
    """Put together what the sandbox is asked for."""
    allowed = Limits(
        wall_seconds=wall_seconds,
        cpus=limits.cpus,
        memory_bytes=limits.memory_mib * _MIB,
        processes=limits.processes,
        output_bytes=limits.output_mib * _MIB,
        gpus=limits.gpus,
        output_files=len(outputs) + _SPARE_FILES,
    )
    return Task(inputs, outputs, allowed, image_limits=image_limits(limits), keep_at_timeout=keep_at_timeout)


def prove_sandbox(
    bench: Workbench, version: Version, limits: ProgramLimits, say: Callable[[dict[str, Any]], None]
) -> None:
    """Make sure before a round that the sandbox blocks the hostile corpus, if any stranger's program is to run.

    Raises:
        UsageError: ``SANDBOX_NONE``.
        PlatformError: ``SANDBOX_NOT_CONFORMANT``.
    """
    runs = bench.ledger.runs.all(stage=version.stage, version_sha256=version.sha256)
    if not any(run.state == "pending" and _may_be_an_image(bench, run.run_key, limits) for run in runs):
        say({"sandbox": "not needed: no image waits"})
        return
    choice = machine_choice(images_cache(bench.cache))
    say({"sandbox": choice.aloud})
    record = ensure_conformance(choice.driver, bench.cache, limits.sandbox_exception or None)
    note = _driver_note(bench, version)
    note.parent.mkdir(exist_ok=True)
    note.write_text(record.driver)
    say({"sandbox": record.aloud, "failures": list(record.failures)})


def image_limits(limits: ProgramLimits) -> ImageLimits:
    """Give the caps on an image."""
    return ImageLimits(limits.max_archive_mib * _MIB, limits.max_unpacked_mib * _MIB, limits.layers)


def read_record(path: Path) -> Mapping[str, Any]:
    """Read a run's record."""
    value: Mapping[str, Any] = json.loads(path.read_text())
    return value


def _proven_driver(bench: Workbench, version: Version, limits: ProgramLimits) -> str:
    """Name the driver that the round began on, so that no run of it falls back to a weaker one."""
    note = _driver_note(bench, version)
    choice = machine_choice(images_cache(bench.cache), note.read_text() if note.exists() else "")
    return ensure_conformance(choice.driver, bench.cache, limits.sandbox_exception or None).driver


def _driver_note(bench: Workbench, version: Version) -> Path:
    return bench.cache / "rounds" / f"{version.sha256}.driver"


def _may_be_an_image(bench: Workbench, run_key: str, limits: ProgramLimits) -> bool:
    """Say whether a submission may hold a stranger's program; one as small as a starter's name is looked into."""
    submission = bench.ledger.runs.plan(run_key).submission
    if bench.ledger.submissions.get(submission.name).size > LARGEST_NAME:
        return True
    with bench.scratch() as scratch:
        archive = scratch / "archive"
        bench.store.fetch(submission.key, archive)
        program, _ = check_archive(archive, limits, images_cache(bench.cache), submission.sha256)
    return program.get("kind") == IMAGE


def _told(ran: Ran, *, kept: bool) -> Findings:
    """Tell a team how its program ended; of what it wrote and for how long it ran, almost nothing (T41, T43)."""
    findings = Findings()
    if ran.result.verdict == Verdict.COMPLETED:
        return findings
    report = team_report(ran.result)
    codes = f" ({', '.join(report.codes)})" if report.codes else ""
    effect: Effect = "note" if kept else "refused"
    findings.add(Finding(report.verdict.value, "", f"{report.reason}{codes}", _REMEDY, effect))
    return findings


def _record(ran: Ran) -> dict[str, Any]:
    return {
        "verdict": ran.result.verdict.value,
        "driver": ran.result.driver,
        "confined": ran.confined,
        "program": ran.program.digest if ran.program else "",
        "evidence": asdict(ran.result.evidence),
        "findings": [asdict(finding) for finding in ran.result.findings],
        "log": printable_log(ran.result.log),
    }
