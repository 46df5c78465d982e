"""Assets travel whole, and what is derived is made once."""

import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.errors import PlatformError, UsageError
from aisc.identity import Asset, digest
from aisc.ledger import open_ledger
from aisc.workbench import Workbench, pack, unpack


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", create=True)
    yield Workbench(ledger, FolderStore(tmp_path / "store"), tmp_path / "cache")
    ledger.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small dataset."""
    made = tmp_path / "pairs"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "0001.png").write_bytes(b"\x89PNG")
    (made / "deep" / "er" / "x.json").write_text("{}")
    (made / "empty").write_bytes(b"")
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def elsewhere(bench: Workbench, tmp_path: Path) -> Workbench:
    """Another machine: the same ledger and store, an empty cache."""
    return Workbench(bench.ledger, bench.store, tmp_path / "another cache")


def test_an_asset_comes_back_on_another_machine_as_it_was(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    asset = bench.register("data", "faces/pairs", folder)
    assert bench.ledger.assets.current("data", "faces/pairs") == asset
    there = elsewhere(bench, tmp_path)
    assert files(there.asset(asset)) == files(folder)
    assert there.asset(asset) == there.asset(asset)
    assert list((there.cache / "scratch").iterdir()) == []


def test_T18_the_name_depends_on_names_and_contents_alone(folder: Path, tmp_path: Path) -> None:
    first = pack(folder, tmp_path / "first.tar")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert pack(folder, tmp_path / "second.tar") == first
    assert (tmp_path / "second.tar").read_bytes() == (tmp_path / "first.tar").read_bytes()
    assert unpack(tmp_path / "first.tar", tmp_path / "out") == first
    (folder / "0001.png").rename(folder / "0002.png")
    assert pack(folder, tmp_path / "third.tar") != first


def test_a_folder_that_was_unpacked_has_the_same_name_again(bench: Workbench, folder: Path) -> None:
    asset = bench.register("data", "faces/pairs", folder)
    assert bench.register("data", "faces/pairs", bench.asset(asset)) == asset


def test_an_asset_that_is_not_what_its_digest_says_is_refused(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    asset = bench.register("data", "faces/pairs", folder)
    other = Asset("data", "faces/pairs", "0" * 64, asset.key)
    with pytest.raises(PlatformError, match=r"^ASSET_CORRUPT"):
        bench.asset(other)
    assert not (bench.cache / f"data-{other.sha256}").exists()
    assert elsewhere(bench, tmp_path).asset(asset).is_dir()


@pytest.mark.parametrize("name", ["../outside", "/etc/outside"])
def test_T23_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "bad.tar"
    (tmp_path / "content").write_text("x")
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "content", arcname=name)
    before = set(tmp_path.rglob("*"))
    with suppress(tarfile.TarError):
        unpack(archive, tmp_path / "out")
    assert all(path.is_relative_to(tmp_path / "out") for path in set(tmp_path.rglob("*")) - before)
    assert not Path("/etc/outside").exists()


def test_a_maker_that_fails_leaves_nothing_and_may_be_tried_again(bench: Workbench) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise UsageError("NO", "Not now.")

    with pytest.raises(UsageError):
        bench.cached("thing", fail)
    assert not (bench.cache / "thing").exists()
    assert files(bench.cached("thing", lambda folder: (folder / "whole").write_text("w") and None)) == {"whole": b"w"}


def test_F09_of_makers_at_once_one_wins_and_all_agree(bench: Workbench) -> None:
    start = Barrier(8)

    def use(number: int) -> bytes:
        def make(folder: Path) -> None:
            start.wait()
            (folder / "file").write_text(f"maker {number}")

        return (bench.cached("thing", make) / "file").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(use, range(8)))) == 1
    assert list((bench.cache / "scratch").iterdir()) == []


def test_what_is_derived_is_made_once_for_all_machines(bench: Workbench, tmp_path: Path) -> None:
    made: list[str] = []

    def make(path: Path) -> None:
        made.append(path.name)
        path.write_text(f"made {len(made)}")

    inputs = {"data": "d" * 64, "code": "c"}
    assert bench.derived("embeddings.npz", inputs, make).read_text() == "made 1"
    assert bench.derived("embeddings.npz", dict(reversed(inputs.items())), make).read_text() == "made 1"
    assert elsewhere(bench, tmp_path).derived("embeddings.npz", inputs, make).read_text() == "made 1"
    assert len(made) == 1
    assert bench.derived("embeddings.npz", inputs | {"code": "d"}, make).read_text() == "made 2"
    assert bench.store.stat(f"derived/{digest(inputs)}/embeddings.npz") is not None


def test_F09_a_derived_file_of_another_maker_stands(bench: Workbench, tmp_path: Path) -> None:
    """Two machines make one thing at once, and their last bits differ: everyone uses what was stored first."""
    there = elsewhere(bench, tmp_path)

    def slow(path: Path) -> None:
        bench.derived("x", {"a": "1"}, lambda other: other.write_text("first") and None)
        path.write_text("second")

    assert there.derived("x", {"a": "1"}, slow).read_text() == "first"
