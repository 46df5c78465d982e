"""A second, shuffled pass over a sample, and its comparison with the first one (T45, T46): what a stage calls.

The second pass shows a sample of the inputs under other random names, which also changes their order, with a few of
them twice. A program that answers each input alone and without chance gives the same answers again; one that remembers,
counts or draws does not. Programs that by design look at all inputs together are flagged as well: organizers judge.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aisc.sandbox.gates import Answers, Cell, GateReport, Tolerance, compare
from aisc.submission.findings import Rule
from aisc.submission.result_tables import ResultTable

UNSTABLE: Final = Rule(
    "GATE_UNSTABLE", "note", "Fix all seeds, switch dropout off, and treat each input alone: no memory, no counting."
)


@dataclass(frozen=True, slots=True)
class SecondPass:
    """What is shown in the second pass.

    Attributes:
        probes: Name in the first pass by the name in the second; a repeated probe stands behind two names.
        gallery: The same for the gallery, of which nothing is left out or repeated.
    """

    probes: Mapping[str, str]
    gallery: Mapping[str, str]


def plan_second_pass(
    probes: Sequence[str], gallery: Sequence[str], seed: int, sample: int = 64, repeats: int = 4
) -> SecondPass:
    """Draw the sample and the names.

    Args:
        probes: Names of the first pass.
        gallery: Names of the first pass.
        seed: All that the draw depends on beside the names.
        sample: Probes to show again; all of them if there are fewer.
        repeats: How many of these to show twice.

    Returns:
        The plan; new names are 16 hexadecimal digits in ascending order, which says nothing about the old order.
    """
    drawn = sorted(probes, key=lambda name: _drawn(seed, "sample", name))[:sample]
    shown = [(name, "probe") for name in drawn] + [(name, "repeat") for name in drawn[:repeats]]
    renamed = {_drawn(seed, role, name): name for name, role in shown}
    return SecondPass(
        dict(sorted(renamed.items())), dict(sorted((_drawn(seed, "gallery", name), name) for name in gallery))
    )


def _drawn(seed: int, role: str, name: str) -> str:
    return hashlib.sha256(f"{seed} {role} {name}".encode()).hexdigest()[:16]


def table_answers(table: ResultTable, probes: Sequence[str], gallery: Sequence[str]) -> Answers:
    """Give a result table as answers by probe: the neighbours' names, their similarities, the novelty if asked for.

    Args:
        table: Checked table of n probes.
        probes: Their n names, in the table's order.
        gallery: Names that the table's neighbours index.
    """
    answers: dict[str, tuple[Cell, ...]] = {}
    for row, probe in enumerate(probes):
        novelty = () if table.novelty is None else (float(table.novelty[row]),)
        names = (gallery[index] for index in table.neighbours[row])
        answers[probe] = (*names, *map(float, table.similarities[row]), *novelty)
    return answers


def check_second_pass(
    first: Answers, second: Answers, plan: SecondPass, tolerance: Tolerance | None = None, ranked: int = 0
) -> GateReport:
    """Compare the second pass with the first.

    Args:
        first: Answers of the pass that counts, under its names.
        second: Answers of the second pass, under the plan's new names; a probe without an answer counts as differing.
        plan: What was shown.
        tolerance: What counts as equal.
        ranked: How many identifiers an answer begins with, followed by as many numbers, best first; identifiers whose
            numbers are equal may change places, because their order means nothing.

    Returns:
        The report; its findings name probes of the first pass, and are for organizers.
    """
    allowed = tolerance or Tolerance()
    old = {**plan.probes, **plan.gallery}
    expected, given = {}, {}
    for new, name in plan.probes.items():
        if name in first:
            groups = _equal_ranks(first[name], ranked, allowed)
            expected[name] = _settled(first[name], groups)
            if new in second:
                row = [old.get(cell, cell) if isinstance(cell, str) else cell for cell in second[new]]
                given[new] = _settled(row, groups)
    report = compare(((name, new) for new, name in plan.probes.items()), expected, given, allowed, UNSTABLE)
    return replace(report, findings=tuple(replace(each, where=old.get(each.where, "")) for each in report.findings))


def _equal_ranks(row: Sequence[Cell], ranked: int, allowed: Tolerance) -> list[slice]:
    """Group the ranks whose numbers are equal within the tolerance, each to the one before."""
    starts = [0]
    for rank in range(1, ranked):
        before, here = row[ranked + rank - 1 : ranked + rank + 1]
        if isinstance(before, str) or isinstance(here, str) or not allowed.holds(before, here):
            starts.append(rank)
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], ranked], strict=True)]


def _settled(row: Sequence[Cell], groups: Sequence[slice]) -> tuple[Cell, ...]:
    """Put the identifiers of equal ranks into one order."""
    cells = list(row)
    for group in groups:
        cells[group] = sorted(cells[group], key=str)
    return tuple(cells)
