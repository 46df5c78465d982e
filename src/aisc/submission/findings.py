"""What a check found: one finding per broken rule, each with a stable code and a remedy."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

Effect = Literal["refused", "failed", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule.

    Attributes:
        code: Stable identifier, such as ``PNG_BIT_DEPTH``.
        where: The file or entry inside the submission, or ``""`` for the submission as a whole.
        message: One sentence that names the rule and what was seen instead.
        remedy: What the team should do.
        effect: ``refused`` voids the whole submission, ``failed`` makes this one item a failed attempt,
            ``note`` changes nothing.
    """

    code: str
    where: str
    message: str
    remedy: str
    effect: Effect


class Rule(NamedTuple):
    """A rule that a check enforces: what breaking it costs, and what to do about it.

    Attributes:
        code: Stable identifier; the findings of the rule carry it.
        effect: As in :class:`Finding`.
        remedy: As in :class:`Finding`.
    """

    code: str
    effect: Effect
    remedy: str

    def broken(self, where: str, message: str) -> Finding:
        """Make the finding that says who broke this rule and how."""
        return Finding(self.code, where, message, self.remedy, self.effect)


@dataclass(slots=True)
class Findings:
    """All findings of one check; the list is capped, the counts are not.

    A submission with a million bad entries must not make a million-line report: past ``cap`` findings of one code
    only the count grows.
    """

    cap: int = 20
    listed: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    refused: bool = False

    def add(self, finding: Finding) -> None:
        """Record one finding."""
        seen = self.counts.get(finding.code, 0)
        self.counts[finding.code] = seen + 1
        self.refused = self.refused or finding.effect == "refused"
        if seen < self.cap:
            self.listed.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Record several findings in order."""
        for finding in findings:
            self.add(finding)

    def as_json(self) -> dict[str, object]:
        """Give the report as plain values: ``refused``, ``counts`` by code, ``findings`` in order."""
        return {"refused": self.refused, "counts": dict(self.counts), "findings": [asdict(f) for f in self.listed]}


class RuleBrokenError(Exception):
    """One item breaks a rule; the caller knows the item's name and turns this into a finding.

    Args:
        rule: The rule.
        message: One sentence that says what was seen instead.
    """

    def __init__(self, rule: Rule, message: str) -> None:
        """Keep the parts apart."""
        super().__init__(rule.code, message)
        self.rule = rule
        self.message = message

    def finding(self, where: str) -> Finding:
        """Give the finding about the item ``where``."""
        return self.rule.broken(where, self.message)
