"""The zip reader against every lie a zip can tell (THREATS T23 to T27)."""

import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from forge import Entry, deflated, descriptor, forge_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisc.errors import UsageError
from aisc.submission.archive import ArchiveLimits, open_archive
from aisc.submission.archive_rules import ARCHIVE_RULES
from aisc.submission.findings import RuleBrokenError

SMALL = ArchiveLimits(file_bytes=200_000, entries=50, entry_bytes=10_000, total_bytes=60_000, ratio=100)
RANDOM = os.urandom(3000)


def codes_of(data: bytes, tmp_path: Path, limits: ArchiveLimits = SMALL) -> set[str]:
    """Open and read everything; give the codes that came up."""
    path = tmp_path / "submission.zip"
    path.write_bytes(data)
    with open_archive(path, limits) as archive:
        codes = set(archive.findings.counts)
        assert archive.findings.refused == bool(codes)
        for name in archive.entries:
            try:
                archive.read(name)
            except RuleBrokenError as error:
                codes.add(error.rule.code)
    assert list(tmp_path.iterdir()) == [path], "something was left on disk"
    return codes


def one(**changes: object) -> bytes:
    """Forge a zip with an honest entry and one that is changed."""
    name = changes.pop("name", b"0002.png")
    return forge_zip([Entry(b"0001.png"), Entry(name, **changes)])  # type: ignore[arg-type]


NAMES = {
    "escape": ("ZIP_PATH_ESCAPE", one(name=b"../0002.png")),
    "escape-deep": ("ZIP_PATH_ESCAPE", one(name=b"a/../../0002.png")),
    "escape-backslash": ("ZIP_PATH_ESCAPE", one(name=b"..\\0002.png")),
    "absolute": ("ZIP_ABSOLUTE_PATH", one(name=b"/etc/0002.png")),
    "backslash": ("ZIP_BACKSLASH", one(name=b"a\\0002.png")),
    "drive": ("ZIP_DRIVE", one(name=b"C:0002.png")),
    "nul": ("ZIP_NUL", one(name=b"0002.png\0.exe")),
    "newline": ("ZIP_CONTROL_CHARACTER", one(name=b"0002\n.png", flags=0x800)),
    "ansi": ("ZIP_CONTROL_CHARACTER", one(name=b"\x1b[2J0002.png", flags=0x800)),
    "direction-override": ("ZIP_CONTROL_CHARACTER", one(name="0002\u202egnp.png".encode(), flags=0x800)),
    "empty": ("ZIP_NAME", one(name=b"")),
    "long": ("ZIP_NAME", one(name=b"a" * 300 + b".png")),
    "not-utf8": ("ZIP_NAME", one(name=b"\xff\xfe.png", flags=0x800)),
    "second-name": ("ZIP_NAME", one(extra=struct.pack("<2H5s", 0x7075, 9, b"\x01....") + b"../x")),
    "folder": ("ZIP_FOLDER", one(name=b"faces/", data=b"", method=0)),
}
KINDS = {
    "symlink": ("ZIP_SYMLINK", one(mode=stat.S_IFLNK | 0o777, data=b"/etc/passwd")),
    "reparse-point": ("ZIP_SYMLINK", one(mode=0, dos=0x400)),
    "device": ("ZIP_DEVICE", one(mode=stat.S_IFCHR | 0o666)),
    "block-device": ("ZIP_DEVICE", one(mode=stat.S_IFBLK | 0o666)),
    "pipe": ("ZIP_DEVICE", one(mode=stat.S_IFIFO | 0o666)),
    "socket": ("ZIP_DEVICE", one(mode=stat.S_IFSOCK | 0o666)),
    "volume-label": ("ZIP_DEVICE", one(mode=0, dos=0x08)),
    "folder-by-mode": ("ZIP_FOLDER", one(mode=stat.S_IFDIR | 0o755)),
    "folder-by-dos": ("ZIP_FOLDER", one(mode=0, dos=0x10)),
    "hard-link-pkware": ("ZIP_HARD_LINK", one(extra=struct.pack("<2H", 0x000D, 20) + bytes(12) + b"0001.png")),
    "hard-link-asi": ("ZIP_HARD_LINK", one(local_extra=struct.pack("<2H", 0x756E, 22) + bytes(14) + b"0001.png")),
}
TWINS = {
    "duplicate": ("ZIP_DUPLICATE", forge_zip([Entry(b"0001.png", b"a"), Entry(b"0001.png", b"b")])),
    "case": ("ZIP_COLLISION", forge_zip([Entry(b"0001.png"), Entry(b"0001.PNG")])),
    "composed": (
        "ZIP_COLLISION",
        forge_zip([Entry("é.png".encode(), flags=0x800), Entry("e\u0301.png".encode(), flags=0x800)]),
    ),
    "sharp-s": ("ZIP_COLLISION", forge_zip([Entry("ß.png".encode(), flags=0x800), Entry(b"SS.png")])),
    "code-pages": ("ZIP_DUPLICATE", forge_zip([Entry("é.png".encode(), flags=0x800), Entry(b"\x82.png")])),
}
BOMBS = {
    "ratio": ("ZIP_BOMB", one(data=bytes(9000))),
    "total": ("ZIP_BOMB", forge_zip([Entry(b"%04d.png" % i, RANDOM, 0) for i in range(21)])),
    "grows-past-its-size": ("ZIP_SIZE_MISMATCH", one(data=b"x", payload=deflated(bytes(9_000_000)), compressed=None)),
    "entry": ("ZIP_ENTRY_TOO_BIG", one(data=os.urandom(10_001), method=0)),
    "entry-of-empty-blocks": ("ZIP_ENTRY_TOO_BIG", one(payload=b"\0\0\0\xff\xff" * 3000, data=b"")),
    "file": ("ZIP_TOO_BIG", forge_zip([Entry(b"0001.png", os.urandom(200_000), 0)])),
    "list": ("ZIP_TOO_BIG", forge_zip([Entry(b"0001.png", extra=b"\0\0\xfb\xff" + bytes(65_531 - 4))])),
    "count": ("ZIP_TOO_MANY_ENTRIES", forge_zip([Entry(b"%d" % i) for i in range(51)])),
    "overlap-same-bytes": ("ZIP_OVERLAP", forge_zip([Entry(b"0001.png"), Entry(b"0002.png", offset=0)])),
    "overlap-quoted": (
        "ZIP_OVERLAP",
        forge_zip([Entry(b"0001.png", RANDOM, 0, compressed=3043, size=3043), Entry(b"0002.png")]),
    ),
    "overlap-list": ("ZIP_OVERLAP", forge_zip([Entry(b"0001.png", RANDOM, 0, compressed=3040, size=3040)])),
    "nested-by-name": ("ZIP_NESTED", one(name=b"inner.zip")),
    "nested-tar": ("ZIP_NESTED", one(name=b"inner.TAR.gz")),
    "nested-by-content": ("ZIP_NESTED", one(data=forge_zip([Entry(b"0001.png")]))),
    "hidden-between": ("ZIP_HIDDEN_DATA", one(gap=b"secret")),
    "hidden-before-list": ("ZIP_HIDDEN_DATA", forge_zip([Entry(b"0001.png")], before_list=b"secret")),
    "hidden-behind-list": ("ZIP_HIDDEN_DATA", forge_zip([Entry(b"0001.png")], behind_list=b"secret")),
    "prepended": ("ZIP_PREPENDED_DATA", forge_zip([Entry(b"0001.png")], prefix=b"#!/bin/sh\n")),
    "prepended-unadjusted": ("ZIP_PREPENDED_DATA", forge_zip([Entry(b"0001.png")], prefix=b"MZ" * 50, shift=100)),
    "trailing": ("ZIP_TRAILING_DATA", forge_zip([Entry(b"0001.png")], suffix=b"tail")),
    "comment": ("ZIP_COMMENT", forge_zip([Entry(b"0001.png")], comment=b"hello")),
    "zip64-locator": ("ZIP_ZIP64", forge_zip([Entry(b"0001.png")], behind_list=b"PK\x06\x07" + bytes(16))),
    "zip64-count": ("ZIP_ZIP64", forge_zip([Entry(b"0001.png")], total=0xFFFF, here=0xFFFF)),
    "zip64-entry": ("ZIP_ZIP64", one(size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 5))),
    "list-shorter-than-told": ("ZIP_BAD_DIRECTORY", forge_zip([Entry(b"0001.png")], total=2, here=2)),
    "list-longer-than-told": ("ZIP_BAD_DIRECTORY", forge_zip([Entry(b"0001.png"), Entry(b"2")], total=1, here=1)),
}
HONEST = forge_zip([Entry(b"0001.png", RANDOM), Entry(b"0002.png")])
BROKEN = {
    "cut-in-the-middle": ("ZIP_TRUNCATED", HONEST[: len(HONEST) // 2]),
    "cut-in-end-record": ("ZIP_TRUNCATED", HONEST[:-5]),
    "cut-in-comment": ("ZIP_TRUNCATED", forge_zip([Entry(b"0001.png")], comment=b"hello")[:-2]),
    "head-missing": ("ZIP_TRUNCATED", HONEST[1500:]),
    "empty": ("ZIP_NOT_ZIP", b""),
    "rar": ("ZIP_NOT_ZIP", b"Rar!\x1a\x07\x01\x00" + RANDOM),
    "encrypted": ("ZIP_ENCRYPTED", one(flags=1)),
    "strongly-encrypted": ("ZIP_ENCRYPTED", one(flags=0x41)),
    "patch-data": ("ZIP_FLAGS", one(flags=0x20)),
    "bzip2": ("ZIP_METHOD", one(method=12)),
    "unknown-method": ("ZIP_METHOD", one(method=77)),
    "split-archive": ("ZIP_MULTI_DISK", forge_zip([Entry(b"0001.png")], disk=1)),
    "split-entry": ("ZIP_MULTI_DISK", one(disk=2)),
    "checksum": ("ZIP_CRC", one(crc=1)),
    "stored-sizes-differ": ("ZIP_SIZE_MISMATCH", one(method=0, size=4)),
    "smaller-than-declared": ("ZIP_SIZE_MISMATCH", one(size=6)),
    "stream-goes-on": ("ZIP_SIZE_MISMATCH", one(payload=deflated(b"hello") + b"more")),
    "stream-not-ended": ("ZIP_SIZE_MISMATCH", one(payload=b"\x00\x05\x00\xfa\xffhello")),
    "not-deflate": ("ZIP_CORRUPT", one(payload=b"\xff" * 20)),
    "local-name": ("ZIP_LOCAL_HEADER", one(local={"name": b"0009.png"})),
    "local-size": ("ZIP_LOCAL_HEADER", one(local={"size": 99})),
    "local-crc": ("ZIP_LOCAL_HEADER", one(local={"crc": 99})),
    "local-method": ("ZIP_LOCAL_HEADER", one(local={"method": 0})),
    "local-flags": ("ZIP_LOCAL_HEADER", one(local={"flags": 0x800})),
    "local-signature": ("ZIP_LOCAL_HEADER", one(local={"signature": b"PK\x03\x05"})),
    "local-too-long": ("ZIP_LOCAL_HEADER", one(local_extra=struct.pack("<2H", 0x9999, 2000) + bytes(2000))),
    "offset-past-the-end": ("ZIP_LOCAL_HEADER", one(offset=1_000_000)),
    "descriptor-lies": ("ZIP_LOCAL_HEADER", one(flags=8, descriptor=b"PK\x07\x08" + struct.pack("<3I", 1, 2, 3))),
    "descriptor-missing": ("ZIP_LOCAL_HEADER", one(flags=8, descriptor=b"")),
}


@pytest.mark.parametrize(("code", "data"), NAMES.values(), ids=NAMES)
def test_T23_a_name_that_lies_is_refused_and_never_repaired(code: str, data: bytes, tmp_path: Path) -> None:
    assert code in codes_of(data, tmp_path)


@pytest.mark.parametrize(("code", "data"), KINDS.values(), ids=KINDS)
def test_T24_anything_but_a_regular_file_is_refused(code: str, data: bytes, tmp_path: Path) -> None:
    assert codes_of(data, tmp_path) == {code}


@pytest.mark.parametrize(("code", "data"), TWINS.values(), ids=TWINS)
def test_T25_two_entries_with_one_name_are_refused_and_neither_is_read(code: str, data: bytes, tmp_path: Path) -> None:
    assert codes_of(data, tmp_path) == {code}
    with open_archive(tmp_path / "submission.zip", SMALL) as archive:
        assert archive.entries == {}


@pytest.mark.parametrize(("code", "data"), BOMBS.values(), ids=BOMBS)
def test_T26_costs_and_hiding_places_are_refused(code: str, data: bytes, tmp_path: Path) -> None:
    assert code in codes_of(data, tmp_path)


@pytest.mark.parametrize(("code", "data"), BROKEN.values(), ids=BROKEN)
def test_T27_damaged_encrypted_or_odd_archives_get_their_code(code: str, data: bytes, tmp_path: Path) -> None:
    assert code in codes_of(data, tmp_path)


def test_T27_an_entry_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    path.write_bytes(HONEST)
    with open_archive(path, SMALL) as archive:
        os.truncate(path, 100)
        with pytest.raises(RuleBrokenError) as caught:
            archive.read("0001.png")
    assert caught.value.rule.code == "ZIP_TRUNCATED"


def test_every_code_of_an_archive_is_provoked_above() -> None:
    provoked = {code for table in (NAMES, KINDS, TWINS, BOMBS, BROKEN) for code, _ in table.values()}
    assert provoked == set(ARCHIVE_RULES)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    data = forge_zip(
        [
            Entry(b"../0001.png"),
            Entry(b"0002.png", flags=1),
            Entry(b"0003.png", mode=stat.S_IFLNK | 0o777),
            Entry(b"0004.png", crc=7),
            Entry(b"0005.png"),
        ],
        comment=b"hi",
    )
    assert codes_of(data, tmp_path) == {"ZIP_PATH_ESCAPE", "ZIP_ENCRYPTED", "ZIP_SYMLINK", "ZIP_CRC", "ZIP_COMMENT"}
    with open_archive(tmp_path / "submission.zip", SMALL) as archive:
        assert archive.read("0005.png") == b"hello"


def test_T44_a_name_is_printed_on_one_line_and_not_at_length(tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    path.write_bytes(forge_zip([Entry(b"a\n\x1b[31mFAKE LOG " + b"b" * 400, flags=0x800)]))
    with open_archive(path, SMALL) as archive:
        for finding in archive.findings.listed:
            assert finding.where.isprintable()
            assert len(finding.where) <= 80


class _Pipe(io.RawIOBase):
    """A sink that cannot seek, so that the standard library writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += data  # type: ignore[operator]
        return len(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_archives_of_the_standard_library_pass(method: int, streamed: bool, tmp_path: Path) -> None:
    sink: io.BytesIO | _Pipe = _Pipe() if streamed else io.BytesIO()
    files = {f"{i:04d}.png": os.urandom(50) * i + bytes(i) for i in range(1, 30)} | {"é 名.txt": b"words"}
    with zipfile.ZipFile(sink, "w", method) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(name, data)
    path = tmp_path / "submission.zip"
    path.write_bytes(bytes(sink.data) if isinstance(sink, _Pipe) else sink.getvalue())
    with open_archive(path, SMALL) as archive_read:
        assert archive_read.findings.counts == {}
        assert {name: archive_read.read(name) for name in archive_read.entries} == files


def test_a_descriptor_without_signature_and_old_unix_times_pass(tmp_path: Path) -> None:
    plain = Entry(b"0001.png", flags=8)
    plain.descriptor = descriptor(plain, b"")
    timed = Entry(
        b"0002.png", extra=struct.pack("<2HBI", 0x5455, 5, 1, 0), local_extra=struct.pack("<2H", 0x000D, 12) + bytes(12)
    )
    assert codes_of(forge_zip([plain, timed]), tmp_path) == set()


def test_an_archive_without_entries_opens(tmp_path: Path) -> None:
    assert codes_of(forge_zip([]), tmp_path) == set()


def test_no_file_or_no_regular_file_is_the_callers_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("nothing.zip", "pipe", "."):
        with pytest.raises(UsageError, match="FILE_UNREADABLE"):
            open_archive(tmp_path / name)


def _claims_a_million(entry: bytes = b"PK\x01\x02" + bytes(42)) -> bytes:
    """Forge 10 MB that list a million entries, the count cut to what the end record can hold."""
    body = entry * (10_000_000 // len(entry))
    return body + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, len(body), 0, 0)


def _claims_few() -> bytes:
    """Forge 10 MB of list that is announced as ten entries."""
    body = (b"PK\x01\x02" + bytes(42)) * 217_000
    return body + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 10, 10, len(body), 0, 0)


def _many_real_entries() -> bytes:
    """Forge as many entries as the default limits let through, each with something wrong."""
    return forge_zip([Entry(b"../%04d.pth" % i, mode=stat.S_IFLNK) for i in range(10_000)])


HUGE = {
    "million-entries": _claims_a_million,
    "long-list": _claims_few,
    "ten-thousand-bad-entries": _many_real_entries,
    "inflates-to-128-MB": lambda: forge_zip(
        [
            Entry(
                b"0001.png",
                b"x",
                payload=(big := zlib.compressobj(9, wbits=-15)).compress(bytes(1 << 27)) + big.flush(),
            )
        ]
    ),
}

MEASURE = """
import resource, sys
from pathlib import Path
from aisc.submission.archive import open_archive
from aisc.submission.findings import RuleBrokenError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_archive(Path(sys.argv[1])) as archive:
    codes = set(archive.findings.counts)
    for name in archive.entries:
        try:
            archive.read(name)
        except RuleBrokenError as error:
            codes.add(error.rule.code)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *sorted(codes))
"""


@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE)
def test_T26_a_bomb_takes_little_memory(make: object, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(make())  # type: ignore[operator]
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True, timeout=60)
    kibibytes, *codes = done.stdout.split()
    assert codes
    assert int(kibibytes) < 50 * 1024


ORDINARY = forge_zip(
    [Entry(b"0001.png", RANDOM[:200], 0), Entry(b"0002.png", b"hello " * 30, flags=8), Entry(b"0003.png")]
)


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.tuples(st.integers(0, len(ORDINARY) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_T27_no_damage_raises_or_changes_what_is_read(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(ORDINARY)
    for at, value in changes:
        data[at] = value
    path = tmp_path / "submission.zip"
    path.write_bytes(data)
    with open_archive(path, SMALL) as archive:
        read = {}
        for name in archive.entries:
            try:
                read[name] = archive.read(name)
            except RuleBrokenError as error:
                archive.findings.add(error.finding(name))
    # A higher "version needed" is all that the standard library refuses and we pass over.
    if not archive.findings.refused:
        with suppress(NotImplementedError), zipfile.ZipFile(path) as oracle:
            assert {name: oracle.read(name) for name in read} == read


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cut=st.integers(0, len(ORDINARY) - 1), junk=st.binary(max_size=60))
def test_T27_cut_or_lengthened_archives_are_refused(cut: int, junk: bytes, tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    path.write_bytes(ORDINARY[:cut] + junk)
    with open_archive(path, SMALL) as archive:
        assert archive.findings.refused or ORDINARY[:cut] + junk == ORDINARY
