"""The engine of one machine: every package in a process of its own, side by side as far as the cores allow."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from aisc.adapters.workbench import CACHE, LEDGER, STORE
from aisc.ledger.leases import is_dead, this_process

LOGS = "AISC_LOGS"
SIGNING_KEY = "AISC_SIGNING_KEY"


class LocalJob:
    """A package that runs in a child process; what it left in its folder goes once its end is noticed."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, root: Path) -> None:
        self._process = process
        self._root = root
        self.log = log

    @property
    def pid(self) -> int:
        """The process that leads the package's group."""
        return self._process.pid

    def leads(self, owner: str) -> bool:
        """Say whether the owner of a run's lease is a process that this job started; one that has ended was."""
        host, pid, _ = owner.rsplit(":", 2)
        try:
            return host == socket.gethostname() and self.pid in {one.pid for one in psutil.Process(int(pid)).parents()}
        except psutil.NoSuchProcess:
            return True

    def exit_code(self) -> int | None:
        """Give the exit code, or ``None`` while it runs."""
        code = self._process.poll()
        if code is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        return code

    def wait(self) -> int:
        """Wait for the end and give the exit code."""
        code = self._process.wait()
        shutil.rmtree(self._root, ignore_errors=True)
        return code


class LocalEngine:
    """Starts packages as child processes.

    Args:
        cache: Folder of derived data; pipelines' artifacts live below it while they run.
        logs: Folder of the logs, one file a package.
        environment: Variables that tasks get beside this process's own.
    """

    def __init__(self, cache: Path, logs: Path, environment: Mapping[str, str]) -> None:
        self._cache = cache
        self._logs = logs
        self._environment = dict(environment)

    @classmethod
    def from_environment(cls) -> "LocalEngine":
        """Build the engine inside a task, from what the outer engine passed on."""
        passed = {name: os.environ[name] for name in (LEDGER, STORE, CACHE, LOGS)}
        return cls(Path(passed[CACHE]), Path(passed[LOGS]), passed)

    def slots(self, pending: int) -> int:
        """Say how many runs may go side by side: one a core, and never more than there is work."""
        return max(1, min(pending, len(os.sched_getaffinity(0))))

    def start(self, package: str, arguments: Mapping[str, Any], *, name: str, slots: int = 1) -> LocalJob:
        """Start a package.

        Args:
            package: Name of the compiled package.
            arguments: The pipeline's parameters.
            name: Names the log file.
            slots: How many packages share the cores; each gets its part of the threads.
        """
        log = self._logs / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        root = self._root()
        threads = str(max(1, len(os.sched_getaffinity(0)) // slots))
        environment = os.environ | self._environment | {"OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
        # Set inside a task, and a package that starts there must not take itself for one: kfp would not import.
        environment.pop("_KFP_RUNTIME", None)
        with log.open("ab") as sink:
            words = [package, json.dumps(dict(arguments)), str(root), str(os.getpid())]
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "aisc.engine.worker", *words],
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        return LocalJob(process, log, root)

    def _root(self) -> Path:
        """Make a job's folder under this process's name, and remove those of processes that were killed."""
        roots = self._cache / "pipelines"
        roots.mkdir(parents=True, exist_ok=True)
        for left in roots.iterdir():
            if is_dead(left.name.partition("~")[0].replace("+", ":")):
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{this_process().replace(':', '+')}~", dir=roots))
