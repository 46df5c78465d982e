"""A Triton server on this machine, started from a model repository, probed by canaries and started again when sick."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from aisc.adapters.triton_link import MEMORY_KEY, Endpoint
from aisc.errors import PlatformError, UsageError
from aisc.victims import serving as scripts
from aisc.victims.serving.probe import find_sick

FOLDER: Final = "AISC_TRITON"
"""Environment variable: the folder that ``images/victims/install.sh`` filled."""
_STARTER: Final = Path(scripts.__file__).parent / "serve.sh"
_HOST: Final = "127.0.0.1"
_ENDING_S: Final = 10.0
_LOOK_S: Final = 0.2


class Ports(NamedTuple):
    """TCP ports on loopback."""

    http: int
    grpc: int
    metrics: int


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


def find_triton(environ: Mapping[str, str], fallback: Path | None = None) -> Path:
    """Find the server's program: in the folder that AISC_TRITON names, in a given one, or on PATH.

    Raises:
        UsageError: TRITON_MISSING.
    """
    folders = [Path(environ[FOLDER])] if environ.get(FOLDER) else [fallback] if fallback else []
    for folder in folders:
        if (folder / "tritonserver").is_file():
            return (folder / "tritonserver").absolute()
    found = shutil.which("tritonserver", path=environ.get("PATH"))
    if found is None or environ.get(FOLDER):
        raise UsageError(
            "TRITON_MISSING",
            f"No Triton server is installed in {environ.get(FOLDER) or fallback or 'a folder that AISC_TRITON names'}.",
            "Run 'sh images/victims/install.sh FOLDER' and set AISC_TRITON=FOLDER, or use the victims' image.",
        )
    return Path(found)


@contextmanager
def serving(
    repository: Path, program: Path, *, ports: Ports | None = None, care: Care | None = None
) -> Iterator["TritonServer"]:
    """Serve a model repository on loopback for as long as the context lasts.

    Args:
        repository: What ``write_model_repository`` wrote.
        program: The server, from ``find_triton``.
        ports: Where to listen; free ports when not given.
        care: How to watch it.

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
        server = TritonServer(repository.absolute(), program, ports or _free_ports(), care or Care(), Path(folder))
        try:
            server.begin()
            yield server
        finally:
            server.end()


class TritonServer:
    """The process and the thread that watches it."""

    def __init__(self, repository: Path, program: Path, ports: Ports, care: Care, folder: Path) -> None:
        """Prepare; nothing runs yet. ``folder`` gets the log."""
        self._repository, self._program, self._care = repository, program, care
        self.ports = ports
        self.url = f"http://{_HOST}:{ports.http}"
        self.log = folder / "triton.log"
        self.restarts = 0
        self._key = secrets.token_hex(24)
        self._regions = f"aisc-triton-{secrets.token_hex(6)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        self._failure: str | None = None
        self._watcher = threading.Thread(target=self._watch, name="triton", daemon=True)

    @property
    def endpoint(self) -> Endpoint:
        """Where and how clients on this machine reach the victims."""
        return Endpoint(f"{_HOST}:{self.ports.grpc}", self._key)

    @property
    def pid(self) -> int:
        """The server's process; another one after a restart."""
        return self._process.pid if self._process else 0

    @property
    def failure(self) -> str | None:
        """Why the server was given up, if it was."""
        return self._failure

    def begin(self) -> None:
        """Start and wait until every model is right.

        Raises:
            PlatformError: TRITON_FAILED.
        """
        self._watcher.start()
        self._ready.wait()
        if self._failure:
            raise PlatformError("TRITON_FAILED", self._failure, "Look up the last lines in Triton's documentation.")

    def end(self) -> None:
        """Stop the watcher, then the server."""
        self._over.set()
        self._watcher.join()

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

    def _start(self) -> None:
        names = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT")
        settings = {f"AISC_TRITON_{name}": str(port) for name, port in zip(names, self.ports, strict=True)}
        passed = {name: os.environ[name] for name in ("PATH", "AISC_VICTIM_THREADS") if name in os.environ}
        environment = passed | settings | {
            "AISC_TRITON_HOST": _HOST, "AISC_TRITON_REGIONS": self._regions, MEMORY_KEY: self._key,
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
                return "it ended at once"
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
        """End the server and its Python processes, and remove the memory that a killed one leaves behind.

        A sick server is killed: asking it to finish what it does would only make everyone wait.
        """
        process, self._process = self._process, None
        if process is None:
            return
        for order in (signal.SIGTERM, signal.SIGKILL) if self._over.is_set() else (signal.SIGKILL,):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, order)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_S)
        for left in Path("/dev/shm").glob(f"{self._regions}*"):  # noqa: S108 - where Linux keeps shared memory
            left.unlink(missing_ok=True)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line.startswith(("E", "W", "error", "Bad"))] or lines
        return " / ".join(told[-4:])[-900:]


def _free_ports() -> Ports:
    sockets = [socket.socket() for _ in range(3)]
    try:
        for one in sockets:
            one.bind((_HOST, 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
    finally:
        for one in sockets:
            one.close()
