"""What a Triton server of this machine needs: its program, and ports that nobody listens on."""

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aisc.errors import UsageError

FOLDER: Final = "AISC_TRITON"
"""Environment variable: the folder that ``images/victims/install.sh`` filled."""
LOOPBACK: Final = "127.0.0.1"


class Ports(NamedTuple):
    """TCP ports on loopback."""

    http: int
    grpc: int
    metrics: int


def find_triton(environ: Mapping[str, str], fallback: Path | None = None) -> Path:
    """Find the server's program: in the folder that AISC_TRITON names, in a given one, or on PATH.

    Raises:
        UsageError: TRITON_MISSING.
    """
    folders = [Path(environ[FOLDER])] if environ.get(FOLDER) else [fallback] if fallback else []
    for folder in folders:
        if (folder / "tritonserver").is_file():
            return (folder / "tritonserver").absolute()
    found = shutil.which("tritonserver", path=environ.get("PATH"))
    if found is None or environ.get(FOLDER):
        raise UsageError(
            "TRITON_MISSING",
            f"No Triton server is installed in {environ.get(FOLDER) or fallback or 'a folder that AISC_TRITON names'}.",
            "Run 'sh images/victims/install.sh FOLDER' and set AISC_TRITON=FOLDER, or use the victims' image.",
        )
    return Path(found)


def free_ports() -> Ports:
    """Find three ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(3)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
    finally:
        for one in sockets:
            one.close()
