"""The output of an attack on face classifiers: one PNG an image, within ε of the one that was given (RULES.md D-G).

An attack's program writes a folder, and an image that it spoils spoils nothing else. By rule 7 each image that is
missing, damaged, in another format or size, or over ε is skipped, which counts as right for the defence. Nothing is
repaired: an image over ε is never clipped to it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.attacks.epsilon import EPSILON
from aisc.submission.findings import Finding, Findings, Rule, RuleBrokenError
from aisc.submission.png import decode_png

ALTERED_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("ALTERED_MISSING", "failed", "Write one image for each that was given, under the same name."),
        Rule("ALTERED_BROKEN", "failed", "Write a whole PNG: close the file, and leave the time to do so."),
        Rule("ALTERED_FORMAT", "failed", "Write whole numbers from 0 to 255: 8-bit RGB PNG, nothing else in the file."),
        Rule("ALTERED_SIZE", "failed", "Write the image in the width and height of the one that was given."),
        Rule("ALTERED_OVER_EPSILON", "failed", "Round first, then check ε on the rounded pixels; nothing is clipped."),
        Rule("ALTERED_UNCHANGED", "note", "Nothing to do if this is on purpose."),
    )
}  # fmt: skip

_LARGEST_FILE: Final = 4 << 20


class Outcome(IntEnum):
    """What became of one image; the numbers are stored and never change."""

    OK = 0
    UNCHANGED = 1
    MISSING = 2
    BROKEN = 3
    FORMAT = 4
    SIZE = 5
    OVER_EPSILON = 6


_CODES: Final = {
    Outcome.UNCHANGED: "ALTERED_UNCHANGED",
    Outcome.MISSING: "ALTERED_MISSING",
    Outcome.BROKEN: "ALTERED_BROKEN",
    Outcome.FORMAT: "ALTERED_FORMAT",
    Outcome.SIZE: "ALTERED_SIZE",
    Outcome.OVER_EPSILON: "ALTERED_OVER_EPSILON",
}


class Judged(NamedTuple):
    """One image held against the rules.

    Attributes:
        outcome: What became of it.
        change: Largest change of a channel in grey levels; 0 where none could be measured.
        why: One sentence, empty for `OK`.
    """

    outcome: Outcome
    change: int
    why: str


@dataclass(frozen=True, slots=True)
class AlteredReport:
    """What the check of an attack's output found.

    Attributes:
        findings: All findings; none of them refuses the submission.
        outcomes: `(n,)` uint8: an :class:`Outcome` an image.
        changes: `(n,)` uint8: largest change of a channel in grey levels.
    """

    findings: Findings
    outcomes: NDArray[np.uint8]
    changes: NDArray[np.uint8]

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Give `(n,)` bool: the defence is asked about the image; where it is not, rule 7 holds."""
        return is_counted(self.outcomes)


def is_counted(outcomes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Give `(n,)` bool from `(n,)` of :class:`Outcome`: which altered images are shown to the defence."""
    return np.asarray(outcomes <= Outcome.UNCHANGED)


def judge_pixels(original: NDArray[np.uint8], altered: NDArray[Any], epsilon: int = EPSILON) -> Judged:
    """Hold one altered image against the one that was given, as arrays.

    Args:
        original: uint8 `(h, w, 3)`.
        altered: Whatever the attack gives for it. Floating numbers are refused even where they are whole: a scorer
            that rounds for the attack decides for it.
        epsilon: Most that a channel may change, in grey levels.

    >>> grey = np.full((2, 2, 3), 100, np.uint8)
    >>> judge_pixels(grey, grey + np.uint8(8)).outcome.name, judge_pixels(grey, grey - np.uint8(9)).outcome.name
    ('OK', 'OVER_EPSILON')
    >>> judge_pixels(grey, grey + 0.5).why
    'The pixels are float64, not whole numbers from 0 to 255.'
    """
    if not np.issubdtype(altered.dtype, np.integer):
        return Judged(Outcome.FORMAT, 0, f"The pixels are {altered.dtype}, not whole numbers from 0 to 255.")
    if altered.shape != original.shape:
        return Judged(Outcome.SIZE, 0, f"The image has the shape {altered.shape}, not {original.shape}.")
    if altered.dtype != np.uint8 and altered.size and not 0 <= int(altered.min()) <= int(altered.max()) <= 255:
        return Judged(Outcome.FORMAT, 0, f"A pixel is {altered.min()} or {altered.max()}, outside 0 to 255.")
    # Wider numbers: a difference of uint8 wraps, and 3 - 250 would be 9.
    gap = np.abs(altered.astype(np.int16) - original)
    largest = int(gap.max(initial=0))
    if largest > epsilon:
        over = int(np.count_nonzero(gap > epsilon))
        why = f"{over} of {gap.size} channel values differ by more than {epsilon} grey levels, the most by {largest}."
        return Judged(Outcome.OVER_EPSILON, largest, why)
    if not largest:
        return Judged(Outcome.UNCHANGED, 0, "The image is the one that was given, pixel for pixel.")
    return Judged(Outcome.OK, largest, "")


def read_altered(
    folder: Path,
    names: Sequence[str],
    originals: NDArray[np.uint8],
    out: NDArray[np.uint8],
    *,
    epsilon: int = EPSILON,
    progress: Callable[[int, int], None] | None = None,
) -> AlteredReport:
    """Check the collected output of an attack, one image at a time.

    Args:
        folder: Where the collector put the files; whatever else lies there is not looked at.
        names: `n` plain file names, in the order of `originals`.
        originals: uint8 RGB `(n, h, w, 3)`: the images that were given.
        out: The same shape and dtype; filled with the altered images. Where one does not count stands the original.
        epsilon: Most that a channel may change, in grey levels.
        progress: Called after each image with the number done and `n`.

    Raises:
        ValueError: The arrays have the wrong shape or dtype.
    """
    if originals.shape != out.shape or originals.dtype != np.uint8 or out.dtype != np.uint8:
        raise ValueError(f"originals and out are uint8 of one shape, not {originals.shape} and {out.shape}")
    if originals.ndim != 4 or len(names) != len(originals):
        raise ValueError(f"{len(names)} names do not go with images of shape {originals.shape}")
    findings = Findings()
    outcomes, changes = (np.zeros(len(names), np.uint8) for _ in range(2))
    for index, name in enumerate(names):
        judged, pixels = _read_one(folder / name, originals[index], epsilon)
        outcomes[index], changes[index] = judged.outcome, judged.change
        out[index] = pixels if judged.outcome <= Outcome.UNCHANGED else originals[index]
        findings.extend(_finding_of(judged, name))
        if progress is not None:
            progress(index + 1, len(names))
    return AlteredReport(findings, outcomes, changes)


def _read_one(path: Path, original: NDArray[np.uint8], epsilon: int) -> tuple[Judged, NDArray[np.uint8]]:
    """Read and judge one image; without one, the original stands in for the pixels."""
    height, width = original.shape[:2]
    try:
        # Not by name alone: a link would be followed to wherever it points.
        if path.is_symlink() or not path.is_file():
            return Judged(Outcome.MISSING, 0, "The attack wrote no such image."), original
        if path.stat().st_size > _LARGEST_FILE:
            return Judged(Outcome.FORMAT, 0, f"The file is larger than {_LARGEST_FILE >> 20} MiB."), original
        pixels = decode_png(path.read_bytes(), (height, width))
    except OSError as error:
        return Judged(Outcome.BROKEN, 0, f"The file cannot be read ({error.strerror})."), original
    except RuleBrokenError as error:
        return Judged(_outcome_of(error.rule), 0, error.message), original
    return judge_pixels(original, pixels, epsilon), pixels


def _outcome_of(rule: Rule) -> Outcome:
    """Tell what a broken PNG rule means here: a damaged file, a wrong size, or anything but plain 8-bit RGB."""
    if rule.code == "PNG_SIZE":
        return Outcome.SIZE
    return Outcome.BROKEN if rule.effect == "failed" else Outcome.FORMAT


def _finding_of(judged: Judged, name: str) -> Iterator[Finding]:
    if judged.outcome in _CODES:
        yield ALTERED_RULES[_CODES[judged.outcome]].broken(name, judged.why)
