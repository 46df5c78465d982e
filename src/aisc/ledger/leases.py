"""Who works on a run: owners that can be told dead at once on their own machine, and by the clock elsewhere."""

import os
import socket
from datetime import timedelta
from pathlib import Path

import psutil

LEASE = timedelta(seconds=60)
BEAT_SECONDS = 10.0


def this_process() -> str:
    """Name this process so that no later one is taken for it: host, pid and start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(psutil.Process())}"


def is_dead(owner: str) -> bool:
    """Say whether an owner is surely gone; an owner on another host never is, its lease has to run out."""
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return _started(process) != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _started(process: psutil.Process) -> str:
    """Tell when a process was started: in ticks since boot where ``/proc`` tells, which no clock moves."""
    try:
        after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return f"{process.create_time():.2f}"
    return after_name.split()[19]  # field 22 of proc(5), "starttime"
