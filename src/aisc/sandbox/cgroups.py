"""A control group for each run: limits on memory, processes and CPU, what was used, and a sure kill.

Both versions of the kernel's interface are spoken, whichever the machine mounts. Our group is the *parent* of what a
container runtime makes, so that limits and counters outlive the container and do not depend on what a runtime reports.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.contract import Limits

PARENT: Final = "aisc-sandbox"
_CPU_PERIOD_US: Final = 100_000
_KILL_SECONDS: Final = 20.0
_NEEDED: Final = ("memory", "pids", "cpu")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group used so far.

    Attributes:
        peak_memory_bytes: Most memory at once.
        cpu_seconds: CPU time of all processes, ended ones included.
        oom_events: How often the limit on memory was reached and a process killed for it.
        pids_events: How often the limit on processes was crossed.
    """

    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0
    oom_events: int = 0
    pids_events: int = 0


class ControlGroup(Protocol):
    """One run's group."""

    @property
    def runtime_parent(self) -> str:
        """Path that a container runtime is given as the parent of its own group."""

    @property
    def process_files(self) -> tuple[Path, ...]:
        """Files that a process writes its number to in order to join."""

    def usage(self) -> Usage:
        """Read the counters."""

    def kill(self) -> None:
        """Kill every process in the group, whatever it forks meanwhile.

        Raises:
            PlatformError: ``SANDBOX_SURVIVOR``: a process does not die.
        """

    def close(self) -> None:
        """Kill what is left and remove the group."""


def why_no_cgroups() -> str:
    """Say what is missing for control groups on this machine, or give ``""``."""
    if os.geteuid() != 0:
        return "not root, and only root may make control groups"
    try:
        _mounts()
    except UsageError as error:
        return error.message
    return ""


def new_group(name: str, limits: Limits, extra_processes: int = 0, extra_memory: int = 0) -> ControlGroup:
    """Make a group with the limits set.

    Args:
        name: Name of the run, unique on this machine.
        limits: The limits.
        extra_processes: Processes and threads of the runtime itself that are counted in the same group.
        extra_memory: Bytes that the runtime itself takes in the same group.

    Raises:
        UsageError: ``SANDBOX_CGROUPS``: this machine has no control groups that can be used.
        PlatformError: ``SANDBOX_CGROUPS``: the kernel refuses a limit.
    """
    mounts = _mounts()
    limits = replace(
        limits, processes=limits.processes + extra_processes, memory_bytes=limits.memory_bytes + extra_memory
    )
    try:
        if "unified" in mounts:
            return _GroupV2(mounts["unified"], name, limits)
        return _GroupV1(mounts, name, limits)
    except OSError as error:
        raise PlatformError("SANDBOX_CGROUPS", f"The kernel refuses the run's control group: {error}.") from error


def _mounts(mountinfo: Path = Path("/proc/self/mountinfo")) -> dict[str, Path]:
    """Find the hierarchies: ``{"unified": path}`` for version 2, one path a controller for version 1."""
    v1: dict[str, Path] = {}
    unified: Path | None = None
    for line in mountinfo.read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        place = Path(before.split(" ")[4])
        if kind == "cgroup2" and set(_NEEDED) <= set(_words(place / "cgroup.controllers")):
            unified = place
        elif kind == "cgroup2":
            v1["hybrid"] = place  # beside version 1, with no controller that we need
        elif kind == "cgroup":
            v1.update({option: place for option in options.split(",") if option != "rw"})
    if unified is not None:
        return {"unified": unified}
    missing = [controller for controller in (*_NEEDED, "cpuacct") if controller not in v1]
    if missing:
        raise UsageError(
            "SANDBOX_CGROUPS",
            f"No control group hierarchy with {', '.join(missing)} is mounted.",
            "Mount cgroup2 on /sys/fs/cgroup, or run on a machine whose control groups can be used.",
        )
    return v1


class _GroupV1:
    """Version 1: one folder a controller."""

    def __init__(self, mounts: dict[str, Path], name: str, limits: Limits) -> None:
        self.runtime_parent = f"/{PARENT}/{name}"
        # A runtime makes its groups in every hierarchy; all of them are removed at the end.
        self._every = sorted({mount / PARENT / name for mount in mounts.values()})
        self._folder = {controller: mounts[controller] / PARENT / name for controller in (*_NEEDED, "cpuacct")}
        for folder in self._folder.values():
            folder.mkdir(parents=True, exist_ok=True)
        self._processes = limits.processes
        self._pids_events = 0
        self._oom_kills = 0
        self._oom_notices = 0
        self._killing = False
        memory = self._folder["memory"]
        _write(memory / "memory.limit_in_bytes", limits.memory_bytes)
        if (memory / "memory.memsw.limit_in_bytes").exists():
            _write(memory / "memory.memsw.limit_in_bytes", limits.memory_bytes)
        # One more than allowed: whoever gets there has crossed the limit, and the peak proves it after the end.
        _write(self._folder["pids"] / "pids.max", limits.processes + 1)
        _write(self._folder["cpu"] / "cpu.cfs_period_us", _CPU_PERIOD_US)
        _write(self._folder["cpu"] / "cpu.cfs_quota_us", max(1000, int(limits.cpus * _CPU_PERIOD_US)))
        self._oom = _oom_notice(memory)

    @property
    def process_files(self) -> tuple[Path, ...]:
        return tuple(sorted({folder / "cgroup.procs" for folder in self._folder.values()}))

    def usage(self) -> Usage:
        memory, pids = self._folder["memory"], self._folder["pids"]
        self._oom_kills = max(self._oom_kills, _tree_count(memory, "memory.oom_control", "oom_kill"))
        with contextlib.suppress(BlockingIOError):
            self._oom_notices += os.eventfd_read(self._oom)
        if not self._killing:
            crossings = max(0, _number(pids / "pids.peak") - self._processes)
            self._pids_events = max(self._pids_events, _tree_count(pids, "pids.events", "max"), crossings)
        return Usage(
            peak_memory_bytes=_number(memory / "memory.max_usage_in_bytes"),
            cpu_seconds=_number(self._folder["cpuacct"] / "cpuacct.usage") / 1e9,
            oom_events=max(self._oom_kills, self._oom_notices),
            pids_events=self._pids_events,
        )

    def kill(self) -> None:
        self.usage()  # the counters as the program left them: forks fail from the next lines on
        self._killing = True
        _write(self._folder["pids"] / "pids.max", 0)
        _kill_by_number(self._folder["pids"])

    def close(self) -> None:
        try:
            self.kill()
        finally:
            os.close(self._oom)
            for folder in self._every:
                _remove(folder)


class _GroupV2:
    """Version 2: one folder, events counted up the tree, and a kill of the kernel's own."""

    def __init__(self, mount: Path, name: str, limits: Limits) -> None:
        self.runtime_parent = f"/{PARENT}/{name}"
        self._folder = mount / PARENT / name
        self._leaf = self._folder / "run"  # processes live in leaves only
        (mount / PARENT).mkdir(exist_ok=True)
        for place in (mount, mount / PARENT):
            _write(place / "cgroup.subtree_control", "+memory +pids +cpu")
        self._folder.mkdir()
        self._processes = limits.processes
        _write(self._folder / "memory.max", limits.memory_bytes)
        if (self._folder / "memory.swap.max").exists():
            _write(self._folder / "memory.swap.max", 0)
        _write(self._folder / "pids.max", limits.processes + 1)
        _write(self._folder / "cpu.max", f"{max(1000, int(limits.cpus * _CPU_PERIOD_US))} {_CPU_PERIOD_US}")
        _write(self._folder / "cgroup.subtree_control", "+memory +pids +cpu")
        self._leaf.mkdir()

    @property
    def process_files(self) -> tuple[Path, ...]:
        return (self._leaf / "cgroup.procs",)

    def usage(self) -> Usage:
        peak = _number(self._folder / "pids.peak")
        events = _tree_count(self._folder, "pids.events", "max")
        return Usage(
            peak_memory_bytes=_number(self._folder / "memory.peak"),
            cpu_seconds=_count(self._folder / "cpu.stat", "usage_usec") / 1e6,
            oom_events=_count(self._folder / "memory.events", "oom_kill"),
            pids_events=max(events, peak - self._processes, 0),
        )

    def kill(self) -> None:
        if (self._folder / "cgroup.kill").exists():
            _write(self._folder / "cgroup.kill", 1)
        _kill_by_number(self._folder)

    def close(self) -> None:
        try:
            self.kill()
        finally:
            _remove(self._folder)


def _oom_notice(memory: Path) -> int:
    """Ask the kernel to count into an event file whenever the group's memory limit is reached (version 1)."""
    notice = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    control = os.open(memory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _write(memory / "cgroup.event_control", f"{notice} {control}")
    finally:
        os.close(control)
    return notice


def _kill_by_number(folder: Path) -> None:
    deadline = time.monotonic() + _KILL_SECONDS
    while numbers := list(_processes(folder)):
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise PlatformError(
                "SANDBOX_SURVIVOR",
                f"{len(numbers)} processes of a run do not die.",
                "Look at them with `ps`; reboot the machine if they hang in the kernel.",
            )
        time.sleep(0.002)


def _processes(folder: Path) -> Iterator[int]:
    for place in _tree(folder):
        for word in _words(place / "cgroup.procs"):
            if word != "0":  # a process outside our view, which cannot be one of ours
                yield int(word)


def _tree(folder: Path) -> Iterable[Path]:
    """Give the folder and all folders below it; groups may vanish meanwhile."""
    return (Path(place) for place, _, _ in os.walk(folder))


def _remove(folder: Path) -> None:
    for place, _, _ in os.walk(folder, topdown=False):
        deadline = time.monotonic() + _KILL_SECONDS
        while True:
            try:
                os.rmdir(place)
            except FileNotFoundError:
                break
            except OSError as error:  # a killed process is still being taken apart
                if time.monotonic() > deadline:
                    raise PlatformError("SANDBOX_SURVIVOR", f"The control group {place} stays busy.") from error
                time.sleep(0.002)
            else:
                break


def _tree_count(folder: Path, file: str, key: str) -> int:
    return sum(_count(place / file, key) for place in _tree(folder))


def _count(path: Path, key: str) -> int:
    words = _words(path)
    return int(words[words.index(key) + 1]) if key in words else 0


def _number(path: Path) -> int:
    """Read a counter; 0 where this kernel does not keep it."""
    words = _words(path)
    return int(words[0]) if words else 0


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # the group is gone, or this kernel does not have the file
        return []


def _write(path: Path, value: object) -> None:
    path.write_text(str(value))
