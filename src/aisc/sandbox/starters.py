"""The starter kits of this repository as plain processes, so that a machine without a sandbox can show a whole season.

What is submitted only *names* a starter: a small JSON file in the place of an image archive. The code that runs is the
packaged one, never anything from the submission, and the result names the driver ``process``, so that boards mark it.
"""

import hashlib
import json
import math
import os
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, TypeGuard

from aisc.errors import UsageError
from aisc.sandbox.cgroups import Usage
from aisc.sandbox.child_process import ChildProcess
from aisc.sandbox.contract import BASE_ENVIRONMENT, Limits, SandboxRequest, SandboxResult
from aisc.sandbox.finish import Start, run_to_the_end
from aisc.sandbox.volumes import Volumes
from aisc.submission.findings import Rule, RuleBrokenError

DRIVER: Final = "process"
"""Name in the result of a run without a sandbox."""
FORMAT: Final = "aisc.starter/1"
PROGRAM: Final = "run.py"
LARGEST_NAME: Final = 4096
"""Bytes of the largest file that is read as the name of a starter; an image's archive is larger."""
_OPEN_FILES: Final = 1024
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHARED_KITS: Final = {
    f"{task}-{side}": f"safair-{side}" for task in ("reid", "attributes") for side in ("attack", "defence")
}
"""Kits that serve two tracks, by the track: their programs read in task.json which task they are at."""
_RULE: Final = Rule(
    "STARTER_UNKNOWN", "refused", 'Write {"format": "aisc.starter/1", "track": …, "name": …} with a starter of ours.'
)


@dataclass(frozen=True, slots=True)
class StarterName:
    """What a submission names.

    Attributes:
        track: The track whose starter kit it is.
        name: The method inside the kit.
    """

    track: str
    name: str

    @property
    def digest(self) -> str:
        """Name the code that runs, as an image's digest does: the method and every file of the kit."""
        total = hashlib.sha256(f"{FORMAT} {self.track} {self.name}\0".encode())
        folder = starter_folder(self.track)
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            # What tools leave behind is no part of the program.
            if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in name.parts):
                total.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return f"sha256:{total.hexdigest()}"


def named_starter(submission: Path) -> StarterName | None:
    """Read a submission that names a starter; ``None`` if it is something else, such as an image's archive.

    Raises:
        RuleBrokenError: ``STARTER_UNKNOWN``: there is no such starter kit.
    """
    if submission.stat().st_size > LARGEST_NAME:
        return None
    try:
        value = json.loads(submission.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return None
    track, name = value.get("track"), value.get("name")
    if set(value) != {"format", "track", "name"} or not (_is_name(track) and _is_name(name)):
        raise RuleBrokenError(_RULE, "A starter is named by its track and its name, in small letters, digits and `-`.")
    if not (starter_folder(track) / PROGRAM).is_file():
        raise RuleBrokenError(_RULE, f"The track {track} has no starter that can be run.")
    return StarterName(track, name)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= 40 and _NAME.fullmatch(value) is not None


def starter_folder(track: str) -> Path:
    """Give the folder of a track's starter kit, in a wheel or a checkout; it need not exist."""
    kit = _SHARED_KITS.get(track, track)
    installed = Path(str(resources.files("aisc"))) / "starters" / kit
    return installed if installed.is_dir() else Path(__file__).parents[3] / "images" / "starters" / kit


def run_starter(track: str, name: str, request: SandboxRequest) -> SandboxResult:
    """Run a starter of ours: same verdicts and the same collector as in a sandbox, but no wall around it.

    Args:
        track: The track.
        name: The method, handed to the kit's program as ``--method``.
        request: What to run; its ``command`` is not used. ``/input`` and ``/output`` are the program's ``--input`` and
            ``--output``, and ``AISC_INPUT`` and ``AISC_OUTPUT`` in its environment.

    Returns:
        The result with the driver ``process``. Time, cores, the log, the sizes of files and the declared outputs are
        limited; memory is limited a process.

    Raises:
        UsageError: ``STARTER_MISSING``: this installation has no such kit; ``SANDBOX_NO_GPU``.
    """
    program = starter_folder(track) / PROGRAM
    if not (_is_name(track) and _is_name(name)) or not program.is_file():
        raise UsageError("STARTER_MISSING", f"There is no runnable starter kit for {track!a}.", "Reinstall aisc.")
    command = (sys.executable, "-s", "-B", str(program), "--method", name)
    group = _Following()

    @contextmanager
    def start(request: SandboxRequest, start: Start) -> Iterator[ChildProcess]:
        folders = start.volumes
        words = (*command, "--input", str(folders.input), "--output", str(folders.output))
        child = _Child(words, _environment(request, folders), folders.tmp, start.log)
        group.child = child
        try:
            _limit(child.process.pid, request.limits)
            yield child
        finally:
            child.close()

    return run_to_the_end(DRIVER, request, lambda _: group, start, _plain_folders)


def _environment(request: SandboxRequest, folders: Volumes) -> dict[str, str]:
    """Give an environment that inherits nothing of ours, credentials least of all."""
    scratch = {"HOME": str(folders.tmp), "TMPDIR": str(folders.tmp)}
    places = {"AISC_INPUT": str(folders.input), "AISC_OUTPUT": str(folders.output)}
    # One thread a CPU that the run may use: libraries would otherwise take every core of the machine.
    threads = {"OMP_NUM_THREADS": str(math.ceil(request.limits.cpus))}
    return {**BASE_ENVIRONMENT, **threads, **request.environment, **scratch, **places}


def _limit(process: int, limits: Limits) -> None:
    most = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.tmp_bytes + limits.output_bytes,
    }
    cores = sorted(os.sched_getaffinity(0))
    # As many cores as it may use CPUs; which ones differs from run to run.
    chosen = {cores[(process + number) % len(cores)] for number in range(math.ceil(limits.cpus))}
    with suppress(ProcessLookupError):  # it has ended already
        os.sched_setaffinity(process, chosen)
        for kind, value in most.items():
            resource.prlimit(process, kind, (value, value))


class _Child(ChildProcess):
    """A starter; what it left running ends with it, while its number still names its group."""

    def _reap(self) -> None:
        self._kill_all()
        super()._reap()


@contextmanager
def _plain_folders(input_folder: Path, _: Limits) -> Iterator[Volumes]:
    base = Path(tempfile.mkdtemp(prefix="aisc-starter-"))
    try:
        for name in ("tmp", "output"):
            (base / name).mkdir()
        yield _Unsized(input_folder.resolve(), base / "tmp", base / "tmp", base / "output")
    finally:
        shutil.rmtree(base, ignore_errors=True)


class _Unsized(Volumes):
    """Folders on the machine's own disk: if that is full, it is not the program's fault."""

    def full(self) -> tuple[str, ...]:
        return ()


class _Following:
    """Where there is no control group: usage as the kernel reports it at the end of the child."""

    runtime_parent = ""
    process_files = ()
    child: ChildProcess | None = None

    def usage(self) -> Usage:
        if self.child is None:
            return Usage()
        return Usage(peak_memory_bytes=self.child.peak_memory_bytes, cpu_seconds=self.child.cpu_seconds)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()

    def close(self) -> None:
        """Leave nothing: there is nothing to remove."""
