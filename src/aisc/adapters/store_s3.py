"""A store in an S3 bucket: MinIO, SeaweedFS, Ceph, AWS or any other that honours ``If-None-Match: *``.

Write-once rests on that condition and nothing else. An object of at most ``part_size`` bytes is one conditional PUT.
A larger one goes up in parts under ``.large/`` and its own SHA-256, where writing twice is harmless, and then one
conditional PUT makes its key: an empty object whose metadata names the content. So a cut upload is never visible, and
multipart uploads need no condition, which stores support unevenly.

A store that lets two writers win at once is broken: :func:`aisc.store.count_winners` finds out. Objects without our
metadata are not ours, and are neither listed nor read.
"""

import hashlib
import mimetypes
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from minio.error import S3Error

from aisc.adapters.s3_link import Patience, S3Link, S3Settings, settings_from
from aisc.errors import PlatformError, TransientError, UsageError
from aisc.store import (
    READ_LIMIT,
    SITE,
    AlreadyWrittenError,
    Stored,
    check_key,
    check_prefix,
    check_replaceable,
    check_same,
    check_seconds,
    check_small,
    copy_hashed,
    disk_faults,
    hash_source,
    open_source,
    raise_missing,
)

__all__ = ["Patience", "S3Settings", "S3Store", "settings_from"]

_SHA256 = "aisc-sha256"
_SIZE = "aisc-size"
_META = "x-amz-meta-"
_LARGE = ".large/"
_PAGE = 1000
_THREADS = 16

T = TypeVar("T")


class _Described(NamedTuple):
    """An object of ours, and the name its bytes have in the bucket."""

    stored: Stored
    content: str


class S3Store:
    """Objects in a bucket, under a prefix."""

    def __init__(self, settings: S3Settings, patience: Patience | None = None, part_size: int = 64 << 20) -> None:
        """Open the store; nothing is sent yet.

        Args:
            settings: Where it is.
            patience: How long to wait for it.
            part_size: Largest object, in bytes, that goes up in one request; at least 5 MiB, S3's smallest part.
        """
        self._settings = settings
        self._part_size = max(part_size, 5 << 20)
        self._link = S3Link(settings, patience or Patience(), connections=2 * _THREADS)

    def put(self, key: str, source: Path | bytes) -> Stored:
        """Write an object once; see :meth:`aisc.store.Store.put`."""
        sha256, size = hash_source(source)
        offered = Stored(check_key(key), sha256, size)
        there = self.stat(key)  # spares the upload, and endpoints that answer before they have read
        if there is not None:
            return _same_or_raise(there, offered)
        headers = {"Content-Type": _type_of(key), _META + _SHA256: sha256}
        body, body_sha256 = source, sha256
        if size > self._part_size:
            self._upload_large(key, source, sha256, size)
            headers[_META + _SIZE] = str(size)
            body, body_sha256 = b"", hashlib.sha256().hexdigest()
        what = f"writing {key}"
        if self._link.call(what, lambda: self._link.put_new(self._name(key), body, body_sha256, headers)):
            return offered
        there = self.stat(key)  # another writer, or our own request whose answer was lost
        if there is None:
            message = f"An object named {key} is in the store that aisc has not put there."
            raise PlatformError("STORE_FOREIGN", message, "Give aisc a prefix of its own.")
        return _same_or_raise(there, offered)

    def replace(self, key: str, data: Path | bytes, content_type: str | None = None) -> Stored:
        """Write a published page; see :meth:`aisc.store.Store.replace`."""
        name = self._name(check_replaceable(key))
        sha256, size = hash_source(data)
        metadata = {_SHA256: sha256, "Cache-Control": "no-cache"}

        def send() -> None:
            with open_source(data) as stream:
                self._link.client.put_object(
                    self._settings.bucket,
                    name,
                    stream,
                    size,
                    content_type=content_type or _type_of(key),
                    metadata=metadata,  # type: ignore[arg-type]  # its own alias is invariant
                )

        self._link.call(f"writing {key}", send)
        return Stored(key, sha256, size)

    def fetch(self, key: str, target: Path) -> Stored:
        """Copy an object into a file; see :meth:`aisc.store.Store.fetch`."""
        part = target.with_name(f".{secrets.token_hex(8)}.part")

        def attempt() -> Stored:
            with part.open("wb") as copy:
                return self._copy(key, copy)

        with disk_faults(str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                stored = self._reading(key, attempt)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return stored

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        """Give the bytes of a small object; see :meth:`aisc.store.Store.read`."""

        def attempt() -> bytes:
            buffer = BytesIO()
            self._copy(key, buffer, limit)
            return buffer.getvalue()

        return self._reading(key, attempt)

    def stat(self, key: str) -> Stored | None:
        """Describe an object; see :meth:`aisc.store.Store.stat`."""
        described = self._describe(check_key(key))
        return described.stored if described is not None else None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Describe the objects whose keys begin with ``prefix``; see :meth:`aisc.store.Store.list`."""
        base = self._settings.prefix
        begins = base + check_prefix(prefix)
        after = f"{base}/" if not prefix else ""  # "/" sorts after ".large/" and before every key
        with ThreadPoolExecutor(_THREADS) as pool:
            while page := self._link.call(f"listing {prefix}", partial(self._page, begins, after)):
                keys = (name.removeprefix(base) for name in page if _is_key(name.removeprefix(base)))
                yield from (stored for stored in pool.map(self.stat, keys) if stored is not None)
                after = page[-1]

    def presign(self, key: str, seconds: int) -> str:
        """Give an address that reads one object for a while; see :meth:`aisc.store.Store.presign`."""
        check_seconds(seconds)
        described = self._describe(check_key(key))
        if described is None:
            raise_missing(key)
        life = timedelta(seconds=seconds)
        address: str = self._link.client.presigned_get_object(self._settings.bucket, described.content, expires=life)
        return address

    def url(self, key: str) -> str:
        """Give the ``s3://`` address of an object."""
        return f"s3://{self._settings.bucket}/{self._name(check_key(key))}"

    def _name(self, key: str) -> str:
        return self._settings.prefix + key

    def _large_name(self, sha256: str) -> str:
        return f"{self._settings.prefix}{_LARGE}{sha256[:2]}/{sha256}"

    def _describe(self, key: str) -> _Described | None:
        """Ask for an object's headers; None when it is not there or not ours."""
        bucket, name = self._settings.bucket, self._name(key)
        try:
            found = self._link.call(f"looking for {key}", lambda: self._link.client.stat_object(bucket, name))
        except S3Error:
            return None
        return self._described(key, found.metadata or {}, found.size or 0)

    def _described(self, key: str, headers: Mapping[str, str], size: int) -> _Described | None:
        sha256 = headers.get(_META + _SHA256)
        if sha256 is None:
            return None
        large = headers.get(_META + _SIZE)
        if large is not None:
            return _Described(Stored(key, sha256, int(large)), self._large_name(sha256))
        return _Described(Stored(key, sha256, size), self._name(key))

    def _page(self, begins: str, after: str) -> tuple[str, ...]:
        """List up to a thousand names, in order, from the one that follows ``after``."""
        bucket, later = self._settings.bucket, after or None
        found = self._link.client.list_objects(bucket, prefix=begins, recursive=True, start_after=later)
        return tuple(str(item.object_name) for item in islice(found, _PAGE))

    def _reading(self, key: str, attempt: Callable[[], T]) -> T:
        check_key(key)
        try:
            return self._link.call(f"reading {key}", attempt)
        except S3Error:
            raise_missing(key)

    def _copy(self, key: str, target: IO[bytes], limit: int | None = None) -> Stored:
        """Copy an object's bytes, verified."""
        with self._getting(self._name(key)) as (headers, stream):
            described = self._described(key, headers, int(headers.get("content-length", 0)))
            if described is None:
                raise_missing(key)
            if limit is not None:
                check_small(described.stored, limit)
            if described.content == self._name(key):
                sha256, _ = copy_hashed(stream, target)
                check_same(described.stored, sha256)
                return described.stored
        with self._getting(described.content) as (_, stream):
            sha256, _ = copy_hashed(stream, target)
        check_same(described.stored, sha256)
        return described.stored

    @contextmanager
    def _getting(self, name: str) -> Iterator[tuple[Mapping[str, str], IO[bytes]]]:
        """Open an object; its connection goes back to the pool when all was read, and is closed otherwise."""
        response = self._link.client.get_object(self._settings.bucket, name)
        try:
            yield response.headers, response  # type: ignore[misc]  # a response is a readable stream
            response.drain_conn()
        finally:
            response.close()
            response.release_conn()

    def _upload_large(self, key: str, source: Path | bytes, sha256: str, size: int) -> None:
        """Send content in parts under its own name, where any number of writers write the same."""
        name = self._large_name(sha256)

        def send() -> str:
            with open_source(source) as stream:
                reader = _HashingReader(stream)
                self._link.client.put_object(
                    self._settings.bucket,
                    name,
                    reader,  # type: ignore[arg-type]  # only read is called
                    size,
                    part_size=self._part_size,
                )
                return reader.total.hexdigest()

        if self._link.call(f"writing {key}", send) != sha256:
            message = f"The file for {key} changed while it was sent."
            raise TransientError("STORE_SOURCE_CHANGED", message, "Send it again when nobody writes to it.")


class _HashingReader:
    """Hashes what is read from a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.total = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.total.update(piece)
        return piece


def _same_or_raise(there: Stored, offered: Stored) -> Stored:
    if there.sha256 != offered.sha256:
        raise AlreadyWrittenError(offered.key, there.sha256, offered.sha256)
    return there


def _type_of(key: str) -> str:
    """Tell browsers what a page is; everything else is bytes."""
    guessed = mimetypes.guess_type(key)[0] if key.startswith(SITE) else None
    return guessed or "application/octet-stream"


def _is_key(text: str) -> bool:
    """Tell our names from those of content in parts and of other tools."""
    try:
        check_key(text)
    except UsageError:
        return False
    return True
