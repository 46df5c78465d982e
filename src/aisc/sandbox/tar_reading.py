"""Read a stranger's tar archive in bounded memory: the standard reader, with the reads it may ask for capped."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_LARGEST_READ: Final = 1 << 20


class TarRefusedError(Exception):
    """The bytes are no tar archive, or one made to hurt its reader."""


class _CappedReads:
    """Passes reads on unless one is large: extended headers are read in one piece, whatever size they claim."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise TarRefusedError(f"A header of {size} bytes.")
        return self._file.read(size)

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def opened_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an uncompressed tar archive; nothing in it is ever extracted by name.

    Raises:
        TarRefusedError: At opening or at any later read.
    """
    with path.open("rb") as file:
        try:
            with tarfile.open(fileobj=_CappedReads(file), mode="r:", errorlevel=2) as archive:  # type: ignore[call-overload]
                yield archive
        except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise TarRefusedError(str(error)) from error


def members(archive: tarfile.TarFile, most: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members one by one; the reader forgets them, so that a million of them fill no memory.

    Raises:
        TarRefusedError: There are more than ``most``.
    """
    for number, member in enumerate(archive):
        if number >= most:
            raise TarRefusedError(f"More than {most} entries.")
        if member.issparse():
            raise TarRefusedError("A sparse entry.")
        yield member
        archive.members.clear()  # type: ignore[attr-defined]
