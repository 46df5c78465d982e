"""Watch a running program until it ends or crosses a limit; the same for every driver."""

import time
from dataclasses import dataclass, replace
from typing import Final, Protocol

from aisc.sandbox.bounded_log import BoundedLog
from aisc.sandbox.cgroups import ControlGroup
from aisc.sandbox.contract import Evidence, Limits
from aisc.sandbox.verdict import crossed_limit
from aisc.sandbox.volumes import Volumes

_LOOK_EVERY: Final = 0.05


class Guest(Protocol):
    """A started program."""

    def ended(self, seconds: float) -> bool:
        """Wait for the end, at most so long; say whether it came."""

    def kill(self) -> None:
        """End all of its processes and wait until they are gone."""

    def exit_code(self) -> int | None:
        """Give the exit status after the end; ``None`` if the runtime could not start the program."""

    def oom_reported(self) -> bool:
        """Whether the runtime itself says that memory ran out."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What belongs to one run while it is watched."""

    guest: Guest
    group: ControlGroup
    volumes: Volumes
    log: BoundedLog


def watch(run: Watched, limits: Limits) -> Evidence:
    """Wait for the end of a program, and make it end once a limit is crossed.

    Returns:
        The evidence, complete but for the outputs.
    """
    start = time.monotonic()
    crossed = False
    while not run.guest.ended(_LOOK_EVERY) and not crossed:
        seen = _look(run, limits, time.monotonic() - start)
        crossed = crossed_limit(seen) is not None
        if crossed:
            run.guest.kill()
    wall = time.monotonic() - start
    # A limit may have been crossed after the last look; the clock counts only if we stopped the program for it.
    last = _look(run, limits, wall)
    if run.guest.oom_reported() and last.oom_events == 0:
        last = replace(last, oom_events=1)
    return replace(last, exit_code=run.guest.exit_code(), wall_crossed=crossed and seen.wall_crossed)


def _look(run: Watched, limits: Limits, wall: float) -> Evidence:
    usage = run.group.usage()
    return Evidence(
        peak_memory_bytes=usage.peak_memory_bytes,
        cpu_seconds=usage.cpu_seconds,
        wall_seconds=wall,
        oom_events=usage.oom_events,
        pids_events=usage.pids_events,
        full_volumes=run.volumes.full(),
        log_bytes=run.log.seen,
        log_crossed=run.log.crossed,
        wall_crossed=wall >= limits.wall_seconds,
    )
