"""Where artifacts live: what every store promises, and the pure parts that all stores share.

An object is written once under its key and is there whole or not at all. Its SHA-256 is kept with it, and whatever is
read back is compared with it. Only published pages, under ``site/``, are ever replaced.
"""

import errno
import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, NoReturn, Protocol
from uuid import uuid4

from aisc.errors import PlatformError, UsageError

SITE = "site/"
"""Published pages; the only keys that may be replaced."""
READ_LIMIT = 64 << 20
"""Largest object, in bytes, that is read into memory unless told otherwise."""

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KEY_LENGTH = 512
_SEGMENT = re.compile(r"[a-z0-9_][a-z0-9._-]{0,127}")
_PREFIX = re.compile(r"([a-z0-9_][a-z0-9._/-]{0,511})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Stored(NamedTuple):
    """An object: its key, the SHA-256 of its bytes in lower-case hex, and its size in bytes."""

    key: str
    sha256: str
    size: int


class AlreadyWrittenError(PlatformError):
    """Other bytes are stored under the key already (code STORE_ALREADY_WRITTEN)."""

    def __init__(self, stored_key: str, stored_sha256: str, offered_sha256: str) -> None:
        """Name both contents, so that the log tells which writer came second."""
        super().__init__(
            "STORE_ALREADY_WRITTEN",
            f"{stored_key} holds {stored_sha256[:16]}… and was to be overwritten with {offered_sha256[:16]}…; "
            "an object is written once.",
            "Use another key, or find out why one key got two contents.",
        )


class Store(Protocol):
    """Write-once objects by key; every method may raise what a store raises when it cannot be reached."""

    def put(self, key: str, source: Path | bytes) -> Stored:
        """Write an object once; the same bytes again change nothing.

        Of several writers at once exactly one wins; an interrupted one leaves nothing that anyone can see.

        Raises:
            AlreadyWrittenError: Other bytes are there already.
            UsageError: STORE_KEY.
            PlatformError: STORE_FULL.
            TransientError: STORE_UNAVAILABLE.
        """
        ...

    def replace(self, key: str, data: Path | bytes, content_type: str | None = None) -> Stored:
        """Write a published page, in the place of the one before; readers see the old or the new one, whole.

        Raises:
            UsageError: STORE_KEY; STORE_WRITE_ONCE, for a key outside ``site/``.
        """
        ...

    def fetch(self, key: str, target: Path) -> Stored:
        """Copy an object into a file, which appears whole and verified or not at all.

        Raises:
            PlatformError: STORE_MISSING; STORE_CORRUPT, when the bytes are not those that were put.
        """
        ...

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        """Give the bytes of a small object, verified.

        Raises:
            PlatformError: STORE_MISSING; STORE_CORRUPT; STORE_TOO_LARGE, past ``limit`` bytes.
        """
        ...

    def stat(self, key: str) -> Stored | None:
        """Describe an object; None when there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Describe the objects whose keys begin with ``prefix`` (a text, not a folder), sorted by key."""
        ...

    def presign(self, key: str, seconds: int) -> str | None:
        """Give an address that lets anyone read one object for a while; None where a store has no such thing.

        Raises:
            PlatformError: STORE_MISSING.
            UsageError: STORE_PRESIGN, unless 1 <= seconds <= 604800 (a week).
        """
        ...

    def url(self, key: str) -> str:
        """Give the address of an object, for people and logs; it carries no right to read it."""
        ...


def check_key(key: str) -> str:
    """Accept lower-case path segments of letters, digits, ``.``, ``_`` and ``-``, none of them hidden.

    >>> check_key("submissions/face/0001.zip")
    'submissions/face/0001.zip'

    Raises:
        UsageError: STORE_KEY, for anything else: ``..``, a leading dot or slash, blanks, capitals, other scripts.
    """
    segments = key.split("/")
    if len(key) > _KEY_LENGTH or ".." in key or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise UsageError(
            "STORE_KEY",
            f"{key[:80]!r} is no key: a key is made of segments of a-z, 0-9, '.', '_' and '-' joined by '/'.",
            f"Use at most {_KEY_LENGTH} characters, 128 a segment, no '..' and no segment that begins with '.' or '-'.",
        )
    return key


def check_prefix(prefix: str) -> str:
    """Accept the beginning of a key, or "".

    Raises:
        UsageError: STORE_KEY.
    """
    if not _PREFIX.fullmatch(prefix) or ".." in prefix or "//" in prefix or "/." in prefix:
        raise UsageError("STORE_KEY", f"{prefix[:80]!r} begins no key.", "Give the first characters of the keys.")
    return prefix


def check_replaceable(key: str) -> str:
    """Accept the keys of published pages.

    Raises:
        UsageError: STORE_KEY; STORE_WRITE_ONCE.
    """
    if not check_key(key).startswith(SITE):
        message = f"{key} is written once; only pages under {SITE} are replaced."
        raise UsageError("STORE_WRITE_ONCE", message, "Write the object under a new key.")
    return key


def check_seconds(seconds: int) -> int:
    """Accept the life of a presigned address: a second to a week, as S3 does.

    Raises:
        UsageError: STORE_PRESIGN.
    """
    if not 1 <= seconds <= 604_800:
        message = f"An address cannot be valid for {seconds} seconds."
        raise UsageError("STORE_PRESIGN", message, "Ask for 1 to 604800 seconds, which is a week.")
    return seconds


def blob_key(sha256: str) -> str:
    """Give the key of content that is named by itself.

    >>> blob_key("ab" + 62 * "0")
    'blobs/ab/ab00000000000000000000000000000000000000000000000000000000000000'

    Raises:
        UsageError: STORE_KEY, unless ``sha256`` is 64 lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise UsageError("STORE_KEY", f"{sha256[:80]!r} is no SHA-256.", "Give 64 lower-case hexadecimal digits.")
    return f"blobs/{sha256[:2]}/{sha256}"


def put_blob(store: Store, source: Path | bytes) -> Stored:
    """Store content under its own name."""
    return store.put(blob_key(hash_source(source)[0]), source)


def hash_source(source: Path | bytes) -> tuple[str, int]:
    """Give the SHA-256 (hex) and the size in bytes of what is to be stored."""
    with open_source(source) as stream:
        return copy_hashed(stream, None)


def open_source(source: Path | bytes) -> BinaryIO:
    """Open what is to be stored for reading."""
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def hash_file(path: Path) -> tuple[str, int]:
    """Give the SHA-256 (hex) and the size in bytes of a file, read in pieces."""
    with path.open("rb") as file:
        return copy_hashed(file, None)


def copy_hashed(source: IO[bytes], target: IO[bytes] | None) -> tuple[str, int]:
    """Copy to the end, in pieces; give the SHA-256 (hex) and the count of the bytes."""
    total, size = hashlib.sha256(), 0
    while piece := source.read(_CHUNK):
        total.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return total.hexdigest(), size


def check_same(stored: Stored, sha256: str) -> None:
    """Compare what was read with what was put.

    Raises:
        PlatformError: STORE_CORRUPT.
    """
    if sha256 != stored.sha256:
        raise PlatformError(
            "STORE_CORRUPT",
            f"{stored.key} was put as {stored.sha256[:16]}… and reads as {sha256[:16]}…: the store has changed it.",
            "Restore it from a backup, or put the same bytes again.",
        )


def check_small(stored: Stored, limit: int) -> None:
    """Keep large objects out of memory.

    Raises:
        PlatformError: STORE_TOO_LARGE.
    """
    if stored.size > limit:
        message = f"{stored.key} has {stored.size} bytes; at most {limit} are read into memory here."
        raise PlatformError("STORE_TOO_LARGE", message, "Fetch it into a file.")


@contextmanager
def disk_faults(what: str) -> Iterator[None]:
    """Turn what the operating system says of a disk into errors that tell what to do.

    Raises:
        PlatformError: STORE_FULL; STORE_FAILED.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = f"There is no room left to write {what}; nothing of it was kept."
            raise PlatformError("STORE_FULL", message, "Free space on the disk, then try again.") from error
        message = f"The disk failed at {what}: {error.strerror or error}."
        raise PlatformError("STORE_FAILED", message, "Check the folder's rights and the disk.") from error


def raise_missing(key: str) -> NoReturn:
    """Say that there is no such object.

    Raises:
        PlatformError: STORE_MISSING.
    """
    message = f"The store has no object {key} that aisc has put there."
    raise PlatformError("STORE_MISSING", message, "Check the store's address in the season file.")


def count_winners(store: Store, writers: int = 32) -> int:
    """Let writers race for one fresh key under ``probe/``, each with other bytes, and count those that won.

    A store whose conditional writes are broken lets several win; such a store must not keep results. The probe stays
    in the store: nothing is ever deleted.

    Returns:
        1 for a sound store.
    """
    key = f"probe/write-once/{uuid4().hex}"

    def wins(writer: int) -> bool:
        try:
            store.put(key, f"writer {writer} of {key}".encode())
        except AlreadyWrittenError:
            return False
        return True

    with ThreadPoolExecutor(writers) as pool:
        return sum(pool.map(wins, range(writers)))
