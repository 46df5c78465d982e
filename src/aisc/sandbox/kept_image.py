"""A checked image as we keep it: a folder with the configuration and the layers, each named by its digest."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisc.sandbox.image_config import ImageConfig, layer_digests, parsed_object, read_config
from aisc.sandbox.image_rules import ImageLimits

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that may be run.

    Attributes:
        digest: ``sha256:…`` of the configuration, which names the layers by digest: it names the whole image.
        folder: ``config.json`` and one ``<digest>.tar`` a layer.
        config: What the configuration says.
    """

    digest: str
    folder: Path
    config: ImageConfig

    def layer(self, digest: str) -> Path:
        """Give the file of a layer, an uncompressed tar archive."""
        return self.folder / f"{digest.removeprefix('sha256:')}.tar"


def stored_image(images: Path, digest: str, limits: ImageLimits) -> CheckedImage | None:
    """Give an image that :func:`check_image` kept before; ``None`` if it is not, or no longer, there."""
    folder = images / digest.removeprefix("sha256:")
    if not (folder / "config.json").is_file():
        return None
    config = parsed_object((folder / "config.json").read_bytes(), "The image's configuration")
    return CheckedImage(digest, folder, read_config(config, layer_digests(config, limits)))


def docker_archive(image: CheckedImage) -> Iterator[bytes]:
    """Write a checked image as ``docker load`` reads it, without a tag, piece by piece."""
    name = image.digest.removeprefix("sha256:")
    layers = [f"{layer.removeprefix('sha256:')}.tar" for layer in image.config.layers]
    manifest = json.dumps([{"Config": f"{name}.json", "RepoTags": None, "Layers": layers}]).encode()
    yield from _tar_member("manifest.json", manifest)
    yield from _tar_member(f"{name}.json", (image.folder / "config.json").read_bytes())
    for layer in dict.fromkeys(layers):
        path = image.folder / layer
        yield _tar_header(layer, path.stat().st_size)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield _padding(path.stat().st_size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _tar_member(name: str, data: bytes) -> Iterator[bytes]:
    yield _tar_header(name, len(data))
    yield data + _padding(len(data))


def _tar_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
