"""What the S3 store promises beyond the contract: a bad line, wrong settings, and silence about secrets."""

import hashlib
import io
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from minio import Minio

from aisc.adapters.s3_link import Patience, S3Settings, settings_from
from aisc.adapters.store import open_store
from aisc.adapters.store_s3 import S3Store
from aisc.errors import AiscError, PlatformError, TransientError, UsageError
from aisc.store import AlreadyWrittenError
from tests.services.fault_proxy import fault_proxy

QUICK = Patience(attempts=4, connect_s=1, read_s=0.5, pause_s=0.05)


def raw(settings: S3Settings) -> Minio:
    keys = {"access_key": settings.access_key, "secret_key": settings.secret_key}
    return Minio(settings.endpoint, secure=False, region=settings.region, **keys)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FAULTS = ["503", "html", "reset", "lose", "stall"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [0, 1])
def test_F05_a_write_survives_a_bad_line(s3_settings: S3Settings, fault: str, at: int) -> None:
    """Request 0 looks whether the object is there, request 1 writes it; a lost answer to 1 ends in a 412."""
    with fault_proxy(s3_settings.endpoint, ["pass"] * at + [fault]) as proxy:
        store = S3Store(replace(s3_settings, endpoint=proxy.address), QUICK)
        stored = store.put("results/1", b"result")
        assert len(proxy.seen) >= 3
    assert stored.sha256 == sha(b"result")
    assert S3Store(s3_settings).read("results/1") == b"result"


def test_F05_a_412_on_an_own_write_compares_the_bytes(s3_settings: S3Settings) -> None:
    with fault_proxy(s3_settings.endpoint, ["pass", "lose"]) as proxy:
        store = S3Store(replace(s3_settings, endpoint=proxy.address), QUICK)
        assert store.put("results/1", b"mine").size == 4
        assert [request.split()[0] for request in proxy.seen] == ["HEAD", "PUT", "PUT", "HEAD"]
        with pytest.raises(AlreadyWrittenError):
            store.put("results/1", b"other")


@pytest.mark.parametrize("fault", [*FAULTS, "cut"])
def test_F05_a_read_survives_a_bad_line(s3_settings: S3Settings, tmp_path: Path, fault: str) -> None:
    data = b"0123456789" * 10_000
    S3Store(s3_settings).put("data/1", data)
    with fault_proxy(s3_settings.endpoint, [fault, fault]) as proxy:
        store = S3Store(replace(s3_settings, endpoint=proxy.address), QUICK)
        store.fetch("data/1", tmp_path / "copy")
        assert len(proxy.seen) == 3
    assert (tmp_path / "copy").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize("fault", FAULTS)
def test_F05_a_store_that_stays_away_is_a_transient_error(s3_settings: S3Settings, tmp_path: Path, fault: str) -> None:
    with fault_proxy(s3_settings.endpoint, [fault] * 100) as proxy:
        store = S3Store(replace(s3_settings, endpoint=proxy.address), QUICK)
        uses: list[Callable[[], object]] = [
            lambda: store.put("results/1", b"x"),
            lambda: store.fetch("results/1", tmp_path / "x"),
            lambda: list(store.list()),
        ]
        for use in uses:
            with pytest.raises(TransientError) as caught:
                use()
            assert caught.value.code == "STORE_UNAVAILABLE"
            assert proxy.address in caught.value.message
        assert len(proxy.seen) == 3 * QUICK.attempts
    assert list(tmp_path.iterdir()) == []


def test_F06_a_large_upload_cut_at_every_request_is_never_half_visible(s3_settings: S3Settings) -> None:
    data = b"large" * 2_200_000  # 11 MB: three parts of 5 MiB
    hasty = Patience(attempts=1, connect_s=2, read_s=20, pause_s=0.01)
    behind = S3Store(s3_settings)
    cuts = 0
    for number in range(20):
        with fault_proxy(s3_settings.endpoint, ["pass"] * number + ["reset"]) as proxy:
            store = S3Store(replace(s3_settings, endpoint=proxy.address), hasty, part_size=5 << 20)
            try:
                store.put("data/large", data)
            except TransientError:
                cuts += 1
                assert behind.stat("data/large") is None
                assert list(behind.list()) == []
            else:
                break
    assert cuts == 7  # look, begin, three parts, complete, and the one that makes the key
    assert behind.read("data/large") == data


@pytest.mark.parametrize("size", [3, 6_000_000], ids=["small", "large"])
def test_a_spoilt_object_is_noticed(s3_settings: S3Settings, tmp_path: Path, size: int) -> None:
    data = b"d" * size
    store = S3Store(s3_settings, part_size=5 << 20)
    store.put("data/1", data)
    name = "season/one/data/1" if size == 3 else f"season/one/.large/{sha(data)[:2]}/{sha(data)}"
    spoilt = b"X" + data[1:]
    raw(s3_settings).put_object(s3_settings.bucket, name, io.BytesIO(spoilt), size, metadata={"aisc-sha256": sha(data)})
    for use in (lambda: store.read("data/1"), lambda: store.fetch("data/1", tmp_path / "copy")):
        with pytest.raises(PlatformError) as caught:
            use()
        assert caught.value.code == "STORE_CORRUPT"
    assert list(tmp_path.iterdir()) == []


def test_objects_that_are_not_ours_are_left_alone(s3_settings: S3Settings) -> None:
    store = S3Store(s3_settings)
    client = raw(s3_settings)
    for name in ("season/one/data/foreign", "season/one/Data/UPPER", "season/two/x", "other", "season/one/.x/y"):
        client.put_object(s3_settings.bucket, name, io.BytesIO(b"x"), 1)
    store.put("data/ours", b"x")
    assert [stored.key for stored in store.list()] == ["data/ours"]
    assert store.stat("data/foreign") is None
    with pytest.raises(PlatformError, match="STORE_MISSING"):
        store.read("data/foreign")
    with pytest.raises(PlatformError, match="STORE_FOREIGN"):
        store.put("data/foreign", b"x")


def test_a_list_goes_on_after_a_page(s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisc.adapters.store_s3._PAGE", 7)
    store = S3Store(replace(s3_settings, prefix=""), part_size=5 << 20)
    for number in range(20):
        store.put(f"k/{number:03}", b"x")
    store.put("large", b"x" * 6_000_000)
    assert [stored.key for stored in store.list()] == [f"k/{number:03}" for number in range(20)] + ["large"]
    assert [stored.key for stored in store.list("k/01")] == [f"k/{number:03}" for number in range(10, 20)]


def test_pages_have_a_type_and_are_asked_for_again(s3_settings: S3Settings) -> None:
    store = S3Store(s3_settings)
    store.replace("site/index.html", b"<p>", "text/html; charset=utf-8")
    store.replace("site/board.json", b"{}")
    client = raw(s3_settings)
    page, board = (client.stat_object(s3_settings.bucket, f"season/one/site/{n}") for n in ("index.html", "board.json"))
    assert page.content_type == "text/html; charset=utf-8"
    assert board.content_type == "application/json"
    assert page.metadata is not None
    assert page.metadata["cache-control"] == "no-cache"


def broken(settings: S3Settings, kind: str) -> S3Settings:
    changes = {
        "bucket": {"bucket": "no-such-bucket"},
        "user": {"access_key": "AKIDNOBODYKNOWS000000"},
        "secret": {"secret_key": "WrongSecretThatMustNotBeShown"},
        "gone": {"endpoint": "127.0.0.1:9"},
    }
    return replace(settings, **changes[kind])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("bucket", UsageError, "STORE_BUCKET"),
        ("user", UsageError, "STORE_DENIED"),
        ("secret", UsageError, "STORE_DENIED"),
        ("gone", TransientError, "STORE_UNAVAILABLE"),
    ],
)
def test_wrong_settings_are_explained_without_showing_a_secret(
    s3_settings: S3Settings, kind: str, error: type[AiscError], code: str
) -> None:
    settings = replace(broken(s3_settings, kind), session_token=None)
    store = S3Store(settings, QUICK)
    for use in (
        lambda: store.put("a", b"x"),
        lambda: store.read("a"),
        lambda: list(store.list()),
        lambda: store.replace("site/a", b"x"),
    ):
        with pytest.raises(error) as caught:
            use()
        assert caught.value.code == code
        assert caught.value.remedy
        text = "".join(traceback.format_exception(caught.value)) + repr(settings) + repr(store)
        assert settings.secret_key not in text
        assert settings.access_key not in text
        assert "Signature=" not in text


GOOD = {"AWS_ENDPOINT_URL": "http://h:9000", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "pssst"}


def test_the_environment_is_read_in_both_dialects() -> None:
    aws = settings_from("s3://bucket/some/prefix/", GOOD)
    assert aws == S3Settings("h:9000", False, "bucket", "some/prefix/", "us-east-1", "id", "pssst")
    minio = {"MINIO_ENDPOINT": "https://h", "MINIO_ACCESS_KEY": "id", "MINIO_SECRET_KEY": "pssst", "AWS_REGION": "eu"}
    assert settings_from("s3://bucket", minio) == S3Settings("h", True, "bucket", "", "eu", "id", "pssst")


@pytest.mark.parametrize(
    ("url", "environ", "code", "words"),
    [
        ("s3://b", {}, "STORE_ENVIRONMENT", ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        ("s3://b", {**GOOD, "AWS_ACCESS_KEY_ID": ""}, "STORE_ENVIRONMENT", ["AWS_ACCESS_KEY_ID or MINIO_ACCESS_KEY"]),
        ("s3://b", {**GOOD, "AWS_ENDPOINT_URL": "h:9000"}, "STORE_ENVIRONMENT", ["AWS_ENDPOINT_URL", "http://"]),
        ("s3://b", {**GOOD, "AWS_ENDPOINT_URL": "http://u:pssst@h"}, "STORE_ENVIRONMENT", ["AWS_ENDPOINT_URL"]),
        ("s3://", GOOD, "STORE_ADDRESS", ["s3://bucket/prefix"]),
        ("s3://id:pssst@b/x", GOOD, "STORE_ADDRESS", ["environment"]),
    ],
)
def test_wrong_variables_are_named(url: str, environ: dict[str, str], code: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from(url, environ)
    assert caught.value.code == code
    assert all(word in str(caught.value) for word in words)
    assert "pssst" not in str(caught.value)


def test_a_bucket_is_opened_by_its_address(
    s3_settings: S3Settings, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    open_store(f"s3://{s3_settings.bucket}/season/one").put("k", b"v")
    assert S3Store(s3_settings).read("k") == b"v"
