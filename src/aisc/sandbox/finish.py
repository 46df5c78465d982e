"""The course of a run, the same for every driver: folders, group, start, watch, collect, clean up, decide."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.bounded_log import BoundedLog
from aisc.sandbox.cgroups import ControlGroup
from aisc.sandbox.collector import Collected, collect_outputs
from aisc.sandbox.contract import Evidence, Limits, SandboxRequest, SandboxResult
from aisc.sandbox.supervise import Guest, Watched, watch
from aisc.sandbox.verdict import decide
from aisc.sandbox.volumes import Volumes, mounted_volumes
from aisc.submission.findings import Findings


@dataclass(frozen=True, slots=True)
class Start:
    """What a driver starts a program with."""

    group: ControlGroup
    volumes: Volumes
    log: BoundedLog


Starter = Callable[[SandboxRequest, Start], AbstractContextManager[Guest]]
MakeVolumes = Callable[[Path, Limits], AbstractContextManager[Volumes]]


def run_to_the_end(
    driver: str,
    request: SandboxRequest,
    make_group: Callable[[SandboxRequest], ControlGroup],
    starter: Starter,
    make_volumes: MakeVolumes = mounted_volumes,
) -> SandboxResult:
    """Run one program and leave nothing of it.

    Args:
        driver: Name of the driver.
        request: What to run.
        make_group: Makes the run's control group.
        starter: Starts the program; leaving its context removes whatever the runtime still keeps.
        make_volumes: Makes the run's folders; leaving the context takes them away.

    Returns:
        The result; a fault of the platform is a verdict, too.

    Raises:
        UsageError: ``SANDBOX_NO_GPU``, or an operator's mistake that no retry mends.
    """
    if request.limits.gpus:
        raise UsageError("SANDBOX_NO_GPU", f"The sandbox {driver} has no GPU to give.", "Set `gpus` to 0.")
    log = BoundedLog(request.limits.log_bytes)
    start = time.monotonic()
    evidence = Evidence()
    collected = Collected((), False, ())
    try:
        with ExitStack() as stack:
            volumes = stack.enter_context(make_volumes(request.input, request.limits))
            group = stack.enter_context(closing(make_group(request)))
            with starter(request, Start(group, volumes, log)) as guest:
                evidence = watch(Watched(guest, group, volumes, log), request.limits)
            group.kill()  # children that outlived their parent (T09): only now is nobody left to change the outputs
            if request.keeps(decide(evidence)):
                collected = collect_outputs(volumes.output, request.output, request.outputs, request.limits)
                evidence = replace(evidence, output_crossed=collected.crossed)
        # The reader has drained the program's last words by now.
        evidence = replace(evidence, log_bytes=log.seen, log_crossed=log.crossed)
    except PlatformError as error:
        evidence = replace(evidence, platform=str(error), wall_seconds=time.monotonic() - start)
    verdict = decide(evidence)
    if not request.keeps(verdict):
        _empty(request.output, collected.names)
        collected = replace(collected, names=())
    return SandboxResult(verdict, evidence, driver, collected.names, collected.findings, log.kept())


def refused_result(driver: str, findings: Findings) -> SandboxResult:
    """Give the result of a run that never began, because the image breaks rules.

    Args:
        driver: Name of the driver that would have run it.
        findings: What ``aisc.sandbox.image_archive.check_image`` found.
    """
    evidence = Evidence(image_codes=tuple(sorted(findings.counts)))
    return SandboxResult(decide(evidence), evidence, driver, findings=tuple(findings.listed))


def _empty(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).unlink()
