"""A real S3 server on loopback for tests: Ceph's RADOS gateway over one in-memory storage daemon.

Nothing is mocked: a monitor, a storage daemon that keeps its objects in memory, and ``radosgw`` run as child processes
in a folder of their own and are gone when the context ends, whatever happened in it.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool", "setpriv")
MISSING = "radosgw not installed: run 'make services'"

_FSID = "6f1f1a52-7a0c-4f0e-9d3c-6f5b1c2d3e4f"
_CONFIG = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/log/$name.log
log_to_stderr = false
err_to_stderr = false
pid_file = {folder}/run/$name.pid
crash_dir = {folder}/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0

[mon]
mon_data = {folder}/mon
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000
mon_warn_on_pool_no_redundancy = false
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
auth_allow_insecure_global_id_reclaim = true

[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_scrub_load_threshold = 0.01

[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{rgw_port} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_enable_quota_threads = false
rgw_thread_pool_size = 64
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 1
rgw_gc_processor_max_time = 5
rgw_sts_key = abcdefghijklmnop
rgw_s3_auth_use_sts = false
"""


class Endpoint(NamedTuple):
    """Where the server listens, and one user's keys."""

    url: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that S3 clients read."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


def available() -> bool:
    """Tell whether every program is installed."""
    return all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def running_rgw(folder: Path, patience_s: float = 90.0) -> Iterator[Endpoint]:
    """Run a server for as long as the context lasts.

    Args:
        folder: An empty folder with a short path (sockets live in it); removed at the end.
        patience_s: How long the start may take, in seconds.

    Yields:
        The endpoint, once it answers.
    """
    for name in ("mon", "osd", "run", "log", "crash"):
        (folder / name).mkdir(parents=True)
    mon_port, rgw_port = _free_ports(2)
    config = folder / "ceph.conf"
    config.write_text(_CONFIG.format(fsid=_FSID, folder=folder, mon_port=mon_port, rgw_port=rgw_port))
    cluster = _Cluster(folder, config, patience_s)
    try:
        yield cluster.start(mon_port, rgw_port)
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


class _Cluster:
    """The child processes, oldest first."""

    def __init__(self, folder: Path, config: Path, patience_s: float) -> None:
        self._folder = folder
        self._config = config
        self._deadline = time.monotonic() + patience_s
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, mon_port: int, rgw_port: int) -> Endpoint:
        """Bring up the monitor, the storage daemon and the gateway, and make a user."""
        folder, keyring = str(self._folder), str(self._folder / "keyring")
        key = ["--gen-key", "--cap", "mon", "allow *"]
        self._call("ceph-authtool", "--create-keyring", keyring, "-n", "mon.", *key)
        every = ["--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        self._call("ceph-authtool", keyring, "-n", "client.admin", *key, *every)
        self._call("ceph-authtool", keyring, "-n", "client.rgw", *key, *every)
        self._call("ceph-authtool", keyring, "-n", "osd.0", "--gen-key", "--cap", "mon", "allow profile osd", *every)
        monmap = f"{folder}/monmap"
        address = f"[v2:127.0.0.1:{mon_port}]"
        self._call("monmaptool", "--create", "--fsid", _FSID, "--addv", "a", address, monmap)
        self._call("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring, *self._conf)
        self._spawn("ceph-mon", "-f", "-i", "a", "--keyring", keyring)
        uuid = "11111111-2222-4333-8444-555555555555"
        self._call("ceph", *self._conf, "--connect-timeout", "30", "osd", "new", uuid, "0")
        self._call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid, *self._conf)
        self._spawn("ceph-osd", "-f", "-i", "0")
        self._spawn("radosgw", "-f", "-n", "client.rgw")
        endpoint = Endpoint(
            f"http://127.0.0.1:{rgw_port}", "AISCTESTACCESSKEY001", "aisc-test-secret-key-0000000000000000001"
        )
        self._wait_for(endpoint.url)
        user = ["user", "create", "--uid", "aisc", "--display-name", "aisc"]
        keys = ["--access-key", endpoint.access_key, "--secret-key", endpoint.secret_key]
        self._call("radosgw-admin", *self._conf, "-n", "client.rgw", *user, *keys)
        return endpoint

    def stop(self) -> None:
        """End the children, newest first; they keep nothing, so nobody waits for them to be polite."""
        for child in reversed(self._children):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    @property
    def _conf(self) -> tuple[str, str]:
        return ("-c", str(self._config))

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self._folder), "CEPH_CONF": str(self._config)}

    def _call(self, *command: str) -> None:
        left = max(1.0, self._deadline - time.monotonic())
        done = subprocess.run(command, capture_output=True, env=self._environment, timeout=left, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} gave {done.returncode}: {done.stderr.decode()[-2000:]}")

    def _spawn(self, program: str, *arguments: str) -> None:
        log = (self._folder / "log" / f"{program}.out").open("wb")
        command = ["setpriv", "--pdeathsig", "KILL", "--", program, *arguments, *self._conf]  # no orphans, ever
        with log:
            child = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment, start_new_session=True
            )
        self._children.append(child)

    def _wait_for(self, url: str) -> None:
        while time.monotonic() < self._deadline:
            for child in self._children:
                if child.poll() is not None:
                    raise RuntimeError(f"{child.args} ended with {child.returncode}: {self._logs()}")
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
            time.sleep(0.05)
        raise RuntimeError(f"the S3 server did not answer in time: {self._logs()}")

    def _logs(self) -> str:
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in (self._folder / "log").iterdir()
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
