"""Inflate a stranger's bytes, never to more than was announced.

The work is done by zlib-ng: the interface of the standard library's :mod:`zlib`, faster, fuzzed by the same projects.
"""

from typing import Final, NamedTuple, cast

from zlib_ng import zlib_ng

RAW_DEFLATE: Final = -zlib_ng.MAX_WBITS
ZLIB_STREAM: Final = zlib_ng.MAX_WBITS

# The library's type stub gives an instance where the class stands.
_DAMAGED: Final = cast("type[Exception]", zlib_ng.error)


class DamagedStreamError(ValueError):
    """The bytes are not a deflate stream, or their own checksum does not hold."""


class Inflated(NamedTuple):
    """What came out.

    Attributes:
        data: At most one byte more than was announced: that byte says that there is more.
        ended: The stream came to its end, and its checksum, if it has one, holds.
        leftover: Bytes follow the stream.
    """

    data: bytes
    ended: bool
    leftover: bool


def inflate(data: bytes, size: int, kind: int) -> Inflated:
    """Inflate bytes that should give ``size`` bytes.

    Args:
        data: The compressed bytes.
        size: How many bytes were announced; not more than one above it is ever held.
        kind: :data:`RAW_DEFLATE` (RFC 1951) or :data:`ZLIB_STREAM` (RFC 1950, with an Adler-32).

    Returns:
        The bytes, and whether the stream ended there.

    Raises:
        DamagedStreamError: The stream is damaged.
    """
    stream = zlib_ng.decompressobj(kind)
    try:
        out = stream.decompress(data, size + 1)
    except _DAMAGED as error:
        raise DamagedStreamError(str(error)) from error
    return Inflated(out, stream.eof, bool(stream.unused_data))
