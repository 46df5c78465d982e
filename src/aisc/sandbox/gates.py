"""Does a program answer the same question twice in the same way? Determinism (T46) and statelessness (T45).

A trusted step runs the program a second time, over a sample of the inputs in another order and with some inputs planted
twice under different names. What comes back is compared here; the comparison is pure and knows no driver.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aisc.submission.findings import Finding, Findings, Rule

Cell = float | str
Answers = Mapping[str, Sequence[Cell]]
"""What a program said, by the identifier of the input: numbers and identifiers, in a fixed order."""

RANDOM: Final = Rule("GATE_RANDOM", "note", "Fix all seeds, and switch dropout and random augmentation off.")
STATEFUL: Final = Rule("GATE_STATEFUL", "note", "Treat each input alone; keep nothing from one to the next.")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may be apart and still count as equal: ``|a - b| <= absolute + relative * |a|``.

    Attributes:
        absolute: In the unit of the numbers.
        relative: As a fraction of the first one.
    """

    absolute: float = 1e-6
    relative: float = 1e-4

    def holds(self, a: float, b: float) -> bool:
        """Whether two numbers count as equal; a number that is none equals nothing, itself included."""
        return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= self.absolute + self.relative * abs(a)


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a comparison found, for organizers.

    Attributes:
        compared: Inputs that were compared.
        differing: Inputs whose answers differ by more than the tolerance.
        largest: Largest difference between two numbers; infinite where texts or lengths differ.
        tolerance: What was allowed.
        findings: At most 20, and one finding where nothing could be compared.
    """

    compared: int
    differing: int
    largest: float
    tolerance: Tolerance
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether all answers agree, and there were any."""
        return self.compared > 0 and self.differing == 0


def second_order(identifiers: Sequence[str], seed: int) -> list[str]:
    """Give an order for the second pass that depends on the seed alone.

    >>> second_order(["a", "b", "c", "d"], 1) != ["a", "b", "c", "d"]
    True
    """
    return sorted(identifiers, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def check_determinism(first: Answers, again: Answers, tolerance: Tolerance | None = None) -> GateReport:
    """Compare two passes over the same inputs in the same order (T46).

    Args:
        first: Answers of the pass that counts.
        again: Answers of the second pass, to all of the inputs or to a sample of them.
        tolerance: What counts as equal.
    """
    return compare(((name, name) for name in again), first, again, tolerance or Tolerance(), RANDOM)


def check_statelessness(
    first: Answers, shuffled: Answers, repeats: Mapping[str, str], tolerance: Tolerance | None = None
) -> GateReport:
    """Compare a pass with one in another order, and inputs with their planted repeats (T45).

    Args:
        first: Answers of the pass that counts.
        shuffled: Answers of the second pass; repeats have names of their own there.
        repeats: Name of a planted input by the name of the original.
        tolerance: What counts as equal.

    Returns:
        The report; a program that fails the determinism check fails this one as well, so read that one first.
    """
    planted = set(repeats.values())
    pairs = [(name, name) for name in shuffled if name not in planted]
    pairs += [(original, copy) for original, copy in repeats.items()]
    return compare(iter(pairs), first, shuffled, tolerance or Tolerance(), STATEFUL)


def compare(
    pairs: Iterator[tuple[str, str]], first: Answers, second: Answers, allowed: Tolerance, rule: Rule
) -> GateReport:
    """Compare answers pair by pair.

    Args:
        pairs: Name in the first pass and name in the second.
        first: Answers of the first pass.
        second: Answers of the second pass; findings carry its names.
        allowed: What counts as equal.
        rule: What a difference breaks.
    """
    findings = Findings()
    compared, differing, largest = 0, 0, 0.0
    for one, other in pairs:
        compared += 1
        gap, over = _difference(first.get(one), second.get(other), allowed)
        largest = max(largest, gap)
        if over:
            differing += 1
            findings.add(rule.broken(other, f"The second answer differs from the first by {gap:g}."))
    if not compared:
        findings.add(rule.broken("", "The second pass gave no answers, so nothing was compared."))
    return GateReport(compared, differing, largest, allowed, tuple(findings.listed))


def _difference(a: Sequence[Cell] | None, b: Sequence[Cell] | None, allowed: Tolerance) -> tuple[float, bool]:
    """Give the largest difference of two rows, and whether any cell is outside the tolerance."""
    if a is None or b is None or len(a) != len(b):
        return math.inf, True
    cells = [_cell_difference(x, y, allowed) for x, y in zip(a, b, strict=True)]
    return max((gap for gap, _ in cells), default=0.0), any(over for _, over in cells)


def _cell_difference(x: Cell, y: Cell, allowed: Tolerance) -> tuple[float, bool]:
    if isinstance(x, str) or isinstance(y, str):
        return (0.0, False) if x == y else (math.inf, True)
    gap = abs(x - y) if math.isfinite(x) and math.isfinite(y) else math.inf
    return gap, not allowed.holds(x, y)
