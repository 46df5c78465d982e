"""How far an altered picture may be from the one that was given (SAFAIR's public contest rules: L∞ ≤ 8/255)."""

from typing import Final

EPSILON: Final = 8
"""Grey levels by which a channel of a stored 8-bit picture may differ."""
