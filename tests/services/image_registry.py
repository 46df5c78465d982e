"""A private image registry for tests: the distribution's own, on a free port of the loopback, gone with the context."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("docker-registry", "skopeo")
MISSING = "no image registry here: run 'sudo tests/services/install_sandbox.sh'"


class ImageRegistry(NamedTuple):
    """A running registry.

    Attributes:
        address: Host and port.
        settings: Environment that lets skopeo speak to it without TLS.
    """

    address: str
    settings: dict[str, str]

    def push(self, archive: Path, name: str) -> None:
        """Store a ``docker save`` archive under a name with a tag."""
        words = [
            "skopeo",
            "--insecure-policy",
            "copy",
            "--quiet",
            f"docker-archive:{archive}",
            f"docker://{self.address}/{name}",
        ]
        subprocess.run(words, check=True, capture_output=True, env=os.environ | self.settings)


def why_not() -> str:
    """Say what is missing, or give ``""`` where a registry can be started."""
    return MISSING if any(shutil.which(program) is None for program in PROGRAMS) else ""


@contextmanager
def running_registry(folder: Path) -> Iterator[ImageRegistry]:
    """Start a registry that keeps its images in a folder, wait until it listens, stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
        f"http: {{addr: {address}}}\n"
    )
    settings = folder / "home" / ".config" / "containers" / "registries.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=quiet, stderr=quiet)
    try:
        _wait_for(port)
        yield ImageRegistry(address, {"HOME": str(folder / "home")})
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the registry did not start")
