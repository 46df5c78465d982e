"""Signed, hash-chained boards: anyone with the public key can tell, offline, whether a published board was changed.

A folder holds ``board-0001.json``, ``board-0001.sig``, ``board-0002.json`` … The signature is Ed25519 (RFC 8032) over
the exact bytes of the JSON file, raw, 64 bytes, so that other tools can check it too.
"""

import base64
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aisc.errors import UsageError
from aisc.leaderboard.board import Board

_NUMBERED = re.compile(r"board-(\d{4,})\.json")
_RESTORE = "Restore it from its backup; only the key that signed a chain can add to it."
_AGAIN = "Fetch the folder again from the organizers, and tell them if it stays."


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """One thing that is wrong with a published chain: which file, a stable code, and a sentence."""

    file: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Outcome of checking a chain.

    Attributes:
        boards: How many board files were read.
        head_number: Number of the newest board, 0 without any.
        head_sha256: Digest of the newest board. Note it down: a later check can be told to expect it.
        key: Fingerprint of the public key that the check used.
        problems: Everything found, in order; empty when the chain holds.
    """

    boards: int
    head_number: int
    head_sha256: str
    key: str
    problems: tuple[ChainProblem, ...]

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return {
            "ok": self.ok,
            "boards": self.boards,
            "head_number": self.head_number,
            "head_sha256": self.head_sha256,
            "key": self.key,
            "problems": [{"file": p.file, "code": p.code, "message": p.message} for p in self.problems],
        }


def make_key(private: Path, public: Path) -> str:
    """Make a signing key: the private half readable by its owner alone, the public half for everyone.

    Args:
        private: New PEM file (PKCS #8), mode 0600.
        public: New PEM file (SubjectPublicKeyInfo), to publish.

    Returns:
        The public key's fingerprint.

    Raises:
        UsageError: ``KEY_EXISTS``; a key that signed boards is never overwritten.
    """
    for path in (private, public):
        if path.exists():
            raise UsageError("KEY_EXISTS", f"{path} exists already.", "Choose another name, or keep using this key.")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Created closed, not closed afterwards: no instant at which another user could open it.
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(pem)
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return fingerprint(public)


def sign(data: bytes, private: Path) -> bytes:
    """Sign a board's bytes.

    Returns:
        The raw Ed25519 signature, 64 bytes.

    Raises:
        UsageError: ``KEY_UNREADABLE``, or ``KEY_FILE_OPEN`` when others may read the private key.
    """
    try:
        with private.open("rb") as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            pem = source.read()
    except OSError as error:
        raise UsageError(
            "KEY_UNREADABLE", f"the signing key {private} cannot be read: {error.strerror}.", _RESTORE
        ) from error
    if mode & 0o077:
        raise UsageError(
            "KEY_FILE_OPEN",
            f"the signing key {private} has mode {mode:04o}; others could read it.",
            f"Run: chmod 600 {private}, and think about whether to make a new key.",
        )
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError("KEY_UNREADABLE", f"{private} is no unencrypted PEM private key.", _RESTORE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("KEY_UNREADABLE", f"{private} is not an Ed25519 key.", "Make one with make_key.")
    return key.sign(data)


def check_key_pair(private: Path, public: Path) -> str:
    """Try a signing key: sign something and verify it with the public half.

    Returns:
        The public key's fingerprint.

    Raises:
        UsageError: ``KEY_UNREADABLE``, ``KEY_FILE_OPEN``, or ``KEY_MISMATCH`` when the two are of different pairs.
    """
    try:
        _public_key(public).verify(sign(b"aisc", private), b"aisc")
    except InvalidSignature as error:
        raise UsageError(
            "KEY_MISMATCH", f"{private} and {public} are not halves of one key.", "Restore both from the same backup."
        ) from error
    return fingerprint(public)


def fingerprint(public: Path) -> str:
    """Name a public key: ``SHA256:`` and the unpadded base64 of the digest of its 32 raw bytes.

    Raises:
        UsageError: ``KEY_UNREADABLE``.
    """
    raw = _public_key(public).public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def verify_chain(folder: Path, public: Path, *, head: str | None = None) -> ChainReport:
    """Check a folder of numbered boards against a public key, without any network.

    Found and named: an edited byte, a board missing before the newest one, boards swapped or renamed, a board of
    another stage, a wrong key, a ``board.json`` that is not the newest board. That the newest boards were *removed* is
    visible only to who remembers one of them: pass its digest as ``head``.

    Args:
        folder: Where ``board-NNNN.json`` and ``board-NNNN.sig`` lie.
        public: The organizers' public key (PEM).
        head: SHA-256 of a board seen earlier, which must still be part of the chain.

    Raises:
        UsageError: ``KEY_UNREADABLE``.
    """
    key = _public_key(public)
    files = sorted(
        (int(found[1]), path) for path in folder.glob("board-*.json") if (found := _NUMBERED.fullmatch(path.name))
    )
    problems = [*_gaps([number for number, _ in files])]
    links: list[_Link] = []
    for number, path in files:
        link, wrong = _read_link(number, path, key)
        problems += wrong
        links.append(link)
    if links and all(link.badly_signed for link in links):
        problems.append(
            ChainProblem(
                public.name, "WRONG_KEY", "no board bears a signature of this key: it is another key, or all changed."
            )
        )
    for before, after in pairwise(links):
        problems += _joint(before, after)
    problems += _ends(folder, links, head)
    last = links[-1] if links else None
    return ChainReport(
        boards=len(links),
        head_number=last.number if last else 0,
        head_sha256=last.sha256 if last else "",
        key=fingerprint(public),
        problems=tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class _Link:
    number: int
    file: str
    sha256: str
    board: Board | None
    badly_signed: bool


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "KEY_UNREADABLE", f"{path} is no readable PEM public key.", "Name the organizers' public key with --key."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("KEY_UNREADABLE", f"{path} is not an Ed25519 public key.")
    return key


def _gaps(numbers: list[int]) -> Iterator[ChainProblem]:
    if not numbers:
        yield ChainProblem("", "CHAIN_EMPTY", "the folder holds no file named board-NNNN.json.")
        return
    for number in sorted(set(range(1, numbers[-1])) - set(numbers)):
        yield ChainProblem(f"board-{number:04d}.json", "BOARD_MISSING", f"board {number} is missing. {_AGAIN}")


def _read_link(number: int, path: Path, key: Ed25519PublicKey) -> tuple[_Link, list[ChainProblem]]:
    data = path.read_bytes()
    problems: list[ChainProblem] = []
    signed = _signature_problem(path, data, key)
    if signed is not None:
        problems.append(signed)
    board: Board | None = None
    try:
        board = Board.from_bytes(data)
    except UsageError as error:
        problems.append(ChainProblem(path.name, error.code, error.message))
    if board is not None and board.number != number:
        problems.append(
            ChainProblem(path.name, "BOARD_MISNUMBERED", f"the file is named {number} but holds board {board.number}.")
        )
    badly_signed = signed is not None and signed.code == "SIGNATURE_INVALID"
    return _Link(number, path.name, hashlib.sha256(data).hexdigest(), board, badly_signed), problems


def _signature_problem(path: Path, data: bytes, key: Ed25519PublicKey) -> ChainProblem | None:
    beside = path.with_suffix(".sig")
    if not beside.is_file():
        return ChainProblem(beside.name, "SIGNATURE_MISSING", f"{path.name} has no signature beside it.")
    try:
        key.verify(beside.read_bytes(), data)
    except InvalidSignature:
        return ChainProblem(
            path.name, "SIGNATURE_INVALID", f"{path.name} is not what was signed with this key: one of them changed."
        )
    return None


def _joint(before: _Link, after: _Link) -> Iterator[ChainProblem]:
    if after.board is None or after.number != before.number + 1:
        return
    if after.board.previous_sha256 != before.sha256:
        yield ChainProblem(
            after.file, "CHAIN_BROKEN", f"{after.file} follows another board than the {before.file} that lies here."
        )
    if before.board is None:
        return
    one, two = before.board, after.board
    if (one.season, one.track, one.stage) != (two.season, two.track, two.stage):
        yield ChainProblem(after.file, "STAGE_CHANGED", f"{after.file} is of another stage than {before.file}.")
    if two.generated_at < one.generated_at:
        yield ChainProblem(after.file, "TIME_REVERSED", f"{after.file} claims to be older than {before.file}.")


def _ends(folder: Path, links: list[_Link], head: str | None) -> Iterator[ChainProblem]:
    if head is not None and head not in {link.sha256 for link in links}:
        yield ChainProblem("", "HEAD_UNKNOWN", f"the board {head} that was seen before is not in this chain.")
    latest = folder / "board.json"
    if links and latest.is_file() and hashlib.sha256(latest.read_bytes()).hexdigest() != links[-1].sha256:
        yield ChainProblem("board.json", "LATEST_DIFFERS", f"board.json is not the newest board, {links[-1].file}.")
