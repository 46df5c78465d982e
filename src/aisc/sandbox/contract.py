"""The contract of every sandbox: what is asked for, what may be used, and what is known afterwards."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aisc.errors import UsageError
from aisc.submission.findings import Finding

if TYPE_CHECKING:
    from aisc.sandbox.kept_image import CheckedImage

MIB: Final = 1 << 20
LEAST_PROCESSES: Final = 16
SANDBOX_USER: Final = 64000
"""User and group that a participant's program runs as: nobody else's, and never root."""

BASE_ENVIRONMENT: Final[Mapping[str, str]] = {
    "HOME": "/tmp",  # noqa: S108 - a path inside the sandbox
    "HOSTNAME": "sandbox",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TMPDIR": "/tmp",  # noqa: S108 - a path inside the sandbox
}
"""What every program sees; the image's own (checked) and the request's variables are added, nothing else."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_OUTPUT_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_VARIABLE: Final = re.compile(r"AISC_[A-Z0-9_]{1,60}")


class Verdict(StrEnum):
    """How a run ended: one of a closed list (FAULTS F03)."""

    COMPLETED = "COMPLETED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    PROCESS_LIMIT = "PROCESS_LIMIT"
    DISK_LIMIT = "DISK_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    CRASHED = "CRASHED"
    IMAGE_REFUSED = "IMAGE_REFUSED"
    PLATFORM_FAULT = "PLATFORM_FAULT"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; crossing any of them ends it.

    Attributes:
        wall_seconds: Time from start to end; CPU seconds are bounded by ``wall_seconds * cpus``.
        cpus: CPU seconds a second.
        memory_bytes: Memory of all processes together, with what they write to ``/tmp``, ``/dev/shm`` and ``/output``.
        processes: Processes and threads at once.
        tmp_bytes: Size of ``/tmp``.
        shm_bytes: Size of ``/dev/shm``.
        output_bytes: Size of ``/output``, and of all collected files together.
        output_files: Entries in ``/output``.
        log_bytes: Bytes on standard output and standard error together.
        gpus: Whole GPUs; a driver that has none to give refuses the request.
    """

    wall_seconds: float = 600.0
    cpus: float = 1.0
    memory_bytes: int = 2048 * MIB
    processes: int = 128
    tmp_bytes: int = 256 * MIB
    shm_bytes: int = 64 * MIB
    output_bytes: int = 64 * MIB
    output_files: int = 16
    log_bytes: int = 1 * MIB
    gpus: int = 0

    def __post_init__(self) -> None:
        """Refuse limits that limit nothing, and folders that could eat all the memory.

        Raises:
            UsageError: ``SANDBOX_LIMITS``.
        """
        for name in self.__slots__:
            if not (getattr(self, name) > 0 or (name == "gpus" and self.gpus == 0)):
                raise UsageError(
                    "SANDBOX_LIMITS", f"The sandbox limit `{name}` is not above 0.", "Set it in the season file."
                )
        if self.processes < LEAST_PROCESSES:
            raise UsageError(
                "SANDBOX_LIMITS",
                f"The sandbox limit `processes` is below {LEAST_PROCESSES}, which a container runtime needs to start.",
                "Raise it.",
            )
        if self.tmp_bytes + self.shm_bytes + self.output_bytes >= self.memory_bytes:
            raise UsageError(
                "SANDBOX_LIMITS",
                "The sizes of /tmp, /dev/shm and /output together reach the memory limit, and they are kept in memory.",
                "Raise `memory_bytes` or make the folders smaller.",
            )


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """One run.

    Attributes:
        image: Digest of the image's configuration, ``sha256:…``; the driver admitted it before. Never a tag (T18).
        command: Program and arguments; empty for the image's own entry point.
        input: Folder that appears read-only as ``/input``; its files are readable for everyone.
        output: Existing empty folder on our side that collected files are copied to.
        outputs: Names of the files that are collected from ``/output``; all others stay unread.
        limits: What the run may use.
        environment: Further variables, named ``AISC_…``.
        keep_at_timeout: Whether the outputs are collected as well when the time is up: what is finished then counts.
    """

    image: str
    command: tuple[str, ...]
    input: Path
    output: Path
    outputs: tuple[str, ...]
    limits: Limits = Limits()
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_at_timeout: bool = False

    def __post_init__(self) -> None:
        """Check what the platform itself asks for.

        Raises:
            UsageError: ``SANDBOX_REQUEST``.
        """
        if not _DIGEST.fullmatch(self.image):
            raise _bad_request(f"The image `{self.image[:80]}` is not named by its digest.", "Admit the image first.")
        for name in self.outputs:
            if not _OUTPUT_NAME.fullmatch(name):
                raise _bad_request(f"The declared output `{name[:80]}` is not a plain file name.", "Rename it.")
        for name in self.environment:
            if not _VARIABLE.fullmatch(name):
                raise _bad_request(f"The variable `{name[:80]}` is not on the allow-list.", "Name it AISC_….")
        if not self.input.is_dir() or not self.output.is_dir():
            raise _bad_request("The input or the output folder does not exist.", "Stage the inputs first.")

    def keeps(self, verdict: Verdict) -> bool:
        """Tell whether the outputs of a run that ended so are collected."""
        return verdict is Verdict.COMPLETED or (verdict is Verdict.TIMEOUT and self.keep_at_timeout)

    def full_environment(self, of_image: Mapping[str, str]) -> dict[str, str]:
        """Give all variables of the program: an image may set its own ``PATH``, but not where it may write."""
        ours = {name: BASE_ENVIRONMENT[name] for name in ("HOME", "HOSTNAME", "TMPDIR")}
        return {**BASE_ENVIRONMENT, **of_image, **ours, **self.environment}


def _bad_request(message: str, remedy: str) -> UsageError:
    return UsageError("SANDBOX_REQUEST", message, remedy)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the kernel and the runtime reported about a run; the verdict follows from this alone.

    Attributes:
        exit_code: Exit status of the program; 128 + n after signal n; ``None`` if it never started.
        peak_memory_bytes: Most memory that all processes had together.
        cpu_seconds: CPU time of all processes.
        wall_seconds: Time from start to end.
        gpu_seconds: Time for which whole GPUs were held, times their number.
        oom_events: How often the kernel found the memory limit reached and killed for it.
        pids_events: How often the limit on processes was crossed.
        full_volumes: Sized folders in which no block or no inode was left.
        log_bytes: Bytes seen on standard output and standard error, up to the one that crossed the limit.
        log_crossed: Whether there were more than the limit.
        wall_crossed: Whether we ended the run because its time was up.
        output_crossed: Whether ``/output`` held more files or bytes than allowed.
        image_codes: Rules that the image breaks, if it was refused.
        platform: What failed on our side, for operators; ``""`` if nothing did.
    """

    exit_code: int | None = None
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    gpu_seconds: float = 0.0
    oom_events: int = 0
    pids_events: int = 0
    full_volumes: tuple[str, ...] = ()
    log_bytes: int = 0
    log_crossed: bool = False
    wall_crossed: bool = False
    output_crossed: bool = False
    image_codes: tuple[str, ...] = ()
    platform: str = ""

    @property
    def signal(self) -> int | None:
        """Number of the signal that ended the program, as runtimes encode it in the exit status."""
        return self.exit_code - 128 if self.exit_code is not None and 128 < self.exit_code < 193 else None


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What is known after a run; for organizers. Teams get ``aisc.sandbox.disclosure.team_report``.

    Attributes:
        verdict: How it ended.
        evidence: Why the verdict says so.
        driver: Name of the driver, such as ``docker+runsc``.
        outputs: Names of the files that were collected; empty unless the request keeps those of such a verdict.
        findings: What is wrong with the outputs or with the image.
        log: First bytes of standard output and standard error, in the order in which they came; never for teams.
    """

    verdict: Verdict
    evidence: Evidence
    driver: str
    outputs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    log: bytes = b""


class SandboxDriver(Protocol):
    """A way to run a stranger's program; one conformance suite holds for all (``aisc.sandbox.corpus``)."""

    @property
    def name(self) -> str:
        """Give the name that is said aloud and recorded with each run."""

    def versions(self) -> Mapping[str, str]:
        """Name the versions of everything whose change may change how tight the sandbox is."""

    def admit(self, image: "CheckedImage") -> None:
        """Make a checked image runnable by its digest; once per image.

        Raises:
            PlatformError: ``SANDBOX_ADMIT``: it cannot be stored.
        """

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run a program to its end, whatever it does; nothing of it is left afterwards.

        Faults of the platform come back as a verdict, so that the attempt is given back.
        """
