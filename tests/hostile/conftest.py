"""Every driver of this machine, with a Docker daemon of our own, and one bench each for the whole corpus."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from aisc.sandbox.attacks import read_corpus
from aisc.sandbox.choose import available_drivers
from aisc.sandbox.contract import SandboxDriver
from aisc.sandbox.corpus import Bench, opened_bench
from tests.services import docker_daemon


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, SandboxDriver], str]]:
    images = tmp_path_factory.mktemp("images")
    for folder in (images, *images.parents[:2]):
        folder.chmod(0o711)
    with ExitStack() as stack:
        url = "unix:///nowhere"
        if not docker_daemon.why_not():
            url = stack.enter_context(docker_daemon.running_docker()).url
        found, reasons = available_drivers(images, url)
        yield {driver.name: driver for driver in found}, " ".join(reasons)


@pytest.fixture(scope="session", params=["docker+runsc", "docker+runc", "bubblewrap"])
def bench(request: pytest.FixtureRequest, drivers: tuple[dict[str, SandboxDriver], str]) -> Iterator[Bench]:
    found, reasons = drivers
    if request.param not in found:
        pytest.skip(f"{request.param} not here ({reasons}): run 'sudo tests/services/install_sandbox.sh'")
    with opened_bench(found[request.param], read_corpus()) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and blocked, a line a driver."""
    counts: Counter[tuple[str, bool]] = Counter()
    for report in (report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)):
        if report.when == "call":
            counts.update(tuple(value) for name, value in report.user_properties if name == "attack tried")
    for driver in sorted({driver for driver, _ in counts}):
        blocked = counts[driver, True]
        terminalreporter.write_line(f"{driver}: {blocked + counts[driver, False]} attacks tried, {blocked} blocked")
