"""Where things lie in a zip: the end record, the list of entries, the header before each entry's bytes.

A zip describes itself twice, and readers differ in what they believe. Here the two descriptions must agree byte for
byte, and the entries must tile the file from its first byte to the list, so that there is one reading only
(PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4). Every read is bounded before it is made.
"""

import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from aisc.submission.archive_rules import ARCHIVE_RULES as RULES
from aisc.submission.findings import Finding

_END: Final = struct.Struct("<4s4H2IH")
_RECORD: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_DESCRIPTOR: Final = struct.Struct("<3I")
_END_SIGNATURE: Final = b"PK\x05\x06"
_RECORD_SIGNATURE: Final = b"PK\x01\x02"
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_DESCRIPTOR_SIGNATURE: Final = b"PK\x07\x08"
_ZIP64_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE: Final = 20
_LONGEST_COMMENT: Final = 0xFFFF
_DESCRIPTOR_FOLLOWS: Final = 0x0008
# Deflate's own options (bits 1 and 2) may differ between the two descriptions; nothing depends on them.
_COMPARED_FLAGS: Final = 0xFFFF ^ 0x0006
# Room for the longest name and the extra fields that ordinary programs write, and no more: walking them costs time.
_LONGEST_LOCAL: Final = 1024


class EndRecord(NamedTuple):
    """The last record of a zip: where the list of entries lies, in bytes from the start, and how long it is."""

    position: int
    entries: int
    directory_size: int
    directory_offset: int


class Record(NamedTuple):
    """One line of the list of entries, as stored."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    disk: int
    attributes: int
    offset: int
    extra: bytes


def find_end(fd: int, file_size: int, found: list[Finding]) -> EndRecord | None:
    """Find the end record and judge it; a zip's comment, the usual hiding place behind it, is refused.

    Args:
        fd: The file, open for reading.
        file_size: Its size in bytes.
        found: Findings are appended here.

    Returns:
        The record, or ``None`` where nothing behind it can be trusted enough to go on.
    """
    tail = os.pread(fd, _LONGEST_COMMENT + _END.size, max(0, file_size - _LONGEST_COMMENT - _END.size))
    at = len(tail) - _END.size
    if tail[max(at, 0) :][:4] != _END_SIGNATURE:
        at = tail.rfind(_END_SIGNATURE)
    if at < 0:
        cut = os.pread(fd, 4, 0) == _LOCAL_SIGNATURE
        code, message = ("ZIP_TRUNCATED", "its end record is missing") if cut else ("ZIP_NOT_ZIP", "it is not a zip")
        found.append(RULES[code].broken("", f"The file cannot be opened as a zip: {message}."))
        return None
    behind = len(tail) - at - _END.size
    if behind < 0:
        found.append(RULES["ZIP_TRUNCATED"].broken("", "The file ends inside its end record."))
        return None
    _, disk, directory_disk, here, count, size, offset, comment = _END.unpack_from(tail, at)
    if behind < comment:
        found.append(RULES["ZIP_TRUNCATED"].broken("", "The file ends inside its comment."))
        return None
    if comment:
        found.append(RULES["ZIP_COMMENT"].broken("", f"The archive carries a comment of {comment} bytes."))
    if behind > comment:
        text = f"{behind - comment} bytes follow the end of the archive."
        found.append(RULES["ZIP_TRAILING_DATA"].broken("", text))
    locator = at >= _ZIP64_LOCATOR_SIZE and tail[at - _ZIP64_LOCATOR_SIZE :][:4] == _ZIP64_LOCATOR_SIGNATURE
    if locator or 0xFFFF in (disk, directory_disk, here, count) or 0xFFFFFFFF in (size, offset):
        found.append(RULES["ZIP_ZIP64"].broken("", "The archive uses the zip64 format, which its size does not need."))
        return None
    if disk or directory_disk or here != count:
        found.append(RULES["ZIP_MULTI_DISK"].broken("", "The archive says that it is one part of several."))
        return None
    return EndRecord(file_size - len(tail) + at, count, size, offset)


def directory_findings(fd: int, end: EndRecord) -> Iterator[Finding]:
    """Judge where the list of entries lies: it must end where the end record begins."""
    gap = end.position - end.directory_offset - end.directory_size
    if gap < 0:
        yield RULES["ZIP_TRUNCATED"].broken("", "The list of entries would lie outside the file.")
    elif gap:
        moved = os.pread(fd, 4, end.directory_offset) != _RECORD_SIGNATURE
        code, place = ("ZIP_PREPENDED_DATA", "before the archive") if moved else ("ZIP_HIDDEN_DATA", "behind its list")
        yield RULES[code].broken("", f"{gap} bytes that belong to no entry lie {place}.")


def read_records(fd: int, end: EndRecord, found: list[Finding]) -> list[Record]:
    """Read the list of entries, no more of it than the end record announces.

    The caller has bounded ``end.entries`` and ``end.directory_size``.
    """
    data = os.pread(fd, end.directory_size, end.directory_offset)
    records: list[Record] = []
    at = 0
    while len(records) < end.entries:
        if len(data) - at < _RECORD.size or data[at : at + 4] != _RECORD_SIGNATURE:
            break
        (
            _,
            _,
            _,
            flags,
            method,
            _,
            _,
            crc,
            compressed,
            size,
            n_name,
            n_extra,
            n_comment,
            disk,
            _,
            attributes,
            offset,
        ) = _RECORD.unpack_from(data, at)
        name_at = at + _RECORD.size
        at = name_at + n_name + n_extra + n_comment
        if at > len(data):
            break
        name, extra = data[name_at : name_at + n_name], data[name_at + n_name : name_at + n_name + n_extra]
        records.append(Record(name, flags, method, crc, compressed, size, disk, attributes, offset, extra))
    if len(records) < end.entries or at != len(data):
        text = f"The list of entries is damaged: {end.entries} are announced, {len(records)} were read"
        found.append(
            RULES["ZIP_BAD_DIRECTORY"].broken("", text + (", and bytes are left over." if at < len(data) else "."))
        )
    return records


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the extra fields of an entry: ``(kind, content)``; padding at the end is passed over."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + size]
        at += 4 + size


class Span(NamedTuple):
    """Where the compressed bytes of one entry start, and what is wrong with the header before them."""

    start: int
    extra: bytes
    findings: list[Finding]


def read_spans(fd: int, records: list[Record], shown: list[str], directory_offset: int) -> list[Span]:
    """Read the header before each entry, compare it with the list, and see that entries tile the file.

    Args:
        fd: The file, open for reading.
        records: The list of entries.
        shown: Their printable names, in the same order.
        directory_offset: Where the list begins, in bytes: entries must end there.

    Returns:
        One span per record, in the order of ``records``.
    """
    spans: dict[int, Span] = {}
    expected = 0
    last = -1
    for index in sorted(range(len(records)), key=lambda i: records[i].offset):
        record, where = records[index], shown[index]
        found: list[Finding] = []
        if record.offset < expected:
            found.append(RULES["ZIP_OVERLAP"].broken(where, "The entry's bytes belong to another entry too."))
        elif record.offset > expected:
            code = "ZIP_PREPENDED_DATA" if last < 0 else "ZIP_HIDDEN_DATA"
            text = f"{record.offset - expected} bytes that belong to no entry lie before this one."
            found.append(RULES[code].broken(where, text))
        span, end = _read_span(fd, record, where)
        if end > directory_offset:
            found.append(RULES["ZIP_OVERLAP"].broken(where, "The entry's bytes run into the list of entries."))
        spans[index] = Span(span.start, span.extra, found + span.findings)
        expected, last = max(expected, end), index
    if records and expected < directory_offset:
        text = f"{directory_offset - expected} bytes that belong to no entry lie behind this one."
        spans[last].findings.append(RULES["ZIP_HIDDEN_DATA"].broken(shown[last], text))
    return [spans[index] for index in range(len(records))]


def _read_span(fd: int, record: Record, where: str) -> tuple[Span, int]:
    """Read one local header; give its span and the offset at which the entry, descriptor included, ends."""
    data = os.pread(fd, _LONGEST_LOCAL, record.offset)
    if len(data) < _LOCAL.size or data[:4] != _LOCAL_SIGNATURE:
        text = "No header stands where the list says that the entry begins."
        return Span(record.offset, b"", [RULES["ZIP_LOCAL_HEADER"].broken(where, text)]), record.offset
    _, _, flags, method, _, _, crc, compressed, size, n_name, n_extra = _LOCAL.unpack_from(data)
    name, extra = data[_LOCAL.size :][:n_name], data[_LOCAL.size + n_name :][:n_extra]
    start = record.offset + _LOCAL.size + n_name + n_extra
    end = start + record.compressed
    told = (crc, compressed, size)
    true = (record.crc, record.compressed, record.size)
    differ = []
    if len(data) < _LOCAL.size + n_name + n_extra:
        differ.append("lengths, or far too long ones")
    if name != record.raw_name:
        differ.append("names")
    if (flags ^ record.flags) & _COMPARED_FLAGS or method != record.method:
        differ.append("flags or methods")
    if record.flags & _DESCRIPTOR_FOLLOWS:
        # Written before the sizes were known: zeros stand here, and the numbers follow the bytes.
        told_later, end = _descriptor(fd, end, true)
        agrees = told_later and all(a in (0, b) for a, b in zip(told, true, strict=True))
    else:
        agrees = told == true
    if not agrees:
        differ.append("sizes or checksums")
    text = f"The header before the entry and the list of entries give different {', '.join(differ)}."
    return Span(start, extra, [RULES["ZIP_LOCAL_HEADER"].broken(where, text)] if differ else []), end


def _descriptor(fd: int, at: int, true: tuple[int, int, int]) -> tuple[bool, int]:
    """Look for a data descriptor with the true numbers at ``at``; give whether it is there and where it ends."""
    expected = _DESCRIPTOR.pack(*true)
    data = os.pread(fd, 4 + _DESCRIPTOR.size, at)
    if data == _DESCRIPTOR_SIGNATURE + expected:
        return True, at + len(data)
    return data[: _DESCRIPTOR.size] == expected, at + _DESCRIPTOR.size
