"""Where a season keeps things: the two addresses in the file, checked, and made absolute for use.

The file keeps the text as written, so that a folder with a season in it can be moved. Secrets have no place in it: the
file is published with the boards, so credentials come from the environment.
"""

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic_core import PydanticCustomError

_SQLITE = "sqlite:///"
_POSTGRES = "postgresql+psycopg"


def check_store(text: str) -> str:
    """Accept a folder (path or ``file://``) or ``s3://bucket/prefix``.

    Raises:
        PydanticCustomError: For anything else, and for credentials in the address.
    """
    scheme, parts = _split(text)
    if scheme == "":
        return text
    if scheme == "file" and parts.netloc == "" and parts.path.startswith("/"):
        return text
    if scheme == "s3" and parts.netloc and "@" not in parts.netloc and not parts.query and not parts.fragment:
        return text
    if "@" in parts.netloc:
        raise PydanticCustomError("location_secret", "the store's address holds credentials")
    raise PydanticCustomError("store_address", "{text} is no place for artifacts", {"text": repr(text)})


def check_ledger(text: str) -> str:
    """Accept ``sqlite:///file`` or ``postgresql+psycopg://host/database``.

    Raises:
        PydanticCustomError: For anything else, for a database in memory, and for a password in the address.
    """
    scheme, parts = _split(text)
    if parts.password is not None or "password=" in parts.query:
        raise PydanticCustomError("location_secret", "the ledger's address holds a password")
    if scheme == _POSTGRES and len(parts.path) > 1:
        return text
    if text.startswith(_SQLITE):
        place = text.removeprefix(_SQLITE)
        if place in ("", ":memory:"):
            raise PydanticCustomError("ledger_memory", "a ledger in memory is lost when the process ends")
        return text
    raise PydanticCustomError("ledger_address", "{text} is no ledger that aisc can use", {"text": repr(text)})


def resolve_store(text: str, folder: Path) -> str:
    """Give ``s3://…`` unchanged and any folder as an absolute path."""
    if text.startswith("s3://"):
        return text
    place = unquote(urlsplit(text).path) if text.startswith("file://") else text
    return str((folder / place).resolve())


def resolve_ledger(text: str, folder: Path) -> str:
    """Give a ``sqlite:///`` address an absolute path, and any other unchanged."""
    if not text.startswith(_SQLITE):
        return text
    place, mark, query = text.removeprefix(_SQLITE).partition("?")
    return f"{_SQLITE}{(folder / place).resolve()}{mark}{query}"


def _split(text: str) -> tuple[str, SplitResult]:
    """Give the scheme ("" for a plain path) and the parts of an address."""
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise PydanticCustomError("location_blank", "{text} is no address", {"text": repr(text)})
    scheme, colon, _ = text.partition("://")
    try:
        return (scheme if colon else ""), urlsplit(text)
    except ValueError as error:
        raise PydanticCustomError("location_blank", "{text} is no address", {"text": "this"}) from error
