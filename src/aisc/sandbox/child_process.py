"""A program that is a child process of ours: its words on the log, its end without polling, its usage."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from aisc.errors import PlatformError
from aisc.sandbox.bounded_log import BoundedLog

_END_SECONDS: Final = 30
_CHUNK: Final = 1 << 16


class ChildProcess:
    """A started child in a session of its own, as the supervisor sees it.

    Args:
        words: Program and arguments.
        environment: All variables that it sees.
        folder: Where it starts.
        log: Hears standard output and standard error.
        files: Numbers of open files that it inherits.

    Attributes:
        cpu_seconds: CPU time of the child and of those it waited for; 0 before its end.
        peak_memory_bytes: Most memory of the largest of them; 0 before its end.

    Raises:
        PlatformError: ``SANDBOX_START``: the program cannot be started.
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: BoundedLog,
        files: Sequence[int] = (),
    ) -> None:
        """Start it and listen."""
        self.cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        try:
            self.process = subprocess.Popen(  # noqa: S603 - a stranger's words come after bubblewrap's `--`
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=files,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise PlatformError("SANDBOX_START", f"{words[0]} does not start: {error}.") from error
        self._handle = os.pidfd_open(self.process.pid)
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        self._reader = threading.Thread(target=_read, args=(self.process.stdout, log), daemon=True)
        self._reader.start()

    def ended(self, seconds: float) -> bool:
        """Wait for the end."""
        if self.process.returncode is not None:
            return True
        # Waiting for the process itself with a time limit would look every 50 ms; its handle wakes us at once.
        if not select.select([self._handle], [], [], seconds)[0]:
            return False
        self._reap()
        return True

    def _reap(self) -> None:
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = used.ru_utime + used.ru_stime
        self.peak_memory_bytes = used.ru_maxrss << 10

    def kill(self) -> None:
        """Kill it and whatever it started, and wait for its end."""
        self._kill_all()
        self.ended(_END_SECONDS)

    def _kill_all(self) -> None:
        """Kill the session that it leads; while it is not reaped, its number cannot be anyone else's."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def exit_code(self) -> int | None:
        """Give the exit status, 128 + n after signal n."""
        code = self.process.returncode
        return 128 - code if code is not None and code < 0 else code

    def oom_reported(self) -> bool:
        """Whether a runtime says so; here the kernel is asked directly."""
        return False

    def close(self) -> None:
        """Kill what is left and hear its last words."""
        self.kill()
        self._reader.join(timeout=5)
        os.close(self._handle)


def _read(stream: IO[bytes], log: BoundedLog) -> None:
    with stream:
        log.feed(iter(lambda: os.read(stream.fileno(), _CHUNK), b""))
