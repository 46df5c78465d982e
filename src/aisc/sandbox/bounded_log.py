"""Keep the first bytes of what a program says, and notice when it says more (T11)."""

import threading
from collections.abc import Iterable


class BoundedLog:
    """Collects chunks from one reading thread while another asks whether the cap was crossed.

    Args:
        cap: Bytes that are kept.
    """

    def __init__(self, cap: int) -> None:
        """Start empty."""
        self._cap = cap
        self._kept = bytearray()
        self._seen = 0
        self._lock = threading.Lock()

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Read chunks to their end; memory stays below the cap and one chunk, and the writer never has to wait."""
        for chunk in chunks:
            with self._lock:
                self._seen += len(chunk)
                self._kept += chunk[: self._cap - len(self._kept)]

    @property
    def crossed(self) -> bool:
        """Whether there was more than the cap."""
        with self._lock:
            return self._seen > self._cap

    @property
    def seen(self) -> int:
        """Bytes that arrived, at most one more than the cap."""
        with self._lock:
            return min(self._seen, self._cap + 1)

    def kept(self) -> bytes:
        """Give the first bytes."""
        with self._lock:
            return bytes(self._kept)
