"""Names of zip entries: decode the bytes, judge them, never repair them."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from aisc.submission.archive_rules import ARCHIVE_RULES as RULES
from aisc.submission.findings import Finding

_LONGEST_NAME: Final = 255
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+\.png")
_ARCHIVE_SUFFIX: Final = re.compile(r"\.(zip|jar|tar|tgz|gz|bz2|xz|zst|7z|rar|lz4|cab|iso)$", re.IGNORECASE)
# Characters that no person can see: control, format (direction overrides), surrogate, line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def decoded_name(raw: bytes, utf8: bool) -> str | None:
    """Decode a name as its entry says: UTF-8 where flag bit 11 is set, code page 437 elsewhere.

    Returns:
        The name, or ``None`` where the bytes are not UTF-8.
    """
    try:
        return raw.decode("utf-8" if utf8 else "cp437")
    except UnicodeDecodeError:
        return None


def shown_name(name: str) -> str:
    """Give a name that is safe to print on one line: unseen characters escaped, at most 80 characters."""
    if len(name) <= 80 and name.isprintable():
        return name
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name[:81])
    return text if len(text) <= 80 else text[:79] + "…"


def collision_key(name: str) -> str:
    """Give what two names share when some file system takes them for one: NFC of the case-folded name."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def name_findings(name: str | None) -> Iterator[Finding]:
    """Judge one decoded name (THREATS T23); a folder's name ends with a slash.

    Args:
        name: The name, or ``None`` if it could not be decoded.

    Yields:
        One finding per broken rule.
    """
    if name is None:
        yield RULES["ZIP_NAME"].broken("", "The name of an entry is flagged as UTF-8 and is not.")
        return
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST_NAME:
        return  # what nearly every entry is; the rules below cannot apply to it
    shown = shown_name(name)
    if not name or len(name) > _LONGEST_NAME:
        yield RULES["ZIP_NAME"].broken(shown, f"A name has 1 to {_LONGEST_NAME} characters, this one has {len(name)}.")
    if "\0" in name:
        yield RULES["ZIP_NUL"].broken(shown, "The name holds a NUL, at which some programs cut it.")
    if any(c != "\0" and unicodedata.category(c) in _UNSEEN for c in name):
        yield RULES["ZIP_CONTROL_CHARACTER"].broken(shown, "The name holds a control or invisible character.")
    if "\\" in name:
        yield RULES["ZIP_BACKSLASH"].broken(shown, "The name holds a backslash, which some programs take for a folder.")
    if re.match(r"[A-Za-z]:", name):
        yield RULES["ZIP_DRIVE"].broken(shown, "The name starts with a drive letter.")
    if name.startswith(("/", "\\")):
        yield RULES["ZIP_ABSOLUTE_PATH"].broken(shown, "The name is an absolute path.")
    if ".." in re.split(r"[/\\]", name):
        yield RULES["ZIP_PATH_ESCAPE"].broken(shown, "The name climbs out of the archive by `..`.")
    if name.endswith("/"):
        yield RULES["ZIP_FOLDER"].broken(shown, "The entry is a folder; an archive holds files only.")
    if _ARCHIVE_SUFFIX.search(name):
        yield RULES["ZIP_NESTED"].broken(shown, "The entry is an archive inside the archive.")
