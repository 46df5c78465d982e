"""Read a stranger's zip: everything wrong with it said at once, nothing renamed, nothing written to disk.

The standard library's reader is made for friends: it cuts names at a NUL, takes the last of two entries with one name,
tolerates bytes in front of the archive, and reads the whole list of entries before anyone can say stop. So the layout
is read by :mod:`aisc.submission.archive_layout`, within limits, and only the inflating is left to a library. One
parser decides and reads; a second one could understand a hostile file differently (THREATS T23 to T27).
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from zlib_ng import zlib_ng

from aisc.errors import UsageError
from aisc.submission.archive_layout import (
    EndRecord,
    Record,
    directory_findings,
    extra_fields,
    find_end,
    read_records,
    read_spans,
)
from aisc.submission.archive_names import collision_key, decoded_name, name_findings, shown_name
from aisc.submission.archive_rules import ARCHIVE_RULES as RULES
from aisc.submission.findings import Finding, Findings, RuleBrokenError
from aisc.submission.inflating import RAW_DEFLATE, DamagedStreamError, inflate

_STORED: Final = 0
_DEFLATED: Final = 8
_METHOD_NAMES: Final = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz"}
_UTF8: Final = 0x0800
_ENCRYPTED: Final = 0x2041  # encrypted, strongly encrypted, list of entries masked
_ALLOWED_FLAGS: Final = 0x080E | _ENCRYPTED  # deflate's options, data descriptor, UTF-8; encryption has its own code
_DOS_FOLDER, _DOS_VOLUME, _DOS_REPARSE = 0x10, 0x08, 0x400
_EXTRA_ZIP64, _EXTRA_PKWARE_UNIX, _EXTRA_ASI_UNIX, _EXTRA_SECOND_NAME = 0x0001, 0x000D, 0x756E, 0x7075
_ZIP64_MARK: Final = 0xFFFFFFFF
_DIRECTORY_BYTES_PER_ENTRY: Final = 512
_MAGIC_OF_ARCHIVES: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ\x00",
)


class ArchiveLimits(NamedTuple):
    """What a zip may cost; sizes in bytes.

    Attributes:
        file_bytes: The archive itself.
        entries: How many entries it lists.
        entry_bytes: One entry, inflated.
        total_bytes: All entries, inflated.
        ratio: Inflated over compressed size of one entry.
    """

    file_bytes: int = 512 << 20
    entries: int = 10_000
    entry_bytes: int = 1 << 20
    total_bytes: int = 512 << 20
    ratio: int = 100


class Entry(NamedTuple):
    """A readable entry: its compressed bytes are ``compressed`` long, from ``start`` on."""

    name: str
    start: int
    compressed: int
    size: int
    crc: int
    deflated: bool


@dataclass(slots=True)
class SafeArchive:
    """A zip whose layout was checked; its bytes are read entry by entry.

    Attributes:
        findings: Everything found so far.
        entries: The entries that can be read, by name, in the archive's order.
        names: All names that could be decoded, those of unreadable entries too.
    """

    fd: int
    findings: Findings
    entries: dict[str, Entry] = field(default_factory=dict)
    names: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        """Give the archive itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        os.close(self.fd)

    def read(self, name: str) -> bytes:
        """Read one entry of :attr:`entries`, at most as many bytes as it declares.

        Raises:
            RuleBrokenError: Size, checksum or compressed bytes are not what the archive says.
        """
        entry = self.entries[name]
        data = os.pread(self.fd, entry.compressed, entry.start)
        if len(data) < entry.compressed:
            raise RuleBrokenError(RULES["ZIP_TRUNCATED"], "The file ends inside this entry.")
        if entry.deflated:
            data = _inflated(data, entry.size)
        if zlib_ng.crc32(data) != entry.crc:
            raise RuleBrokenError(RULES["ZIP_CRC"], "The entry's bytes do not match its checksum.")
        if data.startswith(_MAGIC_OF_ARCHIVES):
            raise RuleBrokenError(RULES["ZIP_NESTED"], "The entry's bytes are an archive, whatever its name says.")
        return data


def _inflated(data: bytes, size: int) -> bytes:
    """Inflate raw deflate bytes that must give exactly ``size`` bytes; never holds more than one byte more."""
    try:
        out, ended, leftover = inflate(data, size, RAW_DEFLATE)
    except DamagedStreamError as error:
        raise RuleBrokenError(RULES["ZIP_CORRUPT"], "The entry cannot be inflated.") from error
    if len(out) != size:
        seen = "more" if len(out) > size else f"{len(out)}"
        raise RuleBrokenError(RULES["ZIP_SIZE_MISMATCH"], f"The entry declares {size} bytes and gives {seen}.")
    if not ended or leftover:
        raise RuleBrokenError(RULES["ZIP_SIZE_MISMATCH"], "The entry's compressed bytes are too few or too many.")
    return out


def open_archive(path: Path, limits: ArchiveLimits | None = None) -> SafeArchive:
    """Open a zip and check everything that can be known without inflating.

    Args:
        path: The file.
        limits: What it may cost; the defaults of :class:`ArchiveLimits` if left out.

    Returns:
        The archive, to be used as a context manager. It is returned even when refused, with whatever entries are
        still safe to read, so that a team learns all its mistakes at once.

    Raises:
        UsageError: There is no regular file at ``path``.
    """
    try:
        # Not blocking: a pipe in the file's place must not hold us up.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError("FILE_UNREADABLE", f"{path} cannot be opened: {error.strerror}.", "Check the path.") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError("FILE_UNREADABLE", f"{path} is not a regular file.", "Name the zip itself.")
        return _checked(SafeArchive(fd, Findings()), status.st_size, limits or ArchiveLimits())
    except BaseException:
        os.close(fd)
        raise


def _checked(archive: SafeArchive, file_size: int, limits: ArchiveLimits) -> SafeArchive:
    """Fill an archive's findings, entries and names."""
    found: list[Finding] = []
    end = _bounded_end(archive.fd, file_size, limits, found)
    records = read_records(archive.fd, end, found) if end else []
    archive.findings.extend(found)
    if not end:
        return archive
    names = [decoded_name(record.raw_name, bool(record.flags & _UTF8)) for record in records]
    shown = [shown_name(name or "") for name in names]
    spans = read_spans(archive.fd, records, shown, end.directory_offset)
    twins = Counter(collision_key(name) for name in names if name is not None)
    copies = Counter(names)
    for record, name, where, span in zip(records, names, shown, spans, strict=True):
        wrong = [*name_findings(name), *_record_findings(record, span.extra, where, limits), *span.findings]
        if name is not None and twins[collision_key(name)] > 1:
            code, kind = ("ZIP_DUPLICATE", "the same") if copies[name] > 1 else ("ZIP_COLLISION", "nearly the same")
            wrong.append(
                RULES[code].broken(where, f"Another entry has {kind} name; programs differ in which one wins.")
            )
        archive.findings.extend(wrong)
        if not wrong and name is not None:
            deflated = record.method == _DEFLATED
            archive.entries[name] = Entry(name, span.start, record.compressed, record.size, record.crc, deflated)
    total = sum(record.size for record in records)
    if total > limits.total_bytes:
        text = f"The entries inflate to {total} bytes, more than the {limits.total_bytes} allowed."
        archive.findings.add(RULES["ZIP_BOMB"].broken("", text))
        archive.entries.clear()
    archive.names = frozenset(name for name in names if name is not None)
    return archive


def _bounded_end(fd: int, file_size: int, limits: ArchiveLimits, found: list[Finding]) -> EndRecord | None:
    """Give the end record if all that it announces is within limits; only then is the list of entries read."""
    if file_size > limits.file_bytes:
        text = f"The archive has {file_size} bytes, more than the {limits.file_bytes} allowed."
        found.append(RULES["ZIP_TOO_BIG"].broken("", text))
        return None
    end = find_end(fd, file_size, found)
    if not end:
        return None
    if end.entries > limits.entries:
        text = f"The archive lists {end.entries} entries, more than the {limits.entries} allowed."
        found.append(RULES["ZIP_TOO_MANY_ENTRIES"].broken("", text))
        return None
    if end.directory_size > limits.entries * _DIRECTORY_BYTES_PER_ENTRY:
        found.append(RULES["ZIP_TOO_BIG"].broken("", f"The list of entries alone takes {end.directory_size} bytes."))
        return None
    misplaced = list(directory_findings(fd, end))
    found.extend(misplaced)
    return None if any(finding.code != "ZIP_HIDDEN_DATA" for finding in misplaced) else end


def _record_findings(record: Record, local_extra: bytes, where: str, limits: ArchiveLimits) -> Iterator[Finding]:
    """Judge one line of the list of entries: how it is stored, what kind of file it is, what it would cost."""
    if record.flags & _ENCRYPTED:
        yield RULES["ZIP_ENCRYPTED"].broken(where, "The entry is encrypted.")
    if record.flags & ~_ALLOWED_FLAGS:
        yield RULES["ZIP_FLAGS"].broken(
            where, f"The entry uses features that are not read (flags {record.flags:#06x})."
        )
    if record.method not in (_STORED, _DEFLATED):
        method = _METHOD_NAMES.get(record.method, f"number {record.method}")
        yield RULES["ZIP_METHOD"].broken(where, f"The entry is compressed by the method {method}.")
    if record.disk:
        yield RULES["ZIP_MULTI_DISK"].broken(where, "The entry is said to lie in another part of the archive.")
    yield from _extra_findings(record, local_extra, where)
    yield from _kind_findings(record.attributes, where)
    yield from _cost_findings(record, where, limits)


def _extra_findings(record: Record, local_extra: bytes, where: str) -> Iterator[Finding]:
    fields = [*extra_fields(record.extra), *extra_fields(local_extra)]
    kinds = {kind for kind, _ in fields}
    if _EXTRA_ZIP64 in kinds or _ZIP64_MARK in (record.size, record.compressed, record.offset):
        yield RULES["ZIP_ZIP64"].broken(where, "The entry uses the zip64 format, which its size does not need.")
    if _EXTRA_SECOND_NAME in kinds:
        yield RULES["ZIP_NAME"].broken(where, "The entry carries a second name.")
    # Both old Unix fields hold the target of a link behind their fixed part (12 bytes, or 14 with the checksum).
    links = {_EXTRA_PKWARE_UNIX: 12, _EXTRA_ASI_UNIX: 14}
    if any(len(content) > links.get(kind, len(content)) for kind, content in fields):
        yield RULES["ZIP_HARD_LINK"].broken(where, "The entry is a link to another file.")


def _kind_findings(attributes: int, where: str) -> Iterator[Finding]:
    """Judge the kind of file by the Unix mode (high half) and the DOS attributes (low half), whoever wrote them."""
    kind = stat.S_IFMT(attributes >> 16)
    if kind == stat.S_IFLNK or attributes & _DOS_REPARSE:
        yield RULES["ZIP_SYMLINK"].broken(where, "The entry is a symbolic link.")
    elif kind == stat.S_IFDIR or attributes & _DOS_FOLDER:
        if not where.endswith("/"):  # its name has said so already
            yield RULES["ZIP_FOLDER"].broken(where, "The entry is marked as a folder; an archive holds files only.")
    elif kind not in (0, stat.S_IFREG) or attributes & _DOS_VOLUME:
        yield RULES["ZIP_DEVICE"].broken(where, "The entry is a device, a pipe, a socket or a volume label.")


def _cost_findings(record: Record, where: str, limits: ArchiveLimits) -> Iterator[Finding]:
    largest = max(record.size, record.compressed)
    if largest > limits.entry_bytes:
        text = f"The entry has {largest} bytes, more than the {limits.entry_bytes} allowed."
        yield RULES["ZIP_ENTRY_TOO_BIG"].broken(where, text)
    if record.method == _STORED and record.size != record.compressed:
        text = f"The entry is stored as it is, yet declares {record.size} bytes and takes {record.compressed}."
        yield RULES["ZIP_SIZE_MISMATCH"].broken(where, text)
    elif record.size > limits.ratio * max(record.compressed, 1):
        text = f"The entry grows from {record.compressed} to {record.size} bytes, more than {limits.ratio} times."
        yield RULES["ZIP_BOMB"].broken(where, text)
