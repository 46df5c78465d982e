"""One pure function decides how a run ended, from what the kernel and the runtime reported."""

from aisc.sandbox.contract import Evidence, Verdict


def decide(evidence: Evidence) -> Verdict:
    """Give the verdict of a run (FAULTS F03).

    Causes come before their symptoms: a process killed for memory leaves a parent that hangs until its time is up, and
    a full disk makes a program crash. A crossed limit counts even where the program exits with 0: what it wrote after
    an allocation or a write failed is not what it would have written.

    >>> decide(Evidence(exit_code=137, oom_events=1, wall_crossed=True))
    <Verdict.OUT_OF_MEMORY: 'OUT_OF_MEMORY'>
    """
    if evidence.image_codes:
        return Verdict.IMAGE_REFUSED
    crossed = crossed_limit(evidence)
    if crossed is not None:
        return crossed
    if evidence.platform or evidence.exit_code is None:
        return Verdict.PLATFORM_FAULT
    if evidence.exit_code != 0:
        return Verdict.CRASHED
    return Verdict.OUTPUT_LIMIT if evidence.output_crossed else Verdict.COMPLETED


def crossed_limit(evidence: Evidence) -> Verdict | None:
    """Give the verdict that is settled while the program still runs, or ``None``; the supervisor then ends the run."""
    if evidence.oom_events:
        return Verdict.OUT_OF_MEMORY
    if evidence.pids_events:
        return Verdict.PROCESS_LIMIT
    if evidence.full_volumes:
        return Verdict.DISK_LIMIT
    if evidence.log_crossed:
        return Verdict.OUTPUT_LIMIT
    return Verdict.TIMEOUT if evidence.wall_crossed else None
