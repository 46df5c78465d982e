import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisc.errors import UsageError
from aisc.leaderboard.signing import ChainReport, fingerprint, make_key, sign, verify_chain


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    make_key(tmp_path / "key.pem", tmp_path / "public-key.pem")
    return tmp_path / "key.pem", tmp_path / "public-key.pem"


@pytest.fixture
def chain(tmp_path: Path, keys: tuple[Path, Path], board: Any, entry: Any) -> Path:
    """Four signed boards of one stage."""
    folder = tmp_path / "boards"
    folder.mkdir()
    made = None
    for score in (0.1, 0.2, 0.3, 0.4):
        made = board([entry("a", score), entry("b", 0.25)], previous=made)
        (folder / f"board-{made.number:04d}.json").write_bytes(made.as_bytes())
        (folder / f"board-{made.number:04d}.sig").write_bytes(sign(made.as_bytes(), keys[0]))
    (folder / "board.json").write_bytes(made.as_bytes())
    return folder


def codes(report: ChainReport) -> set[tuple[str, str]]:
    return {(problem.file, problem.code) for problem in report.problems}


def test_an_untouched_chain_holds(chain: Path, keys: tuple[Path, Path]) -> None:
    report = verify_chain(chain, keys[1])
    assert (report.ok, report.boards, report.head_number, report.problems) == (True, 4, 4, ())
    assert report.key == fingerprint(keys[1])
    assert report.as_json()["ok"] is True


def swap(folder: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        one, two, spare = folder / f"board-0002.{suffix}", folder / f"board-0003.{suffix}", folder / "spare"
        one.rename(spare)
        two.rename(one)
        spare.rename(two)


def edit(folder: Path) -> None:
    file = folder / "board-0002.json"
    file.write_bytes(file.read_bytes().replace(b'"score":0.2,', b'"score":0.9,'))


def flip(folder: Path) -> None:
    file = folder / "board-0004.sig"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(bytes(data))


ATTACKS: dict[str, tuple[Callable[[Path], Any], set[tuple[str, str]]]] = {
    "an edited score": (
        edit,
        {
            ("board-0002.json", "SIGNATURE_INVALID"),
            ("board-0002.json", "BOARD_UNREADABLE"),  # 0.9 would not be second: the places no longer follow
            ("board-0003.json", "CHAIN_BROKEN"),
        },
    ),
    "a removed board": (
        lambda folder: [(folder / f"board-0002.{suffix}").unlink() for suffix in ("json", "sig")],
        {("board-0002.json", "BOARD_MISSING")},
    ),
    "the first board removed": (
        lambda folder: (folder / "board-0001.json").unlink(),
        {("board-0001.json", "BOARD_MISSING")},
    ),
    "boards reordered with their signatures": (
        lambda folder: swap(folder, ("json", "sig")),
        {
            ("board-0002.json", "BOARD_MISNUMBERED"),
            ("board-0003.json", "BOARD_MISNUMBERED"),
            ("board-0002.json", "CHAIN_BROKEN"),
            ("board-0003.json", "CHAIN_BROKEN"),
            ("board-0003.json", "TIME_REVERSED"),
            ("board-0004.json", "CHAIN_BROKEN"),
        },
    ),
    "a changed signature": (flip, {("board-0004.json", "SIGNATURE_INVALID")}),
    "a short signature": (
        lambda folder: (folder / "board-0004.sig").write_bytes(b"x"),
        {("board-0004.json", "SIGNATURE_INVALID")},
    ),
    "a missing signature": (
        lambda folder: (folder / "board-0001.sig").unlink(),
        {("board-0001.sig", "SIGNATURE_MISSING")},
    ),
    "an older board shown as the newest": (
        lambda folder: shutil.copy(folder / "board-0003.json", folder / "board.json"),
        {("board.json", "LATEST_DIFFERS")},
    ),
    "nothing left": (
        lambda folder: [path.unlink() for path in folder.iterdir()],
        {("", "CHAIN_EMPTY")},
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_T54_tampering_with_published_boards_is_detected(name: str, chain: Path, keys: tuple[Path, Path]) -> None:
    attack, expected = ATTACKS[name]
    attack(chain)
    report = verify_chain(chain, keys[1])
    assert not report.ok
    assert codes(report) == expected


def test_T54_any_flipped_byte_is_detected(chain: Path, keys: tuple[Path, Path]) -> None:
    file = chain / "board-0003.json"
    data = file.read_bytes()
    for place in range(0, len(data), 7):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert ("board-0003.json", "SIGNATURE_INVALID") in codes(verify_chain(chain, keys[1]))


def test_T54_a_forged_chain_of_another_key_is_detected(chain: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    make_key(tmp_path / "other.pem", tmp_path / "other-public.pem")
    for number in range(1, 5):
        data = (chain / f"board-{number:04d}.json").read_bytes()
        (chain / f"board-{number:04d}.sig").write_bytes(sign(data, tmp_path / "other.pem"))
    assert ("public-key.pem", "WRONG_KEY") in codes(verify_chain(chain, keys[1]))
    assert verify_chain(chain, tmp_path / "other-public.pem").ok


def test_T54_an_organizer_s_own_rewriting_is_seen_by_who_noted_a_digest(
    chain: Path, keys: tuple[Path, Path], board: Any, entry: Any
) -> None:
    seen = verify_chain(chain, keys[1]).head_sha256
    (chain / "board-0004.json").unlink()
    assert ("board.json", "LATEST_DIFFERS") in codes(verify_chain(chain, keys[1]))
    (chain / "board.json").unlink()
    assert verify_chain(chain, keys[1]).ok  # the chain alone cannot tell
    assert codes(verify_chain(chain, keys[1], head=seen)) == {("", "HEAD_UNKNOWN")}


def test_a_board_of_another_stage_breaks_the_chain(
    chain: Path, keys: tuple[Path, Path], board: Any, entry: Any
) -> None:
    alien = board([], stage="final", title="x")
    for _ in range(4):
        alien = board([], stage="final", title="x", previous=alien)
    (chain / "board-0005.json").write_bytes(alien.as_bytes())
    (chain / "board-0005.sig").write_bytes(sign(alien.as_bytes(), keys[0]))
    found = codes(verify_chain(chain, keys[1]))
    assert {("board-0005.json", "STAGE_CHANGED"), ("board-0005.json", "CHAIN_BROKEN")} <= found


def test_the_private_key_is_its_owner_s_alone(keys: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    assert b"PRIVATE" not in keys[1].read_bytes()


def test_a_key_is_never_overwritten(keys: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KEY_EXISTS"):
        make_key(keys[0], tmp_path / "new.pem")
    with pytest.raises(UsageError, match="KEY_EXISTS"):
        make_key(tmp_path / "new.pem", keys[1])


def test_a_key_that_others_can_read_does_not_sign(keys: tuple[Path, Path]) -> None:
    keys[0].chmod(0o640)
    with pytest.raises(UsageError, match="KEY_FILE_OPEN"):
        sign(b"x", keys[0])


def test_keys_that_are_none_are_named(keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").touch(mode=0o600)
    for path in (tmp_path / "absent", tmp_path / "empty", keys[1]):
        if path == keys[1]:
            path.chmod(0o600)
        with pytest.raises(UsageError, match="KEY_UNREADABLE"):
            sign(b"x", path)
    with pytest.raises(UsageError, match="KEY_UNREADABLE"):
        verify_chain(tmp_path, keys[0])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl not installed: run 'apt-get install openssl'")
def test_another_tool_verifies_the_signature(chain: Path, keys: tuple[Path, Path]) -> None:
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"]
    command += ["-in", str(chain / "board-0002.json"), "-sigfile"]
    assert subprocess.run([*command, str(chain / "board-0002.sig")], capture_output=True).returncode == 0
    assert subprocess.run([*command, str(chain / "board-0003.sig")], capture_output=True).returncode != 0
