"""A private Docker daemon for tests: own socket, own data, no bridge, no firewall rules; gone when the context ends.

Nothing is installed here (``tests/services/install_sandbox.sh`` does that) and the machine's usual socket stays as it
is. The daemon uses the cgroupfs driver, because the sandbox puts each container below a control group of its own.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("dockerd", "containerd", "runc")
MISSING = "no Docker daemon here: run 'sudo tests/services/install_sandbox.sh' and the tests as root"


class DockerDaemon(NamedTuple):
    """A running daemon.

    Attributes:
        url: Where it listens, as in ``DOCKER_HOST``.
        runtimes: Runtimes it knows beside ``runc``.
    """

    url: str
    runtimes: tuple[str, ...]


def why_not() -> str:
    """Say what is missing, or give ``""`` where a daemon can be started."""
    if os.geteuid() != 0 or any(shutil.which(program) is None for program in PROGRAMS):
        return MISSING
    return ""


@contextmanager
def running_docker() -> Iterator[DockerDaemon]:
    """Start ``dockerd`` (which starts its own ``containerd``), wait until it answers, stop both at the end."""
    folder = Path(tempfile.mkdtemp(prefix="aisc-dockerd-", dir="/tmp"))
    runtimes = {}
    if runsc := shutil.which("runsc"):
        runtimes["runsc"] = {"path": runsc, "runtimeArgs": ["--network=none", "--oci-seccomp"]}
    config = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "pid"),
        "hosts": [f"unix://{folder}/docker.sock"],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "runtimes": runtimes,
    }
    (folder / "daemon.json").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--config-file", str(folder / "daemon.json")], stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await_answer(daemon, folder)
        yield DockerDaemon(f"unix://{folder}/docker.sock", tuple(runtimes))
    finally:
        _stop(daemon)
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(daemon: "subprocess.Popen[bytes]", folder: Path) -> None:
    import docker

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            break
        if (folder / "docker.sock").exists():
            try:
                with closing(docker.APIClient(base_url=f"unix://{folder}/docker.sock")) as client:
                    client.ping()
                    return
            except (docker.errors.DockerException, OSError):
                pass
        time.sleep(0.05)
    tail = (folder / "log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"dockerd does not answer; its last words:\n{tail}")


def _stop(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
