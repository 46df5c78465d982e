"""What a program sees of our disk: an own view of the input, and folders in memory that cannot outgrow their size.

The folders are mounted on our side and handed in, so that they outlive the program: what is full can still be measured,
and what it wrote is collected after the last of its processes is gone.
"""

import ctypes
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.contract import SANDBOX_USER, Limits

_PASSABLE: Final = Path("/run")
_BYTES_AN_INODE: Final = 4096
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# Flags of mount(2) and umount2(2), from <sys/mount.h>.
_READ_ONLY, _NO_SET_UID, _NO_DEVICES, _NO_EXECUTION = 1, 2, 4, 8
_DETACH: Final = 2


@dataclass(frozen=True, slots=True)
class Volumes:
    """The folders of one run, on our side.

    Attributes:
        input: Appears as ``/input``; a view of its own, so that file locks on it reach no other run (T14).
        tmp: Appears as ``/tmp``.
        shm: Appears as ``/dev/shm``.
        output: Appears as ``/output``.
    """

    input: Path
    tmp: Path
    shm: Path
    output: Path

    def full(self) -> tuple[str, ...]:
        """Name the folders in which no block or no inode is left."""
        sized = {"/tmp": self.tmp, "/dev/shm": self.shm, "/output": self.output}  # noqa: S108 - names inside
        return tuple(name for name, folder in sized.items() if _is_full(folder))


def _is_full(folder: Path) -> bool:
    state = os.statvfs(folder)
    return state.f_bavail == 0 or state.f_favail == 0


@contextmanager
def mounted_volumes(input_folder: Path, limits: Limits) -> Iterator[Volumes]:
    """Mount the folders of a run and take them away afterwards.

    All of them, and whatever a driver mounts beside them, lie in a folder in memory: taking that one away takes all at
    once, which is several times faster than one by one.

    Raises:
        PlatformError: ``SANDBOX_MOUNT``: the machine refuses a mount.
    """
    # Not in our own temporary folder: nobody but us may pass through that one, and the program's user has to.
    base = Path(tempfile.mkdtemp(prefix="aisc-sandbox-", dir=_PASSABLE if os.access(_PASSABLE, os.W_OK) else None))
    try:
        # The sandbox user may pass, and list nothing.
        _mount(base, "tmpfs", _NO_SET_UID | _NO_EXECUTION, "size=256k,nr_inodes=64,mode=0711")
        try:
            sizes = {"tmp": limits.tmp_bytes, "shm": limits.shm_bytes, "output": limits.output_bytes}
            for name, size in sizes.items():
                # Programs compile code into /tmp and run it; nothing is run from the two others.
                _mount_sized(base / name, size, run=name == "tmp")
            mount_view(input_folder, base / "input")
            yield Volumes(base / "input", base / "tmp", base / "shm", base / "output")
        finally:
            if _LIBC.umount2(str(base).encode(), _DETACH) != 0:
                raise _refused("unmount", base)
    finally:
        base.rmdir()


def _mount_sized(place: Path, size: int, run: bool) -> None:
    inodes = max(64, size // _BYTES_AN_INODE)
    options = f"size={size},nr_inodes={inodes},mode=0700,uid={SANDBOX_USER},gid={SANDBOX_USER}"
    flags = _NO_SET_UID | _NO_DEVICES | (0 if run else _NO_EXECUTION)
    _mount(place, "tmpfs", flags, options)


def mount_view(folder: Path, place: Path) -> None:
    """Mount a read-only overlay of a folder, copying nothing; its inodes are shared with no other run.

    Args:
        folder: What is seen.
        place: Where, among a run's mounted folders.

    Raises:
        UsageError: ``SANDBOX_PATH``: the folder's path holds a character that mount options cannot carry.
        PlatformError: ``SANDBOX_MOUNT``: the machine refuses the mount.
    """
    folder = folder.resolve()
    if set(str(folder)) & set(":,\\\n"):
        raise UsageError("SANDBOX_PATH", f"The path {folder} holds a colon, comma or backslash.", "Rename the folder.")
    empty = place.with_name(place.name + ".empty")  # an overlay without a writable layer wants two folders
    empty.mkdir()
    _mount(place, "overlay", _READ_ONLY | _NO_SET_UID | _NO_DEVICES, f"lowerdir={folder}:{empty}")


DEVICES: Final = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}


def make_devices(place: Path) -> None:
    """Make a run's own nodes of the harmless devices; locks on the machine's nodes would be seen by other runs (T14).

    Args:
        place: New folder among a run's mounted folders.
    """
    place.mkdir()
    for name, (major, minor) in DEVICES.items():
        os.mknod(place / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (place / name).chmod(0o666)  # whatever our own file mode mask is


def _mount(place: Path, kind: str, flags: int, options: str) -> None:
    """Mount by the kernel's own call: starting ``mount`` for each folder would take longer than the sandbox does."""
    place.mkdir(exist_ok=True)
    words = [word.encode() for word in (f"aisc-{kind}", str(place), kind)]
    if _LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        raise _refused("mount", place)


def _refused(verb: str, place: Path) -> PlatformError:
    why = os.strerror(ctypes.get_errno())
    return PlatformError("SANDBOX_MOUNT", f"The kernel does not {verb} {place}: {why}.", "Run as root.")
