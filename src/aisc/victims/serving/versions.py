"""The version that a model server knows a victim by."""

_DIGITS = 15
"""Hexadecimal digits of the digest: 60 bits, the most that fit a positive 64-bit number digit by digit."""


def version_of(digest: str) -> int:
    """Give the Triton version of a package: the first 60 bits of its SHA-256.

    >>> version_of("00000000000000f" + "0" * 49)
    15
    """
    return int(digest[:_DIGITS], 16) or 1
