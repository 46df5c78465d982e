"""A base image from this machine's static busybox: no registry, a quarter of a second, the same digest every time.

The hostile corpus runs in it, with a few attacks in C that a shell cannot make, compiled here and linked statically.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aisc.errors import UsageError
from aisc.sandbox.image_config import architecture

_ELF: Final = b"\x7fELF"
_FOLDERS: Final = ("bin", "dev", "etc", "input", "output", "proc", "sys", "tmp", "usr", "usr/bin", "opt")
_PASSWD: Final = b"root:x:0:0::/:/bin/false\nsandbox:x:64000:64000::/tmp:/bin/sh\n"


def write_base_image(archive: Path, programs: Mapping[str, bytes] | None = None) -> None:
    """Write the base image as a ``docker save`` archive.

    Args:
        archive: File to write.
        programs: Further executables by name; they go to ``/opt``.

    Raises:
        UsageError: ``SANDBOX_BUSYBOX``: no static busybox on this machine.
    """
    busybox = static_busybox()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _FOLDERS:
            _add_folder(tar, folder)
        _add_file(tar, "bin/busybox", busybox.read_bytes(), 0o755)
        for applet in _applets(busybox):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            tar.addfile(link)
        _add_file(tar, "etc/passwd", _PASSWD, 0o644)
        for name, data in sorted((programs or {}).items()):
            _add_file(tar, f"opt/{name}", data, 0o755)
    write_image(archive, layer.getvalue(), {"Cmd": ["/bin/sh"], "Env": ["LANG=C.UTF-8"], "WorkingDir": "/tmp"})  # noqa: S108


def write_image(archive: Path, layer: bytes, run: Mapping[str, object]) -> None:
    """Write an image of one layer as a ``docker save`` archive.

    Args:
        archive: File to write.
        layer: Uncompressed tar archive.
        run: The ``config`` object of the image's configuration: ``Cmd``, ``Env``, ``WorkingDir``…
    """
    diff_id = "sha256:" + hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        },
        sort_keys=True,
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        _add_file(tar, "manifest.json", manifest, 0o644)
        _add_file(tar, name, config, 0o644)
        _add_file(tar, "layer.tar", layer, 0o644)


def compiled(source: Path) -> bytes | None:
    """Compile a C program and link it statically; ``None`` where this machine has no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "program"
        command = [compiler, "-std=gnu11", "-O1", "-static", "-o", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own source
        return target.read_bytes() if done.returncode == 0 else None


def static_busybox() -> Path:
    """Find a static busybox.

    Raises:
        UsageError: ``SANDBOX_BUSYBOX``.
    """
    found = shutil.which("busybox")
    if found is not None:
        path = Path(found).resolve()
        if path.read_bytes()[:4] == _ELF and not _is_dynamic(path):
            return path
    raise UsageError(
        "SANDBOX_BUSYBOX",
        "No static busybox on this machine.",
        "apt-get install --no-install-recommends busybox-static",
    )


def _is_dynamic(program: Path) -> bool:
    """Say whether an executable names a loader: the program header of type 3 (ELF specification, "Program Header")."""
    data = program.read_bytes()
    start, size, count = (int.from_bytes(data[at : at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
    kinds = (int.from_bytes(data[start + size * n : start + size * n + 4], "little") for n in range(count))
    return 3 in kinds


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([str(busybox), "--list"], capture_output=True, check=True, text=True)  # noqa: S603
    return sorted(set(listed.stdout.split()) - {"busybox"})


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(folder)


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    file = tarfile.TarInfo(name)
    file.size, file.mode = len(data), mode
    tar.addfile(file, io.BytesIO(data))


if __name__ == "__main__":
    import sys

    write_base_image(Path(sys.argv[1]))
