"""Owners: the living are let alone, the dead found at once."""

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from aisc.ledger.leases import is_dead, this_process

TELLING = "from aisc.ledger.leases import this_process; import sys; print(this_process(), flush=True); sys.stdin.read()"


def test_this_process_is_alive_and_keeps_its_name() -> None:
    assert this_process() == this_process()
    assert not is_dead(this_process())


def test_F02_a_killed_process_is_dead_at_once_even_before_it_is_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", TELLING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    owner = child.stdout.readline().strip()
    assert not is_dead(owner)
    child.send_signal(signal.SIGSTOP)  # frozen is not dead: its lease has to run out
    assert not is_dead(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert is_dead(owner)
    child.communicate()
    assert is_dead(owner)


def test_F02_a_later_process_with_the_same_number_is_another_owner() -> None:
    host, pid, _ = this_process().rsplit(":", 2)
    assert is_dead(f"{host}:{pid}:1")


def test_nothing_is_known_of_other_machines() -> None:
    assert not is_dead("another-machine:1:1")
    assert not is_dead(f"{socket.gethostname()}x:{2**22 + 1}:1")


@pytest.mark.parametrize("hours", [-1, 1])
def test_F08_setting_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """A clock that is set moves the boot time, from which process start times in seconds are reckoned."""
    owner, boot, started = this_process(), psutil.boot_time(), psutil.Process().create_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600 * hours)
    assert abs(psutil.Process().create_time() - started) > 3599
    assert not is_dead(owner)
