"""The stores under contract: a folder always, S3 where a real server can be started."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from minio import Minio

from aisc.adapters.s3_link import Patience, S3Settings, settings_from
from aisc.adapters.store_folder import FolderStore
from aisc.adapters.store_s3 import S3Store
from aisc.store import Store
from tests.services import ceph_rgw

OpenStore = Callable[[], Store]


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """A running S3 server's variables; the server ends with the session."""
    if not ceph_rgw.available():
        pytest.skip(ceph_rgw.MISSING)
    with ceph_rgw.running_rgw(Path(tempfile.mkdtemp(prefix="rgw-"))) as endpoint:
        yield endpoint.environment


@pytest.fixture
def s3_settings(s3_environment: dict[str, str]) -> S3Settings:
    """A fresh bucket with a prefix."""
    settings = settings_from(f"s3://aisc-{uuid4().hex[:12]}/season/one", s3_environment)
    raw_client(settings).make_bucket(settings.bucket)
    return settings


def raw_client(settings: S3Settings) -> Minio:
    """A plain client, to look behind the store's back."""
    keys = {"access_key": settings.access_key, "secret_key": settings.secret_key}
    return Minio(settings.endpoint, secure=settings.secure, region=settings.region, **keys)


@pytest.fixture(params=["folder", "s3"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Open one and the same store, as another process would."""
    if request.param == "folder":
        return lambda: FolderStore(tmp_path / "store")
    settings = request.getfixturevalue("s3_settings")
    patience = Patience(attempts=4, connect_s=2, read_s=20, pause_s=0.5)
    return lambda: S3Store(settings, patience, part_size=5 << 20)


@pytest.fixture
def store(open_again: OpenStore) -> Store:
    """A fresh, empty store."""
    return open_again()
