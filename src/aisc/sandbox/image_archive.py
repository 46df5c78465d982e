"""From an uploaded archive to a checked image: caps first, then digests, then the configuration (T05, T18, T19).

Both forms are taken that tools write: ``docker save`` (``manifest.json``) and the OCI layout (``index.json``). What
comes out is our own form, a folder with the configuration and the decompressed layers, each named by its digest;
bytes that were not checked are not kept.
"""

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from aisc.sandbox.image_config import (
    CONFIG_BYTES,
    ImageConfig,
    config_findings,
    layer_digests,
    parsed_object,
    read_config,
)
from aisc.sandbox.image_layers import check_layer
from aisc.sandbox.image_rules import IMAGE_RULES as RULES
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage
from aisc.sandbox.tar_reading import TarRefusedError, members, opened_tar
from aisc.submission.findings import Findings, RuleBrokenError

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 2048
_OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """The result of a check: an image, or the reasons why not."""

    image: CheckedImage | None
    findings: Findings


def check_image(archive: Path, images: Path, limits: ImageLimits | None = None) -> ImageVerdict:
    """Check an uploaded archive and keep the image under its digest.

    Args:
        archive: Uncompressed tar file as ``docker save`` or an OCI tool writes it.
        images: Existing folder of checked images; the image gets a folder of its digest's name there.
        limits: The caps.

    Returns:
        The image, or findings with stable codes. Memory stays bounded and disk below ``unpacked_bytes``.
    """
    findings = Findings()
    limits = limits or ImageLimits()
    staged = Path(tempfile.mkdtemp(dir=images, prefix=".checking-"))
    try:
        image = _checked(archive, staged, limits, findings)
        if findings.refused:
            return ImageVerdict(None, findings)
        final = images / image.digest.removeprefix("sha256:")
        try:
            staged.rename(final)
        except OSError:
            if not final.is_dir():  # it is there already, or another check of the same image was faster
                raise
        return ImageVerdict(CheckedImage(image.digest, final, image.config), findings)
    except RuleBrokenError as broken:
        findings.add(broken.finding(archive.name))
    except TarRefusedError as error:
        findings.add(RULES["IMAGE_ARCHIVE"].broken(archive.name, f"The archive cannot be read safely: {error}"))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return ImageVerdict(None, findings)


def _checked(archive: Path, folder: Path, limits: ImageLimits, findings: Findings) -> CheckedImage:
    size = archive.stat().st_size
    if size > limits.archive_bytes:
        raise RuleBrokenError(
            RULES["IMAGE_TOO_LARGE"], f"The archive has {size} bytes, allowed are {limits.archive_bytes}."
        )
    with opened_tar(archive) as tar:
        content = _Content(tar, dict(_named_members(tar)))
        parts = _parts(content, limits)
        raw = content.small(parts.config)
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        config = parsed_object(raw, "The image's configuration")
        layers = layer_digests(config, limits)
        if len(layers) != len(parts.layers):
            raise RuleBrokenError(RULES["IMAGE_CONFIG"], "The manifest and the configuration list different layers.")
        findings.extend(config_findings(config))
        if findings.refused:
            return CheckedImage(digest, folder, ImageConfig((), (), "/", layers))
        (folder / "config.json").write_bytes(raw)
        image = CheckedImage(digest, folder, read_config(config, layers))
        left, entries = limits.unpacked_bytes, limits.entries
        for member, layer in zip(parts.layers, layers, strict=True):
            if image.layer(layer).exists():
                continue
            left -= _keep_layer(content, member, image.layer(layer), layer, left)
            entries -= check_layer(image.layer(layer), entries)
    return image


def _named_members(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    seen: set[str] = set()
    for member in members(tar, _MOST_MEMBERS):
        name = member.name.removeprefix("./").rstrip("/")
        if member.isdir():
            continue
        if not member.isfile():
            raise RuleBrokenError(RULES["IMAGE_MEMBER"], f"{name[:80]!a} is not an ordinary file.")
        if name in seen:
            raise RuleBrokenError(RULES["IMAGE_MEMBER"], f"{name[:80]!a} is there twice.")
        seen.add(name)
        yield name, member


@dataclass(frozen=True, slots=True)
class _Content:
    """The archive as a look-up from name to bytes; names are keys here, never paths."""

    tar: tarfile.TarFile
    found: dict[str, tarfile.TarInfo]

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member."""
        file = self.tar.extractfile(self._member(name))
        if file is None:
            raise RuleBrokenError(RULES["IMAGE_MEMBER"], f"{name[:80]!a} has no bytes.")
        with file:
            yield file

    def small(self, name: str) -> bytes:
        """Read a member of bounded size."""
        if self._member(name).size > CONFIG_BYTES:
            raise RuleBrokenError(RULES["IMAGE_CONFIG"], f"{name[:80]!a} has more than {CONFIG_BYTES} bytes.")
        with self.opened(name) as file:
            return file.read(CONFIG_BYTES)

    def _member(self, name: str) -> tarfile.TarInfo:
        if name not in self.found:
            raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], f"The archive lacks {name[:80]!a}.")
        return self.found[name]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Names of the members that make the image."""

    config: str
    layers: tuple[str, ...]


def _parts(content: _Content, limits: ImageLimits) -> _Parts:
    if "manifest.json" in content.found:
        parts = _docker_parts(content)
    elif "index.json" in content.found:
        parts = _oci_parts(content)
    else:
        raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], "The archive has neither manifest.json nor index.json.")
    if len(parts.layers) > limits.layers:
        raise RuleBrokenError(
            RULES["IMAGE_TOO_MANY_LAYERS"], f"The image has {len(parts.layers)} layers, allowed are {limits.layers}."
        )
    return parts


def _docker_parts(content: _Content) -> _Parts:
    manifest = _wrapped(content.small("manifest.json"))
    if len(manifest) != 1 or not isinstance(manifest[0], dict):
        raise RuleBrokenError(RULES["IMAGE_SEVERAL"], f"The archive holds {len(manifest)} images.")
    return _Parts(_text(manifest[0].get("Config")), _texts(manifest[0].get("Layers")))


def _wrapped(raw: bytes) -> list[Any]:
    """Read a JSON list; only its size is known to be harmless so far."""
    value = parsed_object(b'{"list":' + raw[:CONFIG_BYTES] + b"}", "manifest.json")["list"]
    return value if isinstance(value, list) else []


def _oci_parts(content: _Content) -> _Parts:
    index = parsed_object(content.small("index.json"), "index.json").get("manifests")
    if not isinstance(index, list) or len(index) != 1 or not isinstance(index[0], dict):
        raise RuleBrokenError(RULES["IMAGE_SEVERAL"], "The OCI index does not list exactly one image.")
    if index[0].get("mediaType", _OCI_IMAGE) != _OCI_IMAGE:
        raise RuleBrokenError(RULES["IMAGE_SEVERAL"], "The OCI index points to another index, not to one image.")
    manifest = parsed_object(_proven_blob(content, index[0]), "The OCI manifest")
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], "The OCI manifest lacks its configuration or its layers.")
    _proven_blob(content, config)
    return _Parts(_blob(config), tuple(_blob(layer) for layer in layers))


def _proven_blob(content: _Content, descriptor: dict[str, Any]) -> bytes:
    name = _blob(descriptor)
    raw = content.small(name)
    if hashlib.sha256(raw).hexdigest() != name.rpartition("/")[2]:
        raise RuleBrokenError(RULES["IMAGE_DIGEST"], f"{name[:80]!a} does not have the digest in its name.")
    return raw


def _blob(descriptor: object) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return "blobs/" + _text(digest).replace(":", "/", 1)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], "The manifest names a part by something else than text.")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], "The manifest does not list its layers.")
    return tuple(_text(item) for item in value)


def _keep_layer(content: _Content, member: str, target: Path, digest: str, most: int) -> int:
    """Decompress a layer into a file, up to ``most`` bytes, and prove its digest; give its size."""
    total, size = hashlib.sha256(), 0
    with content.opened(member) as packed, target.open("wb") as unpacked:
        for chunk in _decompressed(packed):
            size += len(chunk)
            if size > most:
                raise RuleBrokenError(RULES["IMAGE_TOO_LARGE"], "The layers are larger than allowed once unpacked.")
            total.update(chunk)
            unpacked.write(chunk)
    if "sha256:" + total.hexdigest() != digest:
        raise RuleBrokenError(RULES["IMAGE_DIGEST"], "A layer's bytes do not have the digest that the image names.")
    return size


def _decompressed(packed: IO[bytes]) -> Iterator[bytes]:
    """Yield a layer's bytes in pieces of at most 1 MiB, through gzip where it is compressed."""
    chunk = packed.read(_CHUNK)
    if chunk[:4] == b"\x28\xb5\x2f\xfd":
        raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], "A layer is compressed by zstandard; gzip or none is read here.")
    if chunk[:2] != b"\x1f\x8b":
        while chunk:
            yield chunk
            chunk = packed.read(_CHUNK)
        return
    stream = zlib.decompressobj(wbits=31)
    try:
        while chunk:
            while chunk and not stream.eof:
                yield stream.decompress(chunk, _CHUNK)
                chunk = stream.unconsumed_tail
            if stream.eof and stream.unused_data:
                raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], "Bytes follow the end of a compressed layer.")
            chunk = packed.read(_CHUNK)
    except zlib.error as error:
        raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], "A compressed layer is damaged.") from error
    if not stream.eof:
        raise RuleBrokenError(RULES["IMAGE_ARCHIVE"], "A compressed layer is cut off.")
