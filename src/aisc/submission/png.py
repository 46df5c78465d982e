"""Strict PNG: one format, one reading, no surprises before or after decoding (THREATS T28 to T34).

How it stays both strict and fast. The chunks are walked and their checksums verified, the pixel data is inflated here,
bounded by the size that the header must have, and its exact length, its own checksum and each row's filter are
verified. What OpenCV then decodes is a PNG that we wrote: the expected header and the verified rows, stored without
compression. So the decoder never sees a byte layout of a stranger's making, each image is inflated once only, and the
cost stays near that of decoding the file directly. OpenCV undoes the row filters, everywhere, so that all steps see
the same pixels.

Two kinds of fault are told apart. A *damaged* image (cut, checksum wrong, not inflatable) is a failed attack. An image
in a *format* other than plain 8-bit RGB, or one that carries anything besides pixels, refuses the submission: decoders
disagree about its pixels or something hides in it.
"""

import struct
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from aisc.errors import PlatformError
from aisc.submission.findings import Rule, RuleBrokenError
from aisc.submission.inflating import ZLIB_STREAM, DamagedStreamError, inflate

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = struct.Struct(">2I5B")
_CHUNK: Final = struct.Struct(">I4s")
_CRC: Final = struct.Struct(">I")
_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_MOST_CHUNKS: Final = 256
_LAST_FILTER: Final = 4
_LONGEST_STORED: Final = 0xFFFF
_PHYS_SIZE: Final = 9
_ADLER_SIZE: Final = 4

_SAVE_AS_RGB: Final = "Save it as 8-bit RGB: `cv2.imwrite(name, image)` or `Image.convert('RGB').save(name)`."
_SAVE_PLAIN: Final = (
    "Save the pixels alone: `cv2.imwrite(name, image)`, or Pillow's `Image.fromarray(pixels).save(name)`."
)
_SAVE_AGAIN: Final = "Save the image again, open the saved file once to see that it is whole, and zip it again."

PNG_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("PNG_TRUNCATED", "failed", _SAVE_AGAIN),
        Rule("PNG_CRC", "failed", _SAVE_AGAIN),
        Rule("PNG_CORRUPT", "failed", _SAVE_AGAIN),
        Rule("PNG_NOT_PNG", "refused", "Save it as PNG; renaming a file does not convert it."),
        Rule("PNG_SIZE", "refused", "Keep the original's width and height."),
        Rule("PNG_BIT_DEPTH", "refused", "Convert the pixels to uint8 before saving: 8 bits a channel."),
        Rule("PNG_GRAY", "refused", _SAVE_AS_RGB),
        Rule("PNG_PALETTE", "refused", _SAVE_AS_RGB),
        Rule("PNG_ALPHA", "refused", _SAVE_AS_RGB),
        Rule("PNG_NO_ALPHA", "refused", "Save it as 8-bit RGBA; alpha above 0 marks the patch."),
        Rule("PNG_HEADER", "refused", _SAVE_AS_RGB),
        Rule("PNG_INTERLACED", "refused", "Save it without interlacing."),
        Rule("PNG_ANIMATED", "refused", "Send one still image."),
        Rule("PNG_COLOUR_PROFILE", "refused", f"Remove colour profile and gamma. {_SAVE_PLAIN}"),
        Rule("PNG_TEXT", "refused", f"Remove the text. {_SAVE_PLAIN}"),
        Rule("PNG_EXIF", "refused", f"Apply the rotation, then remove the EXIF data. {_SAVE_PLAIN}"),
        Rule("PNG_CHUNK", "refused", _SAVE_PLAIN),
        Rule("PNG_TRAILING_BYTES", "refused", f"Leave nothing behind the image. {_SAVE_PLAIN}"),
        Rule("PNG_BOMB", "refused", _SAVE_PLAIN),
    )
}

_FORBIDDEN: Final[dict[bytes, tuple[str, str]]] = {
    **dict.fromkeys((b"acTL", b"fcTL", b"fdAT"), ("PNG_ANIMATED", "an animation")),
    **dict.fromkeys((b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"sBIT"), ("PNG_COLOUR_PROFILE", "a colour space")),
    **dict.fromkeys((b"tEXt", b"zTXt", b"iTXt"), ("PNG_TEXT", "text")),
    b"eXIf": ("PNG_EXIF", "camera data, perhaps a rotation"),
    b"PLTE": ("PNG_PALETTE", "a palette"),
    b"tRNS": ("PNG_ALPHA", "transparency"),
}
_COLOUR_TYPES: Final = {0: ("PNG_GRAY", "gray"), 3: ("PNG_PALETTE", "a palette"), 4: ("PNG_ALPHA", "gray with alpha"),
                        6: ("PNG_ALPHA", "RGB with alpha")}  # fmt: skip
_RGB: Final = 2
_RGBA: Final = 6
_OTHER_FORMATS: Final = (
    (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    (b"%!PS", "EPS"), (b"\xc5\xd0\xd3\xc6", "EPS"), (b"%PDF", "PDF"), (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"P5", "PGM"), (b"P6", "PPM"), (b"\x93NUMPY", "a NumPy array"), (b"\0\0\1\0", "an icon"),
    (b"<", "markup, such as SVG"),
)  # fmt: skip


def decode_png(data: bytes, size: tuple[int, int], *, alpha: bool = False) -> NDArray[np.uint8]:
    """Decode a plain 8-bit RGB PNG, or RGB with alpha where that is asked for, and nothing else.

    Args:
        data: The whole file.
        size: Height and width in pixels that the image must have.
        alpha: Whether the image must have an alpha channel, instead of having none.

    Returns:
        ``(h, w, 3)`` uint8, channels in the order red, green, blue; with ``alpha`` a fourth one, not multiplied in.

    Raises:
        RuleBrokenError: The file breaks one of :data:`PNG_RULES`; its ``effect`` says whether the image is damaged
            (``failed``) or in a forbidden format (``refused``).
        PlatformError: OpenCV fails on verified rows: its installation is broken.
    """
    layout = _Layout(*size, 4 if alpha else 3)
    compressed = _pixel_data(data, layout)
    rows = _inflated_rows(compressed, layout)
    plain = _stored_png(rows, compressed[-_ADLER_SIZE:], layout)
    way = cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR_RGB
    pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), way)
    if pixels is None or pixels.shape != layout:
        raise PlatformError("PNG_DECODER", "OpenCV cannot decode a PNG that was verified and written by this program.")
    if alpha:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
    return pixels.astype(np.uint8, copy=False)


class _Layout(NamedTuple):
    """The one shape that an image may have."""

    height: int
    width: int
    channels: int

    @property
    def row(self) -> int:
        """Bytes of a row: its filter and its pixels."""
        return 1 + self.channels * self.width

    @property
    def most_chunks(self) -> int:
        """How many chunks at most: an ordinary program writes at least 4 KiB of pixels into each."""
        return _MOST_CHUNKS + self.height * self.row // 4096

    @property
    def colour(self) -> int:
        """The header's colour type."""
        return _RGB if self.channels == 3 else _RGBA


def _pixel_data(data: bytes, layout: _Layout) -> bytes:
    """Walk the chunks; give the compressed pixel data if they are the ones that a plain PNG has."""
    if not data.startswith(_SIGNATURE):
        raise _not_png(data)
    view = memoryview(data)
    headed = False
    parts: list[memoryview] = []
    at = len(_SIGNATURE)
    previous = b""
    for _ in range(layout.most_chunks):
        if at + 12 > len(data):
            raise RuleBrokenError(PNG_RULES["PNG_TRUNCATED"], "The file ends before its last chunk.")
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            raise RuleBrokenError(PNG_RULES["PNG_TRUNCATED"], "The file ends inside a chunk.")
        if zlib_ng.crc32(view[at + 4 : end - 4]) != _CRC.unpack_from(data, end - 4)[0]:
            raise RuleBrokenError(PNG_RULES["PNG_CRC"], "A chunk does not match its checksum.")
        if not headed:
            _check_header(kind, data[at + 8 : end - 4], layout)
            headed = True
        elif kind == b"IDAT":
            if parts and previous != kind:
                raise RuleBrokenError(PNG_RULES["PNG_CHUNK"], "The pixel data is interrupted by another chunk.")
            parts.append(view[at + 8 : end - 4])
        elif kind == b"IEND":
            _check_end(length, len(data) - end)
            return b"".join(parts)
        elif kind != b"pHYs" or length != _PHYS_SIZE or parts or previous == kind:
            raise _forbidden_chunk(kind)
        at, previous = end, kind
    raise RuleBrokenError(PNG_RULES["PNG_CHUNK"], f"The file has more than {layout.most_chunks} chunks.")


def _check_header(kind: bytes, content: bytes, layout: _Layout) -> None:
    if kind != b"IHDR" or len(content) != _HEADER.size:
        raise RuleBrokenError(PNG_RULES["PNG_HEADER"], "The first chunk is not a header.")
    width, height, depth, colour, compression, filters, interlace = _HEADER.unpack(content)
    if (height, width) != layout[:2]:
        text = f"The image is {width} by {height} pixels, it must be {layout.width} by {layout.height}."
        raise RuleBrokenError(PNG_RULES["PNG_SIZE"], text)
    if depth != 8:
        raise RuleBrokenError(PNG_RULES["PNG_BIT_DEPTH"], f"The image has {depth} bits a channel, it must have 8.")
    if colour == _RGB != layout.colour:
        raise RuleBrokenError(PNG_RULES["PNG_NO_ALPHA"], "The image's pixels are RGB, they must be RGB with alpha.")
    if colour != layout.colour and colour in _COLOUR_TYPES:
        code, seen = _COLOUR_TYPES[colour]
        wanted = "RGB" if layout.colour == _RGB else "RGB with alpha"
        raise RuleBrokenError(PNG_RULES[code], f"The image's pixels are {seen}, they must be {wanted}.")
    if colour != layout.colour or compression or filters or interlace > 1:
        raise RuleBrokenError(PNG_RULES["PNG_HEADER"], "The header holds a value that PNG does not define.")
    if interlace:
        raise RuleBrokenError(PNG_RULES["PNG_INTERLACED"], "The image is interlaced.")


def _check_end(length: int, behind: int) -> None:
    if length:
        raise RuleBrokenError(PNG_RULES["PNG_CHUNK"], "The last chunk carries data.")
    if behind:
        raise RuleBrokenError(PNG_RULES["PNG_TRAILING_BYTES"], f"{behind} bytes follow the end of the image.")


def _forbidden_chunk(kind: bytes) -> RuleBrokenError:
    name = kind.decode("ascii", "backslashreplace")
    if not name.isalpha():
        name = kind.hex()
    code, what = _FORBIDDEN.get(kind, ("PNG_CHUNK", "more than pixels"))
    return RuleBrokenError(PNG_RULES[code], f"The image carries {what} (chunk {name}).")


def _not_png(data: bytes) -> RuleBrokenError:
    if _SIGNATURE.startswith(data):
        return RuleBrokenError(
            PNG_RULES["PNG_TRUNCATED"], f"The file has {len(data)} bytes, less than a PNG's signature."
        )
    seen = next((name for magic, name in _OTHER_FORMATS if data.startswith(magic)), "no picture format that we know")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        seen = "WebP"
    return RuleBrokenError(PNG_RULES["PNG_NOT_PNG"], f"The file is not a PNG: it starts like {seen}.")


def _inflated_rows(compressed: bytes, layout: _Layout) -> bytes:
    """Inflate the pixel data: exactly the rows of an image of this size, each a filter byte and its pixels."""
    expected = layout.height * layout.row
    try:
        rows, ended, leftover = inflate(compressed, expected, ZLIB_STREAM)
    except DamagedStreamError as error:
        raise RuleBrokenError(PNG_RULES["PNG_CORRUPT"], "The pixel data cannot be inflated.") from error
    if len(rows) > expected:
        raise RuleBrokenError(PNG_RULES["PNG_BOMB"], "The pixel data inflates to more than the image has pixels.")
    if leftover:
        raise RuleBrokenError(PNG_RULES["PNG_TRAILING_BYTES"], "Bytes follow the pixel data inside its chunk.")
    if len(rows) < expected or not ended:
        raise RuleBrokenError(PNG_RULES["PNG_TRUNCATED"], "The pixel data ends before the last row.")
    if max(rows[:: layout.row]) > _LAST_FILTER:
        raise RuleBrokenError(PNG_RULES["PNG_CORRUPT"], "A row uses a filter that PNG does not define.")
    return rows


def _stored_png(rows: bytes, adler: bytes, layout: _Layout) -> bytes:
    """Write verified rows and their verified Adler-32 as a PNG without compression (RFC 1950, 1951: stored blocks)."""
    starts = range(0, len(rows), _LONGEST_STORED)
    pixels = [b"IDAT\x78\x01"]
    for start in starts:
        block = rows[start : start + _LONGEST_STORED]  # the rows themselves, not a copy, where they fit one block
        pixels += (struct.pack("<BHH", start == starts[-1], len(block), len(block) ^ 0xFFFF), block)
    pixels.append(adler)
    checksum = 0
    for part in pixels:
        checksum = zlib_ng.crc32(part, checksum)
    length = len(rows) + 5 * len(starts) + 2 + _ADLER_SIZE
    return b"".join((_header(layout), _CRC.pack(length), *pixels, _CRC.pack(checksum), _END))


@lru_cache(maxsize=8)
def _header(layout: _Layout) -> bytes:
    """Give signature and header chunk of a plain PNG."""
    chunk = b"IHDR" + _HEADER.pack(layout.width, layout.height, 8, layout.colour, 0, 0, 0)
    return _SIGNATURE + _CRC.pack(_HEADER.size) + chunk + _CRC.pack(zlib_ng.crc32(chunk))
