"""Our side of the attacks: what there is to win, and who sees it if somebody wins.

There is a real secret in our environment and in a file, and a real listener that answers everybody who reaches it, so
that an attack that fails has failed because of the sandbox and not for lack of a target.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError

_CANARY_VARIABLE: Final = "AISC_CORPUS_CANARY"
_DYING_SECONDS: Final = 5.0


@dataclass(slots=True)
class Witness:
    """What is watched while the corpus runs.

    Attributes:
        input_folder: Input of every program: where the targets are.
        mark: Value in the environment of every program of the corpus, by which survivors are found.
        secret: The word that must not come out.
        visitors: Who reached the listener.
    """

    input_folder: Path
    mark: str
    secret: str
    visitors: list[str] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Say who reached the listener since the last call and which processes are left."""
        seen, self.visitors[:] = list(self.visitors), []
        return [f"reached our listener: {who}" for who in seen] + [f"still running: {who}" for who in self._survivors()]

    def _survivors(self) -> list[str]:
        deadline = time.monotonic() + _DYING_SECONDS
        while (left := _processes_with(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


@contextmanager
def witnessing(place: Path) -> Iterator[Witness]:
    """Set the targets up and take them down.

    Args:
        place: A folder of ours.

    Raises:
        PlatformError: ``SANDBOX_CORPUS``: our own listener cannot be reached, so attacks on it would prove nothing.
    """
    place.chmod(0o711)
    witness = Witness(place / "input", secrets.token_hex(16), f"canary-{secrets.token_hex(16)}")
    secret_file = place / "secret.txt"
    secret_file.write_text(witness.secret + "\n")
    secret_file.chmod(0o644)  # only the sandbox stands between a program and this file
    with ExitStack() as stack:
        host = _own_address()
        tcp = stack.enter_context(socket.create_server((host, 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind((host, 0))
        for target in (_answer, _hear):
            threading.Thread(target=target, args=(tcp if target is _answer else udp, witness), daemon=True).start()
        port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
        _prove_reachable(host, port, witness)
        os.environ[_CANARY_VARIABLE] = witness.secret
        stack.callback(os.environ.pop, _CANARY_VARIABLE, None)
        witness.input_folder.mkdir()
        targets = f"HOST={host}\nPORT={port}\nUDP_PORT={udp_port}\nHOST_FILE={secret_file}\n"
        (witness.input_folder / "targets.sh").write_text(targets)
        yield witness


def _own_address() -> str:
    """Give the address under which a neighbour would reach this machine; loopback where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _answer(server: socket.socket, witness: Witness) -> None:
    with suppress(OSError):
        while True:
            connection, who = server.accept()
            witness.visitors.append(f"TCP from {who[0]}")
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _hear(server: socket.socket, witness: Witness) -> None:
    with suppress(OSError):
        while True:
            _, who = server.recvfrom(64)
            witness.visitors.append(f"UDP from {who[0]}")


def _prove_reachable(host: str, port: int, witness: Witness) -> None:
    with suppress(OSError), socket.create_connection((host, port), timeout=2) as connection:
        if connection.recv(8) == b"HTTP/1.0":
            witness.visitors.clear()
            return
    raise PlatformError("SANDBOX_CORPUS", "The corpus cannot reach its own listener, so network attacks prove nothing.")


def _processes_with(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
    return found
