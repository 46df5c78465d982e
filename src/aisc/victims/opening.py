"""What opens a victim's package: this process, or a server that holds the same package.

Where a victim ran is no part of a score's identity, and a result that is kept is never computed again because the
victim has moved. That is right because a server answers for one package only: every request names the package's
digest, the server proved on a canary that it answers as the package does (to 10⁻⁴ of the largest number), and all that
turns answers into scores is the same code here. What is left is the order of sums in floating point: over all shipped
victims, similarities and confidences agree within 10⁻⁵, and every decision agrees (``tests/contract/test_victims.py``).
A decision could differ only where a number lies that near its threshold; as with any two machines, the result that was
kept first is the one that counts.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aisc.victims.classifier import FaceClassifier, open_classifier
from aisc.victims.verifier import FaceVerifier, open_verifier

if TYPE_CHECKING:
    from aisc.victims.detectors import Detector


class Victims(Protocol):
    """Opens the package in a folder; what it gives follows the victims' contracts, wherever it runs.

    Each method raises ``UsageError`` as the package's reader does. A server adds ``PlatformError`` VICTIM_DIFFERS,
    VICTIM_NOT_SERVED, VICTIM_OUTPUT_INVALID, VICTIMS_FAILED and ``TransientError`` VICTIMS_UNAVAILABLE.
    """

    def open_verifier(self, folder: Path) -> FaceVerifier:
        """Open a face verifier."""
        ...

    def open_detector(self, folder: Path) -> "Detector":
        """Open a detector."""
        ...

    def open_classifier(self, folder: Path) -> FaceClassifier:
        """Open a face classifier."""
        ...


class LocalVictims:
    """Victims in this process; weights are checked against their SHA-256 when they are read."""

    def open_verifier(self, folder: Path) -> FaceVerifier:
        """Open a face verifier; VICTIM_WEIGHTS_INVALID when the file is no such model."""
        return open_verifier(folder)

    def open_detector(self, folder: Path) -> "Detector":
        """Open a detector; VICTIM_WEIGHTS_INVALID when the file is no such model."""
        from aisc.victims.detectors import open_detector  # brings torch, which a step without detectors must not pay

        return open_detector(folder)

    def open_classifier(self, folder: Path) -> FaceClassifier:
        """Open a face classifier; VICTIM_WEIGHTS_INVALID when the file is no such model."""
        return open_classifier(folder)
