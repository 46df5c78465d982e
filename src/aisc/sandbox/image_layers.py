"""The layers of an image: judged entry by entry, and laid over each other in a folder where no daemon does it.

Every step of a path is opened relative to the handle of the step before, without following links, so that no entry can
lead out of the folder.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Final

from aisc.sandbox.image_rules import IMAGE_RULES as RULES
from aisc.sandbox.tar_reading import members, opened_tar
from aisc.submission.findings import RuleBrokenError

_CHUNK: Final = 1 << 20
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_layer(layer: Path, most: int) -> int:
    """Judge every entry of a layer and give their number.

    Raises:
        RuleBrokenError: ``IMAGE_PATH``, ``IMAGE_DEVICE``.
        TarRefusedError: It is no readable tar archive, or has more than ``most`` entries.
    """
    count = 0
    with opened_tar(layer) as tar:
        for member in members(tar, most):
            count += 1
            _parts(member.name)
            if member.islnk():
                _parts(member.linkname)
            elif not (member.isfile() or member.isdir() or member.issym()):
                raise RuleBrokenError(RULES["IMAGE_DEVICE"], f"{member.name[:80]!a} is a device or a pipe.")
    return count


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise RuleBrokenError(RULES["IMAGE_PATH"], f"{name[:80]!a} leaves the image.")
    return parts


def lay_over(layers: Sequence[Path], root: Path, most: int) -> None:
    """Build the image's file system in a folder: everything owned by us, no set-user-id, no devices.

    Args:
        layers: Checked layers, lowest first.
        root: Existing empty folder.
        most: Cap on entries a layer.

    Raises:
        RuleBrokenError: ``IMAGE_PATH``: a path leads through something that is no folder.
    """
    handle = os.open(root, _FOLDER)
    try:
        for layer in layers:
            with opened_tar(layer) as tar:
                for member in members(tar, most):
                    _apply(handle, tar, member)
    finally:
        os.close(handle)


def _apply(root: int, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    parts = _parts(member.name)
    if not parts:
        return
    parent = _opened_parent(root, parts[:-1])
    try:
        name = parts[-1]
        if name == _OPAQUE:
            for entry in os.listdir(parent):
                _erase(parent, entry)
        elif name.startswith(_WHITEOUT):
            _erase(parent, name.removeprefix(_WHITEOUT))
        else:
            _create(root, parent, name, tar, member)
    except OSError as error:
        raise RuleBrokenError(RULES["IMAGE_PATH"], f"{member.name[:80]!a} cannot be unpacked: {error}.") from error
    finally:
        os.close(parent)


def _create(root: int, parent: int, name: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    if member.isdir():
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            _erase(parent, name)
            os.mkdir(name, dir_fd=parent)
        os.chmod(name, member.mode & 0o777 | 0o700, dir_fd=parent)
        return
    _erase(parent, name)
    if member.issym():
        os.symlink(member.linkname, name, dir_fd=parent)
    elif member.islnk():
        linked = _parts(member.linkname)
        source = _opened_parent(root, linked[:-1])
        try:
            os.link(linked[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
    else:
        _write(parent, name, tar.extractfile(member), member)


def _write(parent: int, name: str, source: IO[bytes] | None, member: tarfile.TarInfo) -> None:
    handle = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
    with open(handle, "wb") as target:
        if source is not None:
            shutil.copyfileobj(source, target, _CHUNK)
        os.fchmod(handle, member.mode & 0o777)


def _opened_parent(root: int, parts: Sequence[str]) -> int:
    """Open a folder below the root step by step; missing steps are made."""
    handle = os.dup(root)
    for part in parts:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=handle)
        try:
            below = os.open(part, _FOLDER, dir_fd=handle)
        except OSError as error:
            raise RuleBrokenError(RULES["IMAGE_PATH"], f"A path leads through {part[:80]!a}, no folder.") from error
        finally:
            os.close(handle)
        handle = below
    return handle


def _erase(parent: int, name: str) -> None:
    """Remove an entry and all below it; what is not there is removed already."""
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)
