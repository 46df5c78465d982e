"""Writes zips and PNGs byte by byte, honest or lying in any field; shares nothing with the code under test."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def deflated(data: bytes, level: int = 6) -> bytes:
    """Compress to raw deflate."""
    stream = zlib.compressobj(level, wbits=-15)
    return stream.compress(data) + stream.flush()


@dataclass
class Entry:
    """One zip entry; ``None`` means the honest value, ``local`` overrides the header before the bytes."""

    name: bytes
    data: bytes = b"hello"
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    dos: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    payload: bytes | None = None
    crc: int | None = None
    compressed: int | None = None
    size: int | None = None
    offset: int | None = None
    disk: int = 0
    descriptor: bytes | None = None
    gap: bytes = b""
    local: dict[str, Any] = field(default_factory=dict)

    def body(self) -> bytes:
        if self.payload is not None:
            return self.payload
        return deflated(self.data) if self.method == 8 else self.data

    def numbers(self) -> tuple[int, int, int]:
        return (
            zlib.crc32(self.data) if self.crc is None else self.crc,
            len(self.body()) if self.compressed is None else self.compressed,
            len(self.data) if self.size is None else self.size,
        )


def descriptor(entry: Entry, signature: bytes = b"PK\x07\x08") -> bytes:
    """Give the data descriptor that belongs behind an entry's bytes."""
    return signature + struct.pack("<3I", *entry.numbers())


def forge_zip(entries: list[Entry], *, prefix: bytes = b"", before_list: bytes = b"", behind_list: bytes = b"",
              comment: bytes = b"", suffix: bytes = b"", shift: int = 0, **end: int) -> bytes:  # fmt: skip
    """Write a zip; ``end`` overrides fields of the end record: disk, list_disk, here, total, size, offset."""
    out = bytearray(prefix)
    offsets = []
    for entry in entries:
        out += entry.gap
        offsets.append(len(out))
        crc, compressed, size = (0, 0, 0) if entry.flags & 8 else entry.numbers()
        told = {"name": entry.name, "flags": entry.flags, "method": entry.method, "crc": crc, "compressed": compressed,
                "size": size, "signature": b"PK\x03\x04", **entry.local}  # fmt: skip
        out += struct.pack("<4s5H3I2H", told["signature"], 20, told["flags"], told["method"], 0, 33, told["crc"],
                           told["compressed"], told["size"], len(told["name"]), len(entry.local_extra))  # fmt: skip
        out += told["name"] + entry.local_extra + entry.body()
        if entry.flags & 8:
            out += descriptor(entry) if entry.descriptor is None else entry.descriptor
    out += before_list
    start = len(out)
    for entry, offset in zip(entries, offsets, strict=True):
        crc, compressed, size = entry.numbers()
        where = (offset if entry.offset is None else entry.offset) - shift
        out += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 0x0314, 20, entry.flags, entry.method, 0, 33, crc, compressed,
                           size, len(entry.name), len(entry.extra), 0, entry.disk, 0,
                           entry.mode << 16 | entry.dos, where)  # fmt: skip
        out += entry.name + entry.extra
    told_end = {"disk": 0, "list_disk": 0, "here": len(entries), "total": len(entries), "size": len(out) - start,
                "offset": start - shift, "comment": len(comment), **end}  # fmt: skip
    return bytes(out + behind_list) + struct.pack("<4s4H2IH", b"PK\x05\x06", *told_end.values()) + comment + suffix


def chunk(kind: bytes, data: bytes = b"", crc: int | None = None) -> bytes:
    """Write one PNG chunk."""
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)
    )


def header(width: int = 112, height: int = 112, depth: int = 8, colour: int = 2, compression: int = 0, filters: int = 0,
           interlace: int = 0) -> bytes:  # fmt: skip
    """Write the header chunk."""
    return chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, compression, filters, interlace))


def filtered(image: Image, kinds: list[int] | None = None) -> bytes:
    """Give the filtered rows of an image, filter ``kinds[y]`` in row ``y`` (PNG specification, section 9)."""
    height, width, _ = image.shape
    rows = image.reshape(height, width * 3).astype(int)
    out = bytearray()
    for y in range(height):
        here, above = rows[y], rows[y - 1] if y else np.zeros(width * 3, int)
        left, corner = np.r_[0, 0, 0, here[:-3]], np.r_[0, 0, 0, above[:-3]]
        kind = kinds[y] if kinds else 0
        guess = left + above - corner
        near = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)]).argmin(0)
        paeth = np.choose(near, [left, above, corner])
        prediction = [np.zeros_like(here), left, above, (left + above) // 2, paeth][min(kind, 4)]
        out += bytes([kind]) + ((here - prediction) % 256).astype(np.uint8).tobytes()
    return bytes(out)


def png(image: Image, kinds: list[int] | None = None, *, head: bytes | None = None, before: bytes = b"",
        between: bytes = b"", after: bytes = b"", end: bytes | None = None, data: bytes | None = None,
        pieces: int = 1) -> bytes:  # fmt: skip
    """Write a PNG, its pixel data in so many chunks; every part may be replaced."""
    packed = zlib.compress(filtered(image, kinds)) if data is None else data
    step = -(-max(len(packed), 1) // pieces)
    parts = [chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    height, width, _ = image.shape
    return b"".join((SIGNATURE, header(width, height) if head is None else head, before, between.join(parts), after,
                     chunk(b"IEND") if end is None else end))  # fmt: skip


def photo(seed: int, height: int = 112, width: int = 112) -> Image:
    """Make an image that is smooth with some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        120 + 90 * np.sin(x / rng.uniform(9, 30) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(9, 30)) for _ in "rgb"
    ]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)
