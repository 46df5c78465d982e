"""A store in a folder: content under ``.aisc/objects`` by its SHA-256, and a key is a symbolic link to it.

Making a link is one step that fails when the name is taken, so that step is the commit: before it nobody sees anything,
after it everybody sees the whole object, and of two writers one gets the name. The link's target carries the digest, so
there is no record beside the object that a crash could leave behind without it. Published pages under ``site/`` are
plain files, for any web server to serve and for any tool to copy.

What a killed writer leaves is a file in ``.aisc/tmp``, swept when the store is opened a day later, or content that no
key names, which costs room and nothing else.
"""

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from aisc.errors import UsageError
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
    hash_file,
    open_source,
    raise_missing,
)

_HIDDEN = ".aisc"
_SWEEP_AFTER_S = 24 * 3600


class FolderStore:
    """Objects in a folder of a local file system that has hard and symbolic links."""

    def __init__(self, root: Path) -> None:
        """Open the store, making the folder if need be, and sweep what killed writers left long ago."""
        self._root = root.resolve()
        self._objects = self._root / _HIDDEN / "objects"
        self._tmp = self._root / _HIDDEN / "tmp"
        with disk_faults(str(self._root)):
            self._objects.mkdir(parents=True, exist_ok=True)
            self._tmp.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def put(self, key: str, source: Path | bytes) -> Stored:
        """Write an object once; see :meth:`aisc.store.Store.put`."""
        path = self._path(check_key(key))
        with disk_faults(key), self._written(source) as (temporary, sha256, size):
            self._compare(key, path, sha256)
            self._make_folder(path.parent)
            try:
                if key.startswith(SITE):
                    os.link(temporary, path)
                else:
                    content = self._keep(temporary, sha256)
                    path.symlink_to(os.path.relpath(content, path.parent))
            except FileExistsError:
                if not self._compare(key, path, sha256):
                    raise _nested(key) from None
            _sync_folder(path.parent)
            return Stored(key, sha256, size)

    def replace(self, key: str, data: Path | bytes, content_type: str | None = None) -> Stored:
        """Write a published page; web servers tell the type of a file by its name, so ``content_type`` is not kept."""
        path = self._path(check_replaceable(key))
        with disk_faults(key), self._written(data) as (temporary, sha256, size):
            self._make_folder(path.parent)
            try:
                temporary.replace(path)
            except IsADirectoryError:
                raise _nested(key) from None
            _sync_folder(path.parent)
            return Stored(key, sha256, size)

    def fetch(self, key: str, target: Path) -> Stored:
        """Copy an object into a file; see :meth:`aisc.store.Store.fetch`."""
        with disk_faults(str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{secrets.token_hex(8)}.part")
            try:
                with part.open("xb") as copy:
                    stored = self._copy(key, copy)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return stored

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        """Give the bytes of a small object; see :meth:`aisc.store.Store.read`."""
        buffer = BytesIO()
        with disk_faults(key):
            self._copy(key, buffer, limit)
        return buffer.getvalue()

    def stat(self, key: str) -> Stored | None:
        """Describe an object; see :meth:`aisc.store.Store.stat`."""
        path = self._path(check_key(key))
        with disk_faults(key):
            sha256 = self._recorded(key, path)
            try:
                return None if sha256 is None else Stored(key, sha256, path.stat().st_size)
            except FileNotFoundError:
                return None  # its content is lost; the same bytes put again bring it back

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Describe the objects whose keys begin with ``prefix``; see :meth:`aisc.store.Store.list`."""
        folder = self._path(check_prefix(prefix).rpartition("/")[0])
        keys = []
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = Path(place).relative_to(self._root)
            keys += [(inside / name).as_posix() for name in files if not name.startswith(".")]
        for key in sorted(key for key in keys if key.startswith(prefix)):
            try:
                stored = self.stat(key)
            except UsageError:
                continue  # a name that no key has: not ours
            if stored is not None:
                yield stored

    def presign(self, key: str, seconds: int) -> None:
        """Give None: a folder has nobody to ask for leave."""
        check_seconds(seconds)
        check_key(key)

    def url(self, key: str) -> str:
        """Give the ``file://`` address of an object."""
        return self._path(check_key(key)).as_uri()

    def _path(self, key: str) -> Path:
        return self._root / key

    def _recorded(self, key: str, path: Path) -> str | None:
        """Give the digest an object was put with; that of its bytes for a page; None where no object is."""
        try:
            content = Path(os.path.normpath(path.parent / path.readlink()))
            return content.name if content.parent.parent == self._objects else None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            if error.errno != errno.EINVAL:  # it is there, and no link
                raise
        return hash_file(path)[0] if key.startswith(SITE) and path.is_file() else None

    def _compare(self, key: str, path: Path, sha256: str) -> bool:
        """Tell whether these very bytes are stored already; raise when other ones are."""
        there = self._recorded(key, path)
        if there is not None and there != sha256:
            raise AlreadyWrittenError(key, there, sha256)
        return there is not None

    def _copy(self, key: str, target: IO[bytes], limit: int | None = None) -> Stored:
        """Copy an object's bytes, from one open file, so that a page replaced meanwhile is still read whole."""
        path = self._path(check_key(key))
        recorded = None if key.startswith(SITE) else self._recorded(key, path)
        if recorded is None and not key.startswith(SITE):
            raise_missing(key)
        try:
            source = path.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise_missing(key)
        with source:
            if limit is not None:
                check_small(Stored(key, recorded or "", os.fstat(source.fileno()).st_size), limit)
            sha256, size = copy_hashed(source, target)
        stored = Stored(key, recorded or sha256, size)
        check_same(stored, sha256)
        return stored

    @contextmanager
    def _written(self, source: Path | bytes) -> Iterator[tuple[Path, str, int]]:
        """Write a temporary file to the disk; give its path, SHA-256 and size; leave nothing of it behind."""
        temporary = self._tmp / secrets.token_hex(16)
        try:
            with temporary.open("xb") as target, open_source(source) as reader:
                expected = len(source) if isinstance(source, bytes) else source.stat().st_size
                _reserve(target.fileno(), expected)
                sha256, size = copy_hashed(reader, target)
                target.flush()
                os.ftruncate(target.fileno(), size)
                os.fsync(target.fileno())
            yield temporary, sha256, size
        finally:
            temporary.unlink(missing_ok=True)

    def _keep(self, temporary: Path, sha256: str) -> Path:
        """Move content to its own name, read-only; in place of the same content, which mends what a disk spoilt."""
        content = self._objects / sha256[:2] / sha256
        self._make_folder(content.parent)
        temporary.chmod(stat.S_IMODE(temporary.stat().st_mode) & ~0o222)
        temporary.replace(content)
        _sync_folder(content.parent)
        return content

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, each of them safe on the disk."""
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise _nested(folder.relative_to(self._root).as_posix()) from None
        for place in missing:
            _sync_folder(place.parent)

    def _sweep(self) -> None:
        """Remove temporary files older than a day: no writer takes that long."""
        oldest = time.time() - _SWEEP_AFTER_S
        for leftover in self._tmp.iterdir():
            with suppress(OSError):
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()


def _reserve(handle: int, size: int) -> None:
    """Let a full disk say so before a byte is copied, where the file system can tell."""
    try:
        if size:
            os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _nested(key: str) -> UsageError:
    return UsageError(
        "STORE_KEY",
        f"{key} cannot be both an object and the beginning of other keys in a folder.",
        "Name the object otherwise.",
    )
