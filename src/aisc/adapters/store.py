"""Choose a store by its address."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aisc.errors import UsageError
from aisc.store import Store


def open_store(url: str) -> Store:
    """Open the store at an address.

    Args:
        url: A folder (a path or ``file:///…``), made if it is not there, or ``s3://bucket/prefix``, whose endpoint
            and keys come from the environment (see :func:`aisc.adapters.store_s3.settings_from`).

    Raises:
        UsageError: STORE_ADDRESS, for any other address; STORE_ENVIRONMENT, when a variable is missing.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from aisc.adapters.store_s3 import S3Store, settings_from

        return S3Store(settings_from(url, os.environ))
    if parts.scheme == "file" and parts.netloc == "":
        return _folder(Path(unquote(parts.path)))
    if "://" not in url and url:
        return _folder(Path(url))
    raise UsageError(
        "STORE_ADDRESS",
        f"A store of the kind {parts.scheme or 'of no address'!r} is not known.",
        "Use a folder, file:///folder or s3://bucket/prefix.",
    )


def _folder(path: Path) -> Store:
    from aisc.adapters.store_folder import FolderStore

    return FolderStore(path)
