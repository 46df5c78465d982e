"""Bring an image from a registry: the reference is resolved once, to a digest, and only that is ever fetched (T18).

The manifest is looked at before any layer is (T19). Fetching is skopeo's work: it needs no daemon, and knows
registries, their log-ins (``REGISTRY_AUTH_FILE``) and mirrors (``registries.conf``).
"""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from aisc.errors import SubmissionRefusedError, TransientError, UsageError
from aisc.sandbox.image_config import architecture
from aisc.sandbox.image_rules import IMAGE_RULES, ImageLimits

_REFERENCE: Final = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,400}")
_SECONDS: Final = 60
_COPY_SECONDS: Final = 3600


class Fetched(NamedTuple):
    """An image from a registry.

    Attributes:
        reference: As the team wrote it.
        digest: Of its manifest, ``sha256:…``: what the reference meant at that moment.
    """

    reference: str
    digest: str

    @property
    def name(self) -> str:
        """Name the image for ever: the repository with the digest in the place of the tag."""
        return f"{_repository(self.reference)}@{self.digest}"


def fetch_image(reference: str, target: Path, limits: ImageLimits) -> Fetched:
    """Fetch an image as an OCI archive.

    Args:
        reference: Such as ``ghcr.io/team/tracer:v3`` or ``…@sha256:…``.
        target: File to write.
        limits: Caps on layers and bytes, held against the manifest before anything else is fetched.

    Raises:
        UsageError: ``IMAGE_REFERENCE``, ``SKOPEO_MISSING``.
        SubmissionRefusedError: ``IMAGE_TOO_LARGE``, ``IMAGE_TOO_MANY_LAYERS``, ``IMAGE_PLATFORM``, ``IMAGE_NOT_FOUND``.
        TransientError: ``REGISTRY_TIMEOUT``.
    """
    if not _REFERENCE.fullmatch(reference):
        raise UsageError(
            "IMAGE_REFERENCE", f"{reference[:100]!a} is no image reference.", "Write it as registry/name:tag."
        )
    raw = _skopeo("inspect", "--raw", f"docker://{reference}", seconds=_SECONDS)
    manifest = json.loads(raw)
    if "manifests" in manifest:
        raw = _skopeo(
            "inspect", "--raw", f"docker://{_repository(reference)}@{_own(manifest, reference)}", seconds=_SECONDS
        )
        manifest = json.loads(raw)
    fetched = Fetched(reference, "sha256:" + hashlib.sha256(raw).hexdigest())
    _check_caps(manifest, reference, limits)
    with tempfile.TemporaryDirectory(dir=target.parent) as layout:
        _skopeo("copy", "--quiet", f"docker://{fetched.name}", f"oci:{layout}", seconds=_COPY_SECONDS)
        _pack(Path(layout), target)
    return fetched


def _repository(reference: str) -> str:
    """Give a reference without tag and digest.

    >>> _repository("localhost:5000/team/tracer:v3"), _repository("ghcr.io/team/tracer@sha256:00")
    ('localhost:5000/team/tracer', 'ghcr.io/team/tracer')
    """
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _own(index: dict[str, Any], reference: str) -> str:
    """Choose this machine's image from an index of several platforms."""
    machine = architecture()
    for entry in index["manifests"]:
        made_for = entry.get("platform", {})
        if (made_for.get("os"), made_for.get("architecture")) == ("linux", machine):
            return str(entry["digest"])
    raise SubmissionRefusedError(
        "IMAGE_PLATFORM", f"{reference} has no image for linux/{machine}.", IMAGE_RULES["IMAGE_PLATFORM"].remedy
    )


def _check_caps(manifest: dict[str, Any], reference: str, limits: ImageLimits) -> None:
    layers = manifest.get("layers", [])
    size = sum(int(layer["size"]) for layer in layers) + int(manifest.get("config", {}).get("size", 0))
    if len(layers) > limits.layers:
        text = f"{reference} has {len(layers)} layers, at most {limits.layers} are taken."
        raise SubmissionRefusedError("IMAGE_TOO_MANY_LAYERS", text, IMAGE_RULES["IMAGE_TOO_MANY_LAYERS"].remedy)
    if size > limits.archive_bytes:
        text = f"{reference} has {size} compressed bytes, at most {limits.archive_bytes} are taken."
        raise SubmissionRefusedError("IMAGE_TOO_LARGE", text, IMAGE_RULES["IMAGE_TOO_LARGE"].remedy)


def _pack(layout: Path, target: Path) -> None:
    """Write an OCI layout as an archive that depends on its content alone: fetched again, it is the same file."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(path for path in layout.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(layout).as_posix())
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)


def _skopeo(*words: str, seconds: int) -> bytes:
    program = shutil.which("skopeo")
    if program is None:
        raise UsageError(
            "SKOPEO_MISSING", "Images are fetched from registries by skopeo, which is not here.",
            "apt-get install --no-install-recommends skopeo; or submit the archive that 'docker save' writes.",
        )  # fmt: skip
    try:
        done = subprocess.run([program, *words], capture_output=True, check=False, timeout=seconds)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise TransientError(
            "REGISTRY_TIMEOUT", f"The registry did not answer within {seconds} s.", "Try again, or send the archive."
        ) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SubmissionRefusedError(
            "IMAGE_NOT_FOUND",
            f"The registry does not give this image: {said[-1][:300] if said else 'no reason said'}",
            "Check the reference, and that it can be pulled without your log-in; or send the archive.",
        )
    return done.stdout
