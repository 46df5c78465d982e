"""A job on this machine: which processes are its own, and how its end reads."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from aisc.cli.rounds import check_end
from aisc.engine.local import LocalJob
from aisc.errors import PlatformError, TransientError
from aisc.ledger.leases import this_process

WITH_A_CHILD = (
    "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
)
Start = Callable[[str], LocalJob]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start(program)`` starts a job in a group of its own; what is left of it ends with the test."""
    processes = []

    def begin(program: str) -> LocalJob:
        log = tmp_path / "job.log"
        with log.open("wb") as sink:
            command = [sys.executable, "-c", program]
            processes.append(subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True))
        return LocalJob(processes[-1], log, tmp_path / "root")

    yield begin
    for process in processes:
        for one in [*_below(process.pid), process]:
            one.kill()
        process.wait()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def owner(pid: int) -> str:
    """Name a process as the ledger does."""
    host = this_process().rsplit(":", 2)[0]
    return f"{host}:{pid}:0"


def test_a_job_leads_what_it_started_and_nothing_else(start: Start) -> None:
    job = start(WITH_A_CHILD)
    while not job.log.read_text().strip():
        pass
    child = int(job.log.read_text())
    assert job.leads(owner(child))
    assert not job.leads(this_process())
    assert not job.leads(f"another-machine:{child}:0")
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert job.leads(owner(gone.pid)), "what has ended is nobody to wait for"


def test_F01_a_job_ended_by_a_signal_was_stopped_and_did_not_fail(start: Start) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        job = start("import time; time.sleep(60)")
        os.kill(job.pid, number)
        with pytest.raises(TransientError, match=r"^ROUND_STOPPED: The round of a/b was stopped") as caught:
            check_end(job, "The round of a/b")
        assert "goes on where it was" in caught.value.remedy


def test_a_job_that_fails_says_why(start: Start) -> None:
    job = start("raise __import__('aisc.errors').errors.UsageError('A_CODE', 'Something is wrong.')")
    with pytest.raises(PlatformError, match=r"^ROUND_FAILED.*: A_CODE: Something is wrong\. Read"):
        check_end(job, "The round of a/b")
    check_end(start("pass"), "The round of a/b")
