"""A Triton server on this machine, started from a model repository, probed by canaries and started again when sick."""

import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisc.adapters.triton_endpoint import MEMORY_KEY, Endpoint
from aisc.adapters.triton_program import LOOPBACK, Ports, free_ports
from aisc.errors import PlatformError, UsageError
from aisc.victims import serving as scripts
from aisc.victims.serving.probe import find_sick

_STARTER: Final = Path(scripts.__file__).parent / "serve.sh"
_LOOK_S: Final = 0.2
_ENDING_S: Final = 5.0
_PAUSE_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Care:
    """How a server is watched.

    Attributes:
        start_s: Seconds until every model must answer its canary.
        watch_s: Seconds between two probes; two bad ones in a row, or a dead process, and the server starts again.
        answer_s: Seconds that a model may take to answer a probe.
        restarts: Restarts in a row that may fail before the server is given up.
    """

    start_s: float = 120.0
    watch_s: float = 5.0
    answer_s: float = 30.0
    restarts: int = 3


@contextmanager
def serving(
    repository: Path, program: Path, *, ports: Ports | None = None, care: Care | None = None, key: str | None = None
) -> Iterator["TritonServer"]:
    """Serve a model repository on loopback for as long as the context lasts.

    Args:
        repository: What ``write_model_repository`` wrote.
        program: The server, from ``find_triton``.
        ports: Where to listen; free ports when not given.
        care: How to watch it.
        key: What lets callers of this machine use shared memory; drawn at random when not given.

    Yields:
        The server, once every model has answered its canary.

    Raises:
        UsageError: SERVING_EMPTY when the folder holds no model.
        PlatformError: TRITON_FAILED with the end of its log, when it does not come up.
    """
    if not any(repository.glob("*/config.pbtxt")):
        message = f"{repository} holds no model."
        raise UsageError("SERVING_EMPTY", message, "Write one with 'aisc victims export --repository'.")
    with tempfile.TemporaryDirectory(prefix="aisc-triton-") as folder:
        known = key or secrets.token_hex(24)
        server = TritonServer(
            repository.absolute(), program, ports or free_ports(), care or Care(), known, Path(folder)
        )
        try:
            server.begin()
            yield server
        finally:
            server.end()


class TritonServer:
    """The process and the thread that watches it."""

    def __init__(self, repository: Path, program: Path, ports: Ports, care: Care, key: str, folder: Path) -> None:
        """Prepare; nothing runs yet. ``folder`` gets the log."""
        self._repository, self._program, self._care = repository, program, care
        self.ports = ports
        self.url = f"http://{LOOPBACK}:{ports.http}"
        self.metrics_url = f"http://{LOOPBACK}:{ports.metrics}/metrics"
        self.log = folder / "triton.log"
        self.restarts = 0
        self._key = key
        self._regions = f"aisc-triton-{secrets.token_hex(6)}"
        self._process: subprocess.Popen[bytes] | None = None
        # Events, for a join that Ctrl-C interrupts takes the thread for ended (Python 3.11).
        self._ready, self._over, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._failure: str | None = None
        self._watcher = threading.Thread(target=self._watch, name="triton", daemon=True)

    @property
    def endpoint(self) -> Endpoint:
        """Where and how clients on this machine reach the victims."""
        return Endpoint(f"{LOOPBACK}:{self.ports.grpc}", self._key)

    @property
    def pid(self) -> int:
        """The server's process; another one after a restart."""
        return self._process.pid if self._process else 0

    def begin(self) -> None:
        """Start and wait until every model is right.

        Raises:
            PlatformError: TRITON_FAILED.
        """
        self._watcher.start()
        self._ready.wait()
        if self._failure:
            raise self._failed()

    def wait(self, seconds: float) -> None:
        """Wait a while, or until the server is given up.

        Raises:
            PlatformError: TRITON_FAILED.
        """
        self._ended.wait(seconds)
        if self._failure:
            raise self._failed()

    def end(self) -> None:
        """Stop the watcher, then the server."""
        self._over.set()
        if self._watcher.ident is not None:
            self._ended.wait()

    def _watch(self) -> None:
        """Own the process from start to end: it dies with the thread that started it."""
        try:
            failed = 0
            while not self._over.is_set():
                self._start()
                trouble = self._wait_until_well()
                failed = failed + 1 if trouble else 0
                if trouble and (not self._ready.is_set() or failed > self._care.restarts):
                    self._failure = f"Triton does not serve {self._repository}: {trouble}; its log ends: {self._tail()}"
                    return
                self._ready.set()
                if not trouble:
                    self._wait_until_sick()
                self._stop()
                if not self._over.is_set():
                    self.restarts += 1
        finally:
            self._stop()
            self._ready.set()
            self._ended.set()

    def _start(self) -> None:
        names = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT")
        settings = {f"AISC_TRITON_{name}": str(port) for name, port in zip(names, self.ports, strict=True)}
        passed = {name: os.environ[name] for name in ("PATH", "AISC_VICTIM_THREADS") if name in os.environ}
        environment = passed | settings | {
            "AISC_TRITONLOOPBACK": LOOPBACK, "AISC_TRITON_REGIONS": self._regions, MEMORY_KEY: self._key,
            "TRITONSERVER": str(self._program),
        }  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                ["setpriv", "--pdeathsig", "KILL", "--", "sh", str(_STARTER), str(self._repository)],  # noqa: S607
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, process_group=0,
            )  # fmt: skip

    def _wait_until_well(self) -> str:
        """Wait for every canary; give what is wrong when that takes too long."""
        deadline = time.monotonic() + self._care.start_s
        trouble = "it was stopped"
        while not self._over.wait(_LOOK_S):
            if self._process is None or self._process.poll() is not None:
                return f"it ended at once ({self._process.returncode if self._process else 'not started'})"
            sick = find_sick(self._repository, self.url, self._care.answer_s)
            if not sick:
                return ""
            trouble = "; ".join(f"{name}: {wrong}" for name, wrong in sick.items())[:500]
            if time.monotonic() > deadline:
                return trouble
        return trouble

    def _wait_until_sick(self) -> None:
        bad, due = 0, time.monotonic() + self._care.watch_s
        while bad < 2 and not self._over.wait(_LOOK_S):
            if self._process is None or self._process.poll() is not None:
                return
            if time.monotonic() >= due:
                bad = bad + 1 if find_sick(self._repository, self.url, self._care.answer_s) else 0
                due = time.monotonic() + (0 if bad else self._care.watch_s)

    def _stop(self) -> None:
        """End the server and its Python processes, and remove the memory that they leave behind.

        Killed, not asked: a sick server would not answer, a well one takes five to ten seconds to part with idle
        models, and a caller sends again whatever was under way.
        """
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + _ENDING_S
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)  # as long as one of its children is left
                time.sleep(_PAUSE_S)
        for left in Path("/dev/shm").glob(f"{self._regions}*"):  # noqa: S108 - where Linux keeps shared memory
            left.unlink(missing_ok=True)

    def _failed(self) -> PlatformError:
        return PlatformError(
            "TRITON_FAILED", str(self._failure), "See docs/runbooks/victims.md; then Triton's own words."
        )

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line and line[0] not in "I+|"] or lines  # neither news nor tables
        return " / ".join(told[-4:])[-900:]
