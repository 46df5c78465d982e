"""Take a program's outputs without being led elsewhere: declared names, regular files, bounded sizes (T03, T39, T40).

Runs after the last process of the program is gone, and still trusts nothing it finds: names are opened relative to the
folder's handle and without following links, so that a link, a pipe or a device is recognised and never read.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisc.sandbox.contract import Limits
from aisc.submission.findings import Finding, Findings, Rule

_CHUNK: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_WRITE_PLAIN = "Write each declared output as an ordinary file in /output."
MISSING: Final = Rule("OUTPUT_MISSING", "refused", "Write every declared output before the program ends.")
NOT_REGULAR: Final = Rule("OUTPUT_NOT_REGULAR", "refused", _WRITE_PLAIN)
HARD_LINK: Final = Rule("OUTPUT_HARD_LINK", "refused", _WRITE_PLAIN)
TOO_MANY: Final = Rule("OUTPUT_TOO_MANY_FILES", "refused", "Leave only the declared files in /output.")
TOO_LARGE: Final = Rule("OUTPUT_TOO_LARGE", "refused", "Write less; sparse files count with their full length.")
_CROSSING: Final = frozenset({TOO_MANY.code, TOO_LARGE.code})


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken.

    Attributes:
        names: Files that were copied, in the order declared; empty if anything crossed a limit.
        crossed: Whether files or bytes crossed a limit.
        findings: Broken rules.
    """

    names: tuple[str, ...]
    crossed: bool
    findings: tuple[Finding, ...]


def collect_outputs(source: Path, target: Path, declared: Sequence[str], limits: Limits) -> Collected:
    """Copy the declared files.

    Args:
        source: The program's ``/output`` on our side.
        target: Existing folder of ours.
        declared: Plain file names.
        limits: ``output_files`` bounds all entries of the folder, ``output_bytes`` the declared files together.

    Returns:
        What was taken and what is wrong.
    """
    findings = Findings()
    folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if _more_entries_than(folder, limits.output_files):
            findings.add(TOO_MANY.broken("", f"/output may hold {limits.output_files} entries, it holds more."))
            return _verdict_of([], findings)
        names: list[str] = []
        left = limits.output_bytes
        for name in declared:
            size = _copy(folder, name, target, left, findings)
            if size is not None:
                left -= size
                names.append(name)
        return _verdict_of(names, findings)
    finally:
        os.close(folder)


def _verdict_of(names: list[str], findings: Findings) -> Collected:
    crossed = bool(_CROSSING & set(findings.counts))
    return Collected(() if crossed else tuple(names), crossed, tuple(findings.listed))


def _more_entries_than(folder: int, most: int) -> bool:
    with os.scandir(folder) as entries:
        return any(number >= most for number, _ in enumerate(entries))


def _copy(folder: int, name: str, target: Path, left: int, findings: Findings) -> int | None:
    """Copy one file if it is harmless; give its size in bytes."""
    try:
        handle = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        findings.add(MISSING.broken(name, f"The program did not write {name}."))
        return None
    except OSError:  # a link (ELOOP), a socket or a device that is not there (ENXIO), a file without read permission
        findings.add(NOT_REGULAR.broken(name, f"{name} cannot be opened as an ordinary file."))
        return None
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            findings.add(NOT_REGULAR.broken(name, f"{name} is not an ordinary file."))
        elif state.st_nlink != 1:
            findings.add(HARD_LINK.broken(name, f"{name} has {state.st_nlink} names."))
        elif state.st_size > left:
            findings.add(TOO_LARGE.broken(name, f"{name} has {state.st_size} bytes, {left} are left of the limit."))
        else:
            return _copy_bytes(handle, target / name, state.st_size)
        return None
    finally:
        os.close(handle)


def _copy_bytes(source: int, target: Path, size: int) -> int:
    written = os.open(target, _WRITE, 0o600)
    try:
        at = 0
        while at < size:
            chunk = os.pread(source, min(_CHUNK, size - at), at)
            if not chunk:
                break
            os.pwrite(written, chunk, at)
            at += len(chunk)
        return at
    finally:
        os.close(written)
