"""What the folder store promises beyond the contract: crashes, a full disk, a spoilt disk."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisc.adapters.store import open_store
from aisc.adapters.store_folder import FolderStore
from aisc.errors import PlatformError, UsageError
from aisc.store import AlreadyWrittenError, Stored


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def content_of(root: Path, stored: Stored) -> Path:
    return root / ".aisc" / "objects" / stored.sha256[:2] / stored.sha256


def in_child_killed_at_step(step: int, root: Path, key: str, data: bytes) -> bool:
    """Put in a forked child that is SIGKILLed before its step-th call to the operating system; tell whether it was."""
    pid = os.fork()
    if pid == 0:
        left = step

        def hook(event: str, _: tuple[object, ...]) -> None:
            nonlocal left
            if event.startswith(("os.", "open")) and event != "os.kill":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        store = FolderStore(root)
        sys.addaudithook(hook)
        try:
            store.put(key, data)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("key", ["results/new/1.json", "site/boards/1.json"])
def test_F01_a_writer_killed_at_any_step_leaves_nothing_or_a_whole_object(tmp_path: Path, key: str) -> None:
    data, step, killed, outcomes = b"result" * 1000, 0, True, set()
    while killed:
        step += 1
        root = tmp_path / f"store-{step}"
        store = FolderStore(root)
        killed = in_child_killed_at_step(step, root, key, data)
        visible = [stored.key for stored in store.list()]
        assert visible in ([], [key])
        assert (store.stat(key) is None) == (visible == [])
        if visible:
            assert store.read(key) == data
        outcomes.add((killed, bool(visible)))
        assert FolderStore(root).put(key, data).size == len(data)
        assert store.read(key) == data
    assert step > 6
    assert {(True, False), (True, True), (False, True)} <= outcomes


def test_F06_a_writer_killed_half_way_through_its_source_leaves_nothing_visible(root: Path, tmp_path: Path) -> None:
    store, pipe = FolderStore(root), tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        "import sys; from pathlib import Path; from aisc.adapters.store_folder import FolderStore; "
        "FolderStore(Path(sys.argv[1])).put('data/1', Path(sys.argv[2]))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(root), str(pipe)])
    with pipe.open("wb") as stream:
        stream.write(b"x" * 3_000_000)
        stream.flush()
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    assert list(store.list()) == []
    assert store.stat("data/1") is None
    left = list((root / ".aisc" / "tmp").iterdir())
    assert len(left) == 1
    assert 0 < left[0].stat().st_size < 3_000_001


def test_leftovers_are_swept_when_older_than_a_day(root: Path) -> None:
    FolderStore(root)
    old, young = (root / ".aisc" / "tmp" / name for name in ("old", "young"))
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    FolderStore(root)
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("spoil", [b"Xyz", b"ab", b"abcd", b""])
def test_a_spoilt_disk_is_noticed_and_the_same_bytes_mend_it(root: Path, tmp_path: Path, spoil: bytes) -> None:
    store = FolderStore(root)
    stored = store.put("data/1", b"abc")
    content_of(root, stored).chmod(0o600)
    content_of(root, stored).write_bytes(spoil)
    for use in (lambda: store.read("data/1"), lambda: store.fetch("data/1", tmp_path / "copy")):
        with pytest.raises(PlatformError) as caught:
            use()
        assert caught.value.code == "STORE_CORRUPT"
        assert "data/1" in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    store.put("data/1", b"abc")
    assert store.read("data/1") == b"abc"


def test_lost_content_is_missing_until_the_same_bytes_bring_it_back(root: Path) -> None:
    store = FolderStore(root)
    content_of(root, store.put("data/1", b"abc")).unlink()
    assert store.stat("data/1") is None
    with pytest.raises(AlreadyWrittenError):
        store.put("data/1", b"other")
    store.put("data/1", b"abc")
    assert store.read("data/1") == b"abc"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("no right to mount a small tmpfs: run the tests as root, with CAP_SYS_ADMIN")
    yield place
    subprocess.run(["umount", place], check=True)


def test_F10_a_full_disk_is_said_and_leaves_nothing_behind(small_disk: Path, tmp_path: Path) -> None:
    store = FolderStore(small_disk / "store")
    kept = store.put("data/kept", b"k" * 400_000)
    store.replace("site/index.html", b"old page")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 900_000)
    for use in (
        lambda: store.put("data/1", source),
        lambda: store.put("data/1", b"x" * 900_000),
        lambda: store.replace("site/index.html", source),
        lambda: FolderStore(tmp_path / "roomy").fetch("data/1", small_disk / "copy"),
    ):
        FolderStore(tmp_path / "roomy").put("data/1", source)
        with pytest.raises(PlatformError) as caught:
            use()
        assert caught.value.code == "STORE_FULL"
        assert list((small_disk / "store" / ".aisc" / "tmp").iterdir()) == []
    assert [path.name for path in small_disk.iterdir()] == ["store"]
    assert list(store.list("data/")) == [kept]
    assert store.read("data/kept") == b"k" * 400_000
    assert store.read("site/index.html") == b"old page"
    assert store.put("data/2", b"fits").size == 4


def test_F10_a_size_limit_is_said_like_a_full_disk(root: Path) -> None:
    store = FolderStore(root)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(PlatformError) as caught:
            store.put("data/1", b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "STORE_FULL"
    assert list(store.list()) == []
    assert list((root / ".aisc" / "tmp").iterdir()) == []


def test_a_key_cannot_be_an_object_and_a_folder(root: Path) -> None:
    store = FolderStore(root)
    store.put("a/b", b"x")
    store.replace("site/a/b", b"x")
    for use in (
        lambda: store.put("a/b/c", b"x"),
        lambda: store.put("a", b"x"),
        lambda: store.replace("site/a/b/c", b"x"),
        lambda: store.replace("site/a", b"x"),
        lambda: store.put("site/a", b"x"),
    ):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.code == "STORE_KEY"
    assert [stored.key for stored in store.list()] == ["a/b", "site/a/b"]
    assert store.stat("a") is None
    assert store.stat("a/b/c") is None


def test_files_that_are_not_ours_are_neither_listed_nor_read(root: Path, tmp_path: Path) -> None:
    store = FolderStore(root)
    (root / "data").mkdir()
    (root / "data" / "README.txt").write_text("notes")
    (root / "data" / "plain").write_text("notes")
    (tmp_path / "secret").write_text("secret")
    (root / "data" / "link").symlink_to(tmp_path / "secret")
    assert list(store.list()) == []
    for key in ("data/plain", "data/link"):
        assert store.stat(key) is None
        with pytest.raises(PlatformError, match="STORE_MISSING"):
            store.read(key)
        with pytest.raises(UsageError, match="STORE_KEY"):
            store.put(key, b"x")


def test_a_moved_store_still_works_and_its_pages_are_plain_files(root: Path, tmp_path: Path) -> None:
    store = FolderStore(root)
    store.put("data/1", b"abc")
    store.replace("site/index.html", b"<p>")
    root.rename(tmp_path / "moved")
    moved = FolderStore(tmp_path / "moved")
    assert moved.read("data/1") == b"abc"
    assert not (tmp_path / "moved" / "site" / "index.html").is_symlink()


def test_a_disk_that_refuses_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PlatformError, match="STORE_FAILED") as caught:
        FolderStore(tmp_path / "file")
    assert str(tmp_path / "file") in caught.value.message
    with pytest.raises(PlatformError, match="STORE_FAILED"):
        FolderStore(tmp_path / "store").put("a", tmp_path / "no-such-source")


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_a_folder_is_opened_by_path_or_address(tmp_path: Path, address: str) -> None:
    place = tmp_path / "a b"
    open_store(address.format(str(place).replace(" ", "%20") if "://" in address else place)).put("k", b"v")
    assert FolderStore(place).read("k") == b"v"


@pytest.mark.parametrize("address", ["", "http://host/x", "ftp://x", "file://host/x", "sqlite:///x"])
def test_an_address_of_no_store_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="STORE_ADDRESS"):
        open_store(address)
