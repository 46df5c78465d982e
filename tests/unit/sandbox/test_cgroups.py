"""Control groups: both versions of the kernel's interface, and a real group where we may make one."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from aisc.errors import UsageError
from aisc.sandbox.cgroups import Usage, _GroupV2, _mounts, new_group, why_no_cgroups
from aisc.sandbox.contract import MIB, Limits

LINE = "30 20 0:26 / {place} rw,relatime - {kind} {source} {options}\n"
SMALL = Limits(memory_bytes=64 * MIB, processes=20, cpus=0.5, tmp_bytes=MIB, shm_bytes=MIB, output_bytes=MIB)
real = pytest.mark.skipif(bool(why_no_cgroups()), reason=f"{why_no_cgroups()}: run the tests as root")


def mountinfo(place: Path, *lines: tuple[str, str, str]) -> Path:
    text = "".join(LINE.format(place=where, kind=kind, source=kind, options=options) for where, kind, options in lines)
    (place / "mountinfo").write_text(text)
    return place / "mountinfo"


def test_version_1_is_found_with_joined_controllers(tmp_path: Path) -> None:
    found = _mounts(
        mountinfo(
            tmp_path,
            ("/", "ext4", "rw"),
            ("/cg/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
            ("/cg/memory", "cgroup", "rw,memory"),
            ("/cg/pids", "cgroup", "rw,pids"),
            ("/cg/systemd", "cgroup", "rw,name=systemd"),
            (str(tmp_path), "cgroup2", "rw,nsdelegate"),
        )
    )
    assert found["cpu"] == found["cpuacct"] == Path("/cg/cpu,cpuacct")
    assert found["memory"] == Path("/cg/memory")
    assert found["hybrid"] == tmp_path  # mounted beside version 1, without our controllers


def test_version_2_is_preferred_where_it_has_the_controllers(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert _mounts(mountinfo(tmp_path, (str(tmp_path), "cgroup2", "rw"))) == {"unified": tmp_path}


def test_a_machine_without_controllers_is_told_which(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pids, cpu, cpuacct"):
        _mounts(mountinfo(tmp_path, ("/cg/memory", "cgroup", "rw,memory")))


def test_version_2_limits_and_counters(tmp_path: Path) -> None:
    group = _GroupV2(tmp_path, "run", SMALL)
    folder = tmp_path / "aisc-sandbox" / "run"
    written = {name: (folder / name).read_text() for name in ("memory.max", "pids.max", "cpu.max")}
    assert written == {"memory.max": str(64 * MIB), "pids.max": "21", "cpu.max": "50000 100000"}
    assert group.process_files == (folder / "run" / "cgroup.procs",)
    assert group.usage() == Usage()
    (folder / "memory.peak").write_text("1234\n")
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 0\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "pids.peak").write_text("20\n")
    assert group.usage() == Usage(1234, 2.5, 3, 0)
    (folder / "pids.peak").write_text("21\n")
    assert group.usage().pids_events == 1
    (folder / "pids.events").write_text("max 5\n")
    assert group.usage().pids_events == 5


JOIN = "import sys\nfor p in sys.argv[2:]: open(p, 'w').write('0')\nexec(sys.argv[1])"


def joined(group: object, code: str) -> "subprocess.Popen[bytes]":
    files = [str(file) for file in group.process_files]  # type: ignore[attr-defined]
    return subprocess.Popen([sys.executable, "-c", JOIN, code, *files], stderr=subprocess.DEVNULL)


@real
def test_T07_a_real_group_counts_memory_kills() -> None:
    group = new_group(uuid.uuid4().hex, SMALL)
    try:
        assert joined(group, "x = bytearray(300 << 20)").wait(60) == -9
        usage = group.usage()
    finally:
        group.close()
    assert usage.oom_events >= 1
    assert usage.pids_events == 0
    assert usage.peak_memory_bytes >= 63 * MIB


@real
def test_T06_a_real_group_counts_refused_forks() -> None:
    group = new_group(uuid.uuid4().hex, SMALL)
    try:
        child = joined(group, "import os, time\nfor _ in range(60):\n    if os.fork() == 0: time.sleep(60)\n")
        child.wait(60)
        assert group.usage().pids_events >= 1
        assert group.usage().oom_events == 0
    finally:
        group.close()


@real
def test_T09_killing_and_closing_leaves_nothing_and_makes_no_events() -> None:
    name = uuid.uuid4().hex
    group = new_group(name, SMALL)
    code = "import os, time\nfor _ in range(10):\n    if os.fork() == 0: break\nwhile True: time.sleep(0.01)\n"
    child = joined(group, code)
    time.sleep(1)
    group.kill()
    child.wait(10)
    assert group.usage().pids_events == 0
    group.close()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/aisc-sandbox/{name}"))


@real
def test_T08_a_real_group_slows_the_processor_down() -> None:
    group = new_group(uuid.uuid4().hex, SMALL)
    try:
        child = joined(group, "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\n")
        child.wait(60)
        assert 0 < group.usage().cpu_seconds < 1.5
    finally:
        group.close()


def test_joining_needs_root() -> None:
    if os.geteuid() != 0:
        assert "root" in why_no_cgroups()
