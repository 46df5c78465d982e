"""The line to an S3 endpoint: settings from the environment, bounded retries, and errors that say what to do.

No message here quotes a request: a request carries credentials or the right to read something.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import urllib3
from minio import Minio
from minio.credentials import Credentials
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.signer import sign_v4_s3
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from aisc.errors import AiscError, PlatformError, TransientError, UsageError
from aisc.store import open_source

ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT")
ACCESS_KEY = ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY")
SECRET_KEY = ("AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")

_TRANSIENT_CODES = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"}
    | {"ConditionalRequestConflict", "ConcurrentModification", "RetryHead"}
)
_FULL_CODES = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where a store is and how it lets us in.

    Attributes:
        endpoint: ``host`` or ``host:port``.
        secure: Whether the endpoint speaks TLS.
        bucket: Name of the bucket, which exists.
        prefix: What every object's name begins with: "" or ``text/``.
        region: Region that requests are signed for.
        access_key: The user; never shown.
        secret_key: Never shown.
        session_token: Never shown; None for lasting keys.
    """

    endpoint: str
    secure: bool
    bucket: str
    prefix: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an endpoint.

    Attributes:
        attempts: Requests sent before giving up.
        connect_s: Seconds for a connection.
        read_s: Seconds of silence while reading or writing.
        pause_s: Longest pause between two requests, in seconds; the first are shorter, and drawn at random.
    """

    attempts: int = 6
    connect_s: float = 10.0
    read_s: float = 60.0
    pause_s: float = 8.0


def settings_from(url: str, environ: Mapping[str, str]) -> S3Settings:
    """Read ``s3://bucket/prefix`` and the variables that go with it.

    Raises:
        UsageError: STORE_ADDRESS; STORE_ENVIRONMENT, naming every variable that is missing.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname or parts.netloc != parts.hostname:
        message = "The store's address is not of the form s3://bucket/prefix."
        raise UsageError("STORE_ADDRESS", message, "Keys belong in the environment, not in the address.")
    found = [_first(environ, names) for names in (ENDPOINT, ACCESS_KEY, SECRET_KEY)]
    missing = [
        " or ".join(names) for names, value in zip((ENDPOINT, ACCESS_KEY, SECRET_KEY), found, strict=True) if not value
    ]
    if missing:
        message = f"The store s3://{parts.netloc} needs variables that are not set: {'; '.join(missing)}."
        raise UsageError("STORE_ENVIRONMENT", message, "Set one of each, for example in the release's secret.")
    endpoint, access_key, secret_key = found
    place = urlsplit(endpoint)
    if place.scheme not in ("http", "https") or not place.hostname or "@" in place.netloc or place.path.strip("/"):
        message = f"{' or '.join(ENDPOINT)} is not of the form https://host:port."
        raise UsageError("STORE_ENVIRONMENT", message, "Write http:// or https://, the host, and the port.")
    prefix = parts.path.strip("/")
    return S3Settings(
        endpoint=place.netloc,
        secure=place.scheme == "https",
        bucket=parts.netloc,
        prefix=f"{prefix}/" if prefix else "",
        region=_first(environ, REGION) or "us-east-1",
        access_key=access_key,
        secret_key=secret_key,
        session_token=environ.get("AWS_SESSION_TOKEN") or None,
    )


class S3Link:
    """A client, its connections, and the rules for trying again."""

    def __init__(self, settings: S3Settings, patience: Patience, connections: int) -> None:
        """Make the client; nothing is sent yet."""
        self._settings = settings
        self._patience = patience
        self._http = urllib3.PoolManager(
            maxsize=connections,
            retries=False,  # this class tries again, so that nobody tries again within a try
            timeout=urllib3.Timeout(connect=patience.connect_s, read=patience.read_s),
            ssl_context=ssl.create_default_context(),
        )
        self._credentials = Credentials(settings.access_key, settings.secret_key, settings.session_token)
        self.client = Minio(
            settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            session_token=settings.session_token,
            secure=settings.secure,
            region=settings.region,
            http_client=self._http,
        )

    def call(self, what: str, action: Callable[[], T]) -> T:
        """Do something until it works, it fails for good, or patience ends.

        Args:
            what: What is done, for messages: ``reading blobs/…``.
            action: May run several times, each from its beginning.

        Raises:
            TransientError: STORE_UNAVAILABLE, when patience ends.
            UsageError: STORE_BUCKET; STORE_DENIED.
            PlatformError: STORE_FULL; STORE_FAILED.
            S3Error: ``NoSuchKey`` alone, for the caller to judge.
        """
        retrying = Retrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_attempt(self._patience.attempts),
            wait=wait_random_exponential(multiplier=0.1, max=self._patience.pause_s),
            reraise=True,
        )
        try:
            return retrying(action)
        except S3Error as error:
            if error.code in ("NoSuchKey", "NoSuchObject"):
                raise
            raise self._explained(what, error) from error
        except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError, ConnectionError) as error:
            raise self._explained(what, error) from error

    def put_new(self, name: str, body: Path | bytes, sha256: str, headers: Mapping[str, str]) -> bool:
        """Send one PUT that succeeds only where no object is.

        Args:
            name: Full name of the object.
            body: At most 5 GiB, S3's limit for one request.
            sha256: SHA-256 of the body (hex); the endpoint refuses a body with another one.
            headers: Content type and metadata, with their prefixes.

        Returns:
            False when an object is there already.

        Raises:
            S3Error: When the endpoint refuses; urllib3's errors when it cannot be reached.
        """
        settings = self._settings
        address = self.client.get_presigned_url("PUT", settings.bucket, name)
        url = urlsplit(address)._replace(query="")  # only the place: the right to write goes by the signed headers
        now = datetime.now(UTC)
        unsigned: dict[str, str | list[str] | tuple[str]] = {
            "Host": url.netloc,
            "If-None-Match": "*",
            "x-amz-content-sha256": sha256,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            **headers,
        }
        if settings.session_token:
            unsigned["x-amz-security-token"] = settings.session_token
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=settings.region,
            headers=unsigned,
            credentials=self._credentials,
            content_sha256=sha256,
            date=now,
        )
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        with open_source(body) as stream:
            length = {"Content-Length": str(size)}
            response = self._http.urlopen("PUT", urlunsplit(url), body=stream, headers=signed | length, redirect=False)
        if response.status == 200:
            return True
        if response.status == 412:
            return False
        if "xml" in response.headers.get("content-type", "") and response.data:
            raise S3Error.fromxml(response)
        raise ServerError(f"HTTP {response.status}", response.status)

    def _explained(self, what: str, error: Exception) -> AiscError:
        """Turn a failure into an error whose text holds a status and a code, and nothing of the request."""
        settings, status, code = self._settings, _status(error), _code(error)
        if _is_transient(error):
            return TransientError(
                "STORE_UNAVAILABLE",
                f"The store at {settings.endpoint} failed {self._patience.attempts} times at {what} ({code}).",
                "It is tried again later; look at the store's health if this lasts.",
            )
        if code == "NoSuchBucket":
            message = f"The store at {settings.endpoint} has no bucket {settings.bucket}."
            return UsageError("STORE_BUCKET", message, "Make the bucket, or correct the season's store.")
        if status in (401, 403):
            message = f"The store at {settings.endpoint} denied {what} ({code})."
            names = " and ".join((ACCESS_KEY[0], SECRET_KEY[0]))
            return UsageError("STORE_DENIED", message, f"Check {names}, the user's policy, and this machine's clock.")
        if code in _FULL_CODES or status == 507:
            message = f"The store at {settings.endpoint} has no room left for {what}; nothing of it was kept."
            return PlatformError("STORE_FULL", message, "Free space or raise the bucket's quota, then try again.")
        message = f"The store at {settings.endpoint} failed at {what} ({code})."
        return PlatformError("STORE_FAILED", message, "Look up the code in the store's own documentation.")


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _status(error: BaseException) -> int:
    if isinstance(error, S3Error):
        return int(error.response.status)
    if isinstance(error, ServerError):
        return int(error.status_code)
    return int(getattr(error, "_code", 0))  # InvalidResponseError keeps it to itself


def _code(error: BaseException) -> str:
    """Name a failure in a word or two."""
    if isinstance(error, S3Error) and error.code:
        return str(error.code)
    return f"HTTP {_status(error)}" if _status(error) else type(error).__name__


def _is_transient(error: BaseException) -> bool:
    """Tell what may work when tried again: silence, resets, 5xx, and a write that met another one."""
    if isinstance(error, (S3Error, InvalidResponseError, ServerError)):
        status = _status(error)
        return (status >= 500 and status != 507) or status == 429 or _code(error) in _TRANSIENT_CODES
    return isinstance(error, (urllib3.exceptions.HTTPError, ConnectionError))
