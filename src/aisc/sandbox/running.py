"""From a container track's submission to its outputs: look, check, admit, run by digest, collect."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aisc.sandbox.choose import Choice, choose_driver, named_driver
from aisc.sandbox.contract import Limits, SandboxRequest, SandboxResult
from aisc.sandbox.finish import refused_result
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage, stored_image
from aisc.sandbox.own_code import code_digest
from aisc.sandbox.starters import DRIVER, StarterName, named_starter, run_starter
from aisc.submission.findings import Findings, RuleBrokenError

_UNPACKED: Final = "unpacked"  # bubblewrap's file systems
_CHECKED: Final = "checked"  # images that passed, by digest
_NONE: Final = "none"  # no driver was asked
_KNOWN: Final = "known"  # digest of the image by the archive's digest and the rules


@dataclass(frozen=True, slots=True)
class Task:
    """What every program of a stage is run on; staged once a round and mounted, never copied.

    Attributes:
        input: Folder that appears read-only as ``/input``; its files are readable for everyone.
        outputs: Names of the files that are collected from ``/output``.
        limits: What a run may use.
        environment: Further variables, named ``AISC_…``.
        command: Program and arguments; empty for the image's own entry point.
        image_limits: Caps on the archive.
        keep_at_timeout: Whether the outputs are collected as well when the time is up.
    """

    input: Path
    outputs: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    image_limits: ImageLimits = field(default_factory=ImageLimits)
    keep_at_timeout: bool = False

    def request(self, digest: str, output: Path) -> SandboxRequest:
        """Ask for one run of a program of this digest."""
        return SandboxRequest(
            digest, self.command, self.input, output, self.outputs, self.limits, self.environment, self.keep_at_timeout
        )


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a submission.

    Attributes:
        program: The image or the starter that ran; ``None`` if the submission was refused before.
        result: The verdict with its evidence; its ``driver`` is ``process`` for a run outside a sandbox.
    """

    program: CheckedImage | StarterName | None
    result: SandboxResult

    @property
    def confined(self) -> bool:
        """Whether a sandbox stood around the run; boards mark the others."""
        return self.result.driver != DRIVER


def images_cache(cache: Path) -> Path:
    """Give the place of images in a machine's cache folder."""
    return cache / "images"


def machine_choice(images: Path, name: str = "") -> Choice:
    """Choose a driver of this machine, which keeps what it unpacks in the cache of images.

    Args:
        images: The cache.
        name: The driver that a round began on; ``""`` for the strongest there is.

    Raises:
        UsageError: ``SANDBOX_NONE``: no sandbox works here, so no stranger's program runs here.
        PlatformError: ``SANDBOX_CHANGED``: the named driver no longer works.
    """
    unpacked = images / _UNPACKED
    return named_driver(name, unpacked) if name else choose_driver(unpacked)


def run_image(
    archive: Path,
    task: Task,
    output: Path,
    images: Path,
    driver: str = "",
    archive_sha256: str = "",
    choose: Callable[[Path, str], Choice] = machine_choice,
) -> Ran:
    """Run a submission: an image's archive in the sandbox, or a starter of this repository as a plain process.

    Args:
        archive: ``docker save`` or OCI archive, or ``starter.json``.
        task: What it is run on.
        output: Existing empty folder of ours for the declared files.
        images: Cache of checked images; made if missing; may be deleted while nothing runs.
        driver: Name of the driver that the round began on and was proven with; ``""`` for the strongest there is.
        archive_sha256: Digest of the archive if the caller has proved it; else it is computed here.
        choose: Gives the driver; not asked for a starter or a refused archive.

    Returns:
        What became of it; faults of the platform while it runs are a verdict as well.

    Raises:
        UsageError: ``SANDBOX_NONE`` and what the drivers raise for an operator's mistake.
        PlatformError: ``SANDBOX_ADMIT``: the driver cannot store the image; ``SANDBOX_CHANGED``.
    """
    program, findings = check_program(archive, task.image_limits, images, archive_sha256)
    if program is None:
        return Ran(None, refused_result(_NONE, findings))
    if isinstance(program, StarterName):
        return Ran(program, run_starter(program.track, program.name, task.request(program.digest, output)))
    chosen = choose(images, driver).driver
    chosen.admit(program)
    return Ran(program, chosen.run(task.request(program.digest, output)))


def check_program(
    archive: Path, limits: ImageLimits, images: Path, archive_sha256: str = ""
) -> tuple[CheckedImage | StarterName | None, Findings]:
    """Check a submission without running it; arguments as in :func:`run_image`.

    Returns:
        The program, or ``None`` with the rules that it breaks.
    """
    try:
        starter = named_starter(archive)
    except RuleBrokenError as broken:
        findings = Findings()
        findings.add(broken.finding(archive.name))
        return None, findings
    return (starter, Findings()) if starter else _checked(archive, images, limits, archive_sha256)


def _checked(
    archive: Path, images: Path, limits: ImageLimits, archive_sha256: str
) -> tuple[CheckedImage | None, Findings]:
    """Check an archive, or find in the cache that the same bytes passed the same rules before."""
    checked, known = images / _CHECKED, images / _KNOWN
    for folder in (checked, known):
        folder.mkdir(parents=True, exist_ok=True)
    name = f"{archive_sha256 or _sha256(archive)} {limits} {code_digest()}"
    note = known / hashlib.sha256(name.encode()).hexdigest()
    image = stored_image(checked, note.read_text(), limits) if note.exists() else None
    if image is not None:
        return image, Findings()
    verdict = check_image(archive, checked, limits)
    if verdict.image is not None:
        written = note.with_suffix(f".{verdict.image.folder.name}")
        written.write_text(verdict.image.digest)
        written.replace(note)
    return verdict.image, verdict.findings


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
