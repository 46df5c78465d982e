"""A real PostgreSQL server for tests: its own cluster in a temporary folder, reached by a Unix socket, gone at the end.

PostgreSQL refuses to run as root, so root hands the cluster to the ``postgres`` user, or to ``nobody``. Nothing listens
on the network, and nothing is synced to the disk: what is tested is locking, not the power supply.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

MISSING = "postgresql not installed: run 'make services'"

_PROGRAMS = ("postgres", "initdb")
_CONFIG = """\
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 400
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
log_min_messages = warning
"""


class Server(NamedTuple):
    """Where a server is reached.

    Attributes:
        socket: Folder of its Unix socket.
        user: The superuser; the socket's folder is the only door.
    """

    socket: Path
    user: str

    def url(self, database: str) -> str:
        """Give the SQLAlchemy address of a database."""
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.socket}"

    def connect(self, database: str) -> psycopg.Connection:
        """Open a plain connection, one transaction a statement."""
        return psycopg.connect(host=str(self.socket), user=self.user, dbname=database, autocommit=True)

    def command(self, sql: str) -> None:
        """Run one statement of the whole server, such as CREATE DATABASE."""
        with self.connect("postgres") as connection:
            connection.execute(sql.encode())


def programs() -> Path | None:
    """Find the folder that holds the server's programs, the newest version first."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next((folder for folder in folders if all((folder / name).is_file() for name in _PROGRAMS)), None)


def available() -> bool:
    """Tell whether a server can be started here."""
    return programs() is not None and (os.geteuid() != 0 or shutil.which("setpriv") is not None)


@contextmanager
def running_postgresql(patience_s: float = 60.0) -> Iterator[Server]:
    """Run a server for as long as the context lasts.

    Args:
        patience_s: How long the start may take, in seconds.

    Yields:
        The server, once it answers.
    """
    binaries = programs()
    if binaries is None:
        raise RuntimeError(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="aisc-pg-", dir="/tmp"))  # short: a socket's path is limited
    try:
        as_user = _hand_over(folder)
        data = folder / "data"
        options = ["-U", "aisc", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = [*as_user, str(binaries / "initdb"), "-D", str(data), *options]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
        with (data / "postgresql.conf").open("a") as config:
            config.write(_CONFIG + f"unix_socket_directories = '{folder}'\n")
        with (folder / "log").open("wb") as log:
            # In a session of its own: an interrupt at the keyboard must not end it before the tests have ended.
            process = subprocess.Popen(
                [*as_user, str(binaries / "postgres"), "-D", str(data)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                start_new_session=True,
            )
        try:
            server = Server(folder, "aisc")
            _await_answer(server, process, patience_s)
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(folder: Path) -> list[str]:
    """Give the folder to the user that the server will be, and the command that becomes it."""
    ends_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    if os.geteuid() != 0:
        return [*ends_with_us, "--"] if ends_with_us else []
    user = _someone("postgres") or _someone("nobody")
    if user is None:
        raise RuntimeError("neither 'postgres' nor 'nobody' is a user here, and PostgreSQL refuses root")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*ends_with_us, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _someone(name: str) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    return None


def _await_answer(server: Server, process: "subprocess.Popen[bytes]", patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError):
            server.command("SELECT 1")
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL does not answer: {(server.socket / 'log').read_text(errors='replace')[-2000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End it: fast shutdown, which throws clients out and leaves no shared memory behind; by force if it hangs."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
