"""Find the strongest sandbox of this machine and say which it is; there is no way around having one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.cgroups import why_no_cgroups
from aisc.sandbox.contract import SandboxDriver

INSTALL: Final = (
    "As root on Debian: apt-get install --no-install-recommends docker.io runsc bubblewrap libseccomp2, start dockerd "
    "with the cgroupfs driver and runsc as a runtime, and set DOCKER_HOST; see docs/runbooks/sandbox.md."
)
STRENGTH: Final = ("docker+runsc", "docker+runc", "bubblewrap")
"""Drivers, strongest first: gVisor puts a second kernel between the program and ours."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found.

    Attributes:
        driver: The strongest driver that works here.
        passed_over: Why each stronger one does not, for people to read.
    """

    driver: SandboxDriver
    passed_over: tuple[str, ...]

    @property
    def aloud(self) -> str:
        """One line for the terminal and the run's record."""
        return f"sandbox: {self.driver.name}" + "".join(f" (not {reason})" for reason in self.passed_over)


def choose_driver(images: Path, docker_url: str | None = None) -> Choice:
    """Give the strongest driver.

    Args:
        images: Folder where bubblewrap keeps unpacked images.
        docker_url: Where a Docker daemon listens; ``None`` for what ``DOCKER_HOST`` says.

    Raises:
        UsageError: ``SANDBOX_NONE``: none works, so no participant's program may run on this machine.
    """
    reasons: list[str] = []
    for name, make in _makers(images, docker_url):
        try:
            return Choice(make(), tuple(reasons))
        except UsageError as error:
            reasons.append(f"{name}: {error.message}")
    raise UsageError("SANDBOX_NONE", "No sandbox works on this machine: " + " ".join(reasons), INSTALL)


def named_driver(name: str, images: Path, docker_url: str | None = None) -> Choice:
    """Give one driver, such as the one that a round began on: no run of it may fall back to a weaker one.

    Args:
        name: Such as ``docker+runsc``.
        images: As for :func:`choose_driver`.
        docker_url: As for :func:`choose_driver`.

    Raises:
        PlatformError: ``SANDBOX_CHANGED``: it does not work now.
    """
    why = "there is no such driver"
    for each, make in _makers(images, docker_url):
        try:
            if each == name:
                return Choice(make(), ())
        except UsageError as error:
            why = error.message
    raise PlatformError(
        "SANDBOX_CHANGED",
        f"The round began on the sandbox {name}, which does not work now: {why}",
        "Bring it back, or start the round anew, so that it proves the one that works.",
    )


def available_drivers(images: Path, docker_url: str | None = None) -> tuple[list[SandboxDriver], list[str]]:
    """Give every driver that works here, strongest first, and why the others do not."""
    found: list[SandboxDriver] = []
    reasons: list[str] = []
    for name, make in _makers(images, docker_url):
        try:
            found.append(make())
        except UsageError as error:
            reasons.append(f"{name}: {error.message} {error.remedy}")
    return found, reasons


def _makers(images: Path, docker_url: str | None) -> Iterator[tuple[str, Callable[[], SandboxDriver]]]:
    yield "docker+runsc", lambda: _docker(docker_url, "runsc")
    yield "docker+runc", lambda: _docker(docker_url, "runc")
    yield "bubblewrap", lambda: _bubblewrap(images)


def _docker(url: str | None, runtime: str) -> SandboxDriver:
    why = why_no_cgroups()
    if why:
        raise UsageError("SANDBOX_CGROUPS", f"no control groups: {why}.", "Run as root.")
    try:
        from aisc.sandbox.docker_driver import DockerDriver
    except ImportError as error:
        raise UsageError("SANDBOX_DOCKER", "the Docker SDK is not installed.", "pip install docker") from error
    return DockerDriver(url, runtime)


def _bubblewrap(images: Path) -> SandboxDriver:
    from aisc.sandbox.bubblewrap_driver import BubblewrapDriver

    return BubblewrapDriver(images)
