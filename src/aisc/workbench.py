"""What a stage works with: the ledger, the store, a cache of what the store holds, and what opens its victims.

Datasets and victims travel as one archive with a manifest; they are named by the manifest's digest, unpacked once a
machine and verified file by file. What is costly and the same for every submission (decoded images, embeddings of the
comparison images) is derived once and kept under the digest of what it was derived from.
"""

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from aisc.errors import PlatformError
from aisc.identity import Asset, canonical_json, digest
from aisc.ledger import Ledger
from aisc.store import AlreadyWrittenError, Store, hash_file
from aisc.victims.opening import LocalVictims, Victims

MANIFEST = "manifest.json"
ZIP_EPOCH = 315_532_800
"""1980-01-01, the time of every packed file: none at all would be 1970, which no zip made of the files can hold."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """The ledger, the store, a local cache folder and the victims; the cache may be deleted at any time.

    Attributes:
        ledger: The ledger.
        store: The store.
        cache: A folder of this machine.
        attempt: Inside a run's worker the attempt it claimed: once another one took over, no step begins any more.
        victims: Opens the folder of a victim: ``bench.victims.open_verifier(bench.asset(victim))``.
    """

    ledger: Ledger
    store: Store
    cache: Path
    attempt: int | None = None
    victims: Victims = field(default_factory=LocalVictims)

    def register(self, kind: Literal["data", "victim"], name: str, folder: Path) -> Asset:
        """Put a folder of files into the store as one archive and make it the current asset of its name."""
        with self.scratch() as scratch:
            archive = scratch / "asset.tar"
            sha256 = pack(folder, archive)
            asset = Asset(kind, name, sha256, f"assets/{kind}/{sha256}.tar")
            self.store.put(asset.key, archive)
        self.ledger.assets.register(asset)
        return asset

    def asset(self, asset: Asset) -> Path:
        """Give the folder of an asset's files, fetching and verifying them the first time.

        Raises:
            PlatformError: ``ASSET_CORRUPT`` when a file is not what the manifest says.
        """

        def make(folder: Path) -> None:
            archive = folder.with_suffix(".tar")
            self.store.fetch(asset.key, archive)
            if unpack(archive, folder) != asset.sha256:
                raise PlatformError(
                    "ASSET_CORRUPT",
                    f"{asset.kind} {asset.name} in the store is not what its digest says.",
                    "Register it again with 'aisc data import' or 'aisc victims import'.",
                )

        return self.cached(f"{asset.kind}-{asset.sha256}", make)

    def cached(self, name: str, make: Callable[[Path], None]) -> Path:
        """Give a folder of the local cache, making it the first time; of two makers at once one wins, both agree."""
        target = self.cache / name
        if target.is_dir():
            return target
        with self.scratch() as scratch:
            folder = scratch / "made"
            folder.mkdir()
            make(folder)
            try:
                folder.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
        return target

    def derived(self, what: str, inputs: Mapping[str, str], make: Callable[[Path], None]) -> Path:
        """Give a file that depends on nothing but named digests: from the store, or made once and put there.

        Args:
            what: The kind of thing, such as ``embeddings.npz``.
            inputs: All it depends on, by name; the code that makes it included.
            make: Writes the file; equal inputs must give equal bytes.
        """
        key = f"derived/{digest(dict(inputs))}/{what}"

        def fetch(folder: Path) -> None:
            target = folder / what
            if self.store.stat(key) is None:
                made = folder / f"making-{what}"
                make(made)
                # Another maker's file stands: equal but for the last bits of a float, and everyone uses the same one.
                with suppress(AlreadyWrittenError):
                    self.store.put(key, made)
                made.unlink()
            self.store.fetch(key, target)

        return self.cached(key.replace("/", "-"), fetch) / what

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder beside the cache, removed at the end."""
        parent = self.cache / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            yield Path(folder)


def pack(folder: Path, archive: Path) -> str:
    """Write a folder as a tar that depends on names and contents alone, and give its manifest's digest."""
    manifest = _manifest(folder)
    listing = canonical_json(manifest)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, MANIFEST, len(listing), io.BytesIO(listing))
        for name in manifest:
            with (folder / name).open("rb") as source:
                _add(tar, name, (folder / name).stat().st_size, source)
    return digest(manifest)


def unpack(archive: Path, folder: Path) -> str:
    """Unpack what ``pack`` wrote and give the digest of what is there now."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return digest(_manifest(folder))


def _add(tar: tarfile.TarFile, name: str, size: int, source: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, ZIP_EPOCH
    tar.addfile(info, source)


def _manifest(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): hash_file(path)[0]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
