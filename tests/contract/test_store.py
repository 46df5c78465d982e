"""What every store promises, tried on each of them."""

import hashlib
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from aisc.errors import PlatformError, UsageError
from aisc.store import AlreadyWrittenError, Store, Stored, blob_key, count_winners, put_blob

OpenStore = Callable[[], Store]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def large() -> bytes:
    """20 MB that do not compress."""
    return np.random.default_rng(7).bytes(20_000_000)


@pytest.mark.parametrize("data", [b"", b"x", b"a\r\n\x00\xff" * 1000], ids=["empty", "one", "bytes"])
def test_what_is_put_is_read_back(open_again: OpenStore, tmp_path: Path, data: bytes) -> None:
    stored = open_again().put("runs/0001/result.json", data)
    assert stored == Stored("runs/0001/result.json", sha(data), len(data))
    other = open_again()
    assert other.stat("runs/0001/result.json") == stored
    assert other.read("runs/0001/result.json") == data
    assert other.fetch("runs/0001/result.json", tmp_path / "deep" / "er" / "copy") == stored
    assert (tmp_path / "deep" / "er" / "copy").read_bytes() == data


def test_a_file_is_put_as_its_bytes(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "Source File.zip"
    source.write_bytes(b"PK" * 100)
    assert store.put("submissions/a.zip", source) == Stored("submissions/a.zip", sha(b"PK" * 100), 200)
    source.write_bytes(b"changed afterwards")
    assert store.read("submissions/a.zip") == b"PK" * 100


def test_T49_other_bytes_are_refused_and_the_first_stay(store: Store) -> None:
    first = store.put("results/1.json", b"first")
    with pytest.raises(AlreadyWrittenError) as caught:
        store.put("results/1.json", b"second")
    assert caught.value.code == "STORE_ALREADY_WRITTEN"
    assert "results/1.json" in caught.value.message
    assert store.stat("results/1.json") == first
    assert store.read("results/1.json") == b"first"


def test_F13_the_same_bytes_again_change_nothing(open_again: OpenStore) -> None:
    first = open_again().put("results/1.json", b"same")
    assert open_again().put("results/1.json", b"same") == first
    assert [stored.key for stored in open_again().list()] == ["results/1.json"]


def test_T49_of_32_writers_at_once_exactly_one_wins(open_again: OpenStore) -> None:
    stores = [open_again() for _ in range(32)]
    start = threading.Barrier(32)

    def write(number: int) -> bool:
        start.wait()
        try:
            stores[number].put("race/one", f"writer {number}".encode())
        except AlreadyWrittenError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        won = list(pool.map(write, range(32)))
    assert sum(won) == 1
    assert open_again().read("race/one") == f"writer {won.index(True)}".encode()


def test_the_start_up_probe_counts_one_winner(store: Store) -> None:
    assert count_winners(store, writers=16) == 1


def test_writers_of_the_same_bytes_all_succeed(open_again: OpenStore, large: bytes) -> None:
    data = large[:6_000_000]  # above the S3 store's part size here
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda _: open_again().put("race/same", data), range(6)))
    assert set(stored) == {Stored("race/same", sha(data), len(data))}
    assert open_again().read("race/same") == data


def test_a_large_object_goes_and_comes_whole(store: Store, tmp_path: Path, large: bytes) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(large)
    stored = store.put("data/large.tar", source)
    assert stored == Stored("data/large.tar", sha(large), len(large))
    assert store.stat("data/large.tar") == stored
    assert list(store.list()) == [stored]
    assert store.fetch("data/large.tar", tmp_path / "copy") == stored
    assert (tmp_path / "copy").read_bytes() == large
    with pytest.raises(AlreadyWrittenError):
        store.put("data/large.tar", b"small")
    with pytest.raises(AlreadyWrittenError):
        store.put("data/large.tar", large[::-1])


def test_a_blob_is_named_by_its_content(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"content")
    stored = put_blob(store, source)
    assert stored == put_blob(store, b"content")
    assert stored.key == f"blobs/{sha(b'content')[:2]}/{sha(b'content')}" == blob_key(sha(b"content"))


def test_the_list_is_sorted_by_key_and_cut_by_prefix(store: Store) -> None:
    keys = ["a/b/c", "a/b-c", "a/b.c", "a/bc", "a/b0", "b", "ab/c", "a_b", "0", "_/x"]
    for key in keys:
        store.put(key, key.encode())
    assert [stored.key for stored in store.list()] == sorted(keys)
    assert [stored.key for stored in store.list("a/b")] == ["a/b-c", "a/b.c", "a/b/c", "a/b0", "a/bc"]
    assert [stored.key for stored in store.list("a/b/")] == ["a/b/c"]
    assert [stored.key for stored in store.list("b")] == ["b"]
    assert list(store.list("c/")) == []
    assert all(stored == store.stat(stored.key) for stored in store.list())


WRONG_KEYS = [
    "", "/", "/etc/passwd", "../up", "a/../b", "a/./b", "a//b", "a/", ".hidden", "a/.hidden", ".aisc/objects/x",
    ".large/ab/x", "A", "ä", "a b", "a\\b", "a\nb", "a\x00b", "a/b?x", "a/b#x", "a%2fb", "-rf", "c:x", "a..b", "a\n",
    "a" * 129, "/".join(["a" * 100] * 6), "\uff5e", "\uff49", "\u017f", "\u212a",
]  # fmt: skip


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_a_key_that_is_none_is_refused_everywhere(store: Store, tmp_path: Path, key: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.put(key, b"x"),
        lambda: store.replace(key, b"x"),
        lambda: store.fetch(key, tmp_path / "x"),
        lambda: store.read(key),
        lambda: store.stat(key),
        lambda: store.presign(key, 60),
        lambda: store.url(key),
    ]
    for use in uses:
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.code == "STORE_KEY"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("prefix", ["..", "/", "a/../b", ".aisc", "A", "a//", "a/."])
def test_a_prefix_that_begins_no_key_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(UsageError):
        list(store.list(prefix))


def test_what_is_not_there_is_said_to_be_missing(store: Store, tmp_path: Path) -> None:
    assert store.stat("no/such") is None
    for use in (lambda: store.read("no/such"), lambda: store.fetch("no/such", tmp_path / "x")):
        with pytest.raises(PlatformError) as caught:
            use()
        assert caught.value.code == "STORE_MISSING"
    assert list(tmp_path.glob("*")) in ([], [tmp_path / "store"])


def test_a_fetched_file_replaces_the_one_before_only_when_whole(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"before")
    with pytest.raises(PlatformError):
        store.fetch("no/such", target)
    assert target.read_bytes() == b"before"
    store.put("now", b"after")
    store.fetch("now", target)
    assert target.read_bytes() == b"after"


def test_a_large_object_is_not_read_into_memory_unasked(store: Store) -> None:
    store.put("big", b"x" * 1001)
    with pytest.raises(PlatformError) as caught:
        store.read("big", limit=1000)
    assert caught.value.code == "STORE_TOO_LARGE"
    assert len(store.read("big", limit=1001)) == 1001


def test_only_published_pages_are_replaced(store: Store, tmp_path: Path) -> None:
    store.replace("site/face/index.html", b"<p>one", "text/html; charset=utf-8")
    page = tmp_path / "page"
    page.write_bytes(b"<p>two")
    stored = store.replace("site/face/index.html", page)
    assert stored == Stored("site/face/index.html", sha(b"<p>two"), 6) == store.stat("site/face/index.html")
    assert store.read("site/face/index.html") == b"<p>two"
    assert [one.key for one in store.list("site/")] == ["site/face/index.html"]
    store.put("results/1", b"1")
    for key in ("results/1", "results/2", "sites/x", "site"):
        with pytest.raises(UsageError) as caught:
            store.replace(key, b"x")
        assert caught.value.code == "STORE_WRITE_ONCE"
    assert store.read("results/1") == b"1"


def test_a_page_may_be_written_once_too(store: Store) -> None:
    store.put("site/boards/0001.json", b"{}")
    assert store.put("site/boards/0001.json", b"{}").size == 2
    with pytest.raises(AlreadyWrittenError):
        store.put("site/boards/0001.json", b"[]")
    assert store.read("site/boards/0001.json") == b"{}"


def test_readers_of_a_page_see_one_whole_version(open_again: OpenStore) -> None:
    versions = [bytes([65 + number]) * 50_000 for number in range(8)]
    open_again().replace("site/board.json", versions[0])
    done = threading.Event()

    def read_on() -> set[bytes]:
        reader, seen = open_again(), set()
        while not done.is_set():
            seen.add(reader.read("site/board.json"))
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        try:
            writer = open_again()
            for version in versions * 4:
                writer.replace("site/board.json", version)
        finally:
            done.set()
        for reader in readers:
            assert reader.result() <= set(versions)


def test_a_presigned_address_downloads_where_it_is_offered(store: Store, large: bytes) -> None:
    store.put("small", b"hello")
    store.put("large", large[:6_000_000])
    for key, data in (("small", b"hello"), ("large", large[:6_000_000])):
        address = store.presign(key, 60)
        if address is not None:
            with urllib.request.urlopen(address) as response:  # noqa: S310  # our own server
                assert response.read() == data
    for seconds in (0, -1, 604_801):
        with pytest.raises(UsageError) as caught:
            store.presign("small", seconds)
        assert caught.value.code == "STORE_PRESIGN"


def test_an_object_has_an_address(store: Store) -> None:
    address = store.url("a/b.zip")
    assert address.startswith(("file:///", "s3://"))
    assert address.endswith("/a/b.zip")
