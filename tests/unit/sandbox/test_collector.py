"""The collector against what a program may leave behind."""

import os
import socket
import threading
from pathlib import Path

import pytest

from aisc.sandbox.collector import collect_outputs
from aisc.sandbox.contract import MIB, Limits

LIMITS = Limits(output_bytes=1 * MIB, output_files=4)
NAMES = ("result.csv", "extra.bin")
SECRET = b"secret of the host"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    return tmp_path / "source"


def collected(source: Path, limits: Limits = LIMITS) -> tuple[dict[str, bytes], set[str], bool]:
    target = source.parent / "target"
    result = collect_outputs(source, target, NAMES, limits)
    files = {path.name: path.read_bytes() for path in target.iterdir()}
    if not result.crossed:
        assert tuple(files) == result.names or set(files) == set(result.names)
    return files, {finding.code for finding in result.findings}, result.crossed


def test_declared_files_arrive_byte_for_byte(source: Path) -> None:
    data = os.urandom(300_000)
    (source / "result.csv").write_bytes(data)
    (source / "extra.bin").write_bytes(b"")
    assert collected(source) == ({"result.csv": data, "extra.bin": b""}, set(), False)


def test_T03_an_undeclared_score_file_is_not_read(source: Path) -> None:
    for name in ("result.csv", "extra.bin", "metrics.json"):
        (source / name).write_text("{}")
    os.chmod(source / "metrics.json", 0)
    files, codes, crossed = collected(source)
    assert set(files) == set(NAMES)
    assert (codes, crossed) == (set(), False)


def test_a_missing_output_is_named(source: Path) -> None:
    assert collected(source) == ({}, {"OUTPUT_MISSING"}, False)


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "folder", "socket", "device", "loop"])
def test_T39_nothing_but_ordinary_files_is_read(source: Path, kind: str) -> None:
    place = source / "result.csv"
    (source / "extra.bin").write_text("x")
    match kind:
        case "symlink":
            place.symlink_to(source.parent / "secret")
        case "dangling":
            place.symlink_to("/nowhere")
        case "loop":
            place.symlink_to("result.csv")
        case "fifo":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
        case "socket":
            socket.socket(socket.AF_UNIX).bind(str(place))
        case "device":
            if os.geteuid() != 0:
                pytest.skip("only root makes devices: run the tests as root")
            os.mknod(place, 0o20666, os.makedev(1, 5))
    files, codes, _ = collected(source)
    assert files == {"extra.bin": b"x"}
    assert codes == {"OUTPUT_NOT_REGULAR"}


def test_T39_a_second_name_of_a_file_is_not_read(source: Path) -> None:
    os.link(source.parent / "secret", source / "result.csv")
    files, codes, _ = collected(source)
    assert files == {}
    assert codes == {"OUTPUT_HARD_LINK", "OUTPUT_MISSING"}


def test_T39_a_linked_output_folder_is_refused(source: Path) -> None:
    (source.parent / "link").symlink_to(source)
    with pytest.raises(OSError, match="link"):
        collect_outputs(source.parent / "link", source.parent / "target", NAMES, LIMITS)


def test_T39_swapping_file_and_link_yields_the_file_or_nothing(source: Path) -> None:
    (source / "plain").write_bytes(b"harmless")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for make in (lambda p: os.link(source / "plain", p), lambda p: os.symlink(source.parent / "secret", p)):
                make(source / "next")
                os.replace(source / "next", source / "result.csv")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            files, _, _ = collected(source)
            assert SECRET not in files.get("result.csv", b"")
            for path in (source.parent / "target").iterdir():
                path.unlink()
    finally:
        stop.set()
        thread.join()


def test_T40_a_sparse_giant_is_refused_unread(source: Path) -> None:
    with (source / "result.csv").open("wb") as file:
        file.truncate(10**12)
    assert collected(source) == ({}, {"OUTPUT_TOO_LARGE", "OUTPUT_MISSING"}, True)


def test_T40_many_files_are_refused_without_counting_them_all(source: Path) -> None:
    for number in range(50):
        (source / f"f{number}").touch()
    assert collected(source) == ({}, {"OUTPUT_TOO_MANY_FILES"}, True)


def test_T40_the_limit_on_bytes_holds_for_all_files_together(source: Path) -> None:
    for name in NAMES:
        (source / name).write_bytes(bytes(600_000))
    result = collect_outputs(source, source.parent / "target", NAMES, LIMITS)
    assert result.crossed
    assert result.names == ()


def test_T40_exactly_the_limit_is_allowed(source: Path) -> None:
    (source / "result.csv").write_bytes(bytes(1 * MIB))
    (source / "extra.bin").touch()
    for name in ("a", "b"):
        (source / name).touch()
    files, codes, crossed = collected(source)
    assert (len(files["result.csv"]), codes, crossed) == (1 * MIB, set(), False)
