"""SAFAIR's rules about people (RULES.md D-G): what an entry is called, and who may take which side."""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from aisc.submission.findings import Finding, Rule

Side = Literal["attack", "defence"]

TEAM_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("ENTRY_NAME", "refused", "Call it TEAM.TASK.DATASET.ATTEMPT, such as owls.reid.celeba.1."),
        Rule("ENTRY_TEAM", "refused", "Begin the name with your own team's."),
        Rule("ENTRY_TASK", "refused", "Name the task that you submit to."),
        Rule("ENTRY_DATASET", "refused", "Name the dataset of the stage."),
        Rule("ENTRY_ATTEMPT_REPEATED", "refused", "Take the next number; this upload has cost no attempt."),
        Rule("BOTH_SIDES", "refused", "Stay on one side of a task; the other task is open to you."),
    )
}  # fmt: skip

_NAME: Final = re.compile(
    r"(?P<team>[A-Za-z0-9_-]{1,40})\.(?P<task>[a-z]{1,20})\.(?P<dataset>[A-Za-z0-9_-]{1,40})\.(?P<attempt>[1-9][0-9]{0,3})"
)


class EntryName(NamedTuple):
    """The parts of `<team>.<task>.<dataset>.<attempt>`."""

    team: str
    task: str
    dataset: str
    attempt: int

    def __str__(self) -> str:
        """Give the name as it is written."""
        return ".".join(map(str, self))


class Place(NamedTuple):
    """Where an entry is sent."""

    team: str
    task: str
    dataset: str


def parse_entry_name(text: str) -> EntryName | None:
    """Take a name apart; ``None`` where it does not follow the convention.

    >>> parse_entry_name("owls.reid.celeba.2")
    EntryName(team='owls', task='reid', dataset='celeba', attempt=2)
    >>> parse_entry_name("owls.reid.celeba.02") is None
    True
    """
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    return EntryName(found["team"], found["task"], found["dataset"], int(found["attempt"]))


def check_entry_name(text: str, place: Place, earlier: Iterable[str]) -> list[Finding]:
    """Check a name against where it is sent and what the team has sent there.

    Args:
        text: The entry's name, without an ending.
        place: Team, task and dataset that it is sent to.
        earlier: Names of the team's earlier entries, refused ones left out.

    Returns:
        Every rule that it breaks; none of them costs an attempt.
    """
    name = parse_entry_name(text)
    if name is None:
        return [TEAM_RULES["ENTRY_NAME"].broken("", "The name does not have the four parts of the convention.")]
    found = [
        TEAM_RULES[code].broken("", f"The name says {said}, the entry is sent by or to {true}.")
        for code, said, true in (
            ("ENTRY_TEAM", name.team, place.team),
            ("ENTRY_TASK", name.task, place.task),
            ("ENTRY_DATASET", name.dataset, place.dataset),
        )
        if said.casefold() != true.casefold()
    ]
    if any(other is not None and other.attempt == name.attempt for other in map(parse_entry_name, earlier)):
        text = f"Attempt {name.attempt} has been sent before."
        found.append(TEAM_RULES["ENTRY_ATTEMPT_REPEATED"].broken("", text))
    return found


def side_of(track: str) -> tuple[str, Side]:
    """Take a track's name apart into task and side.

    >>> side_of("attributes-defence")
    ('attributes', 'defence')
    """
    task, _, side = track.rpartition("-")
    if not task or side not in ("attack", "defence"):
        raise ValueError(f"{track} is no track of SAFAIR")
    return task, "attack" if side == "attack" else "defence"


def check_side(track: str, entered: Iterable[str]) -> list[Finding]:
    """Check that a team stays on one side of a task; crossing between tasks is allowed (rule 4).

    Args:
        track: Where the team wants to submit.
        entered: Tracks to which it has submitted, of any competition.

    >>> [finding.code for finding in check_side("reid-attack", ["reid-defence", "face"])]
    ['BOTH_SIDES']
    >>> check_side("reid-attack", ["reid-attack", "attributes-defence"])
    []
    """
    task, side = side_of(track)
    other = f"{task}-{'defence' if side == 'attack' else 'attack'}"
    if other not in set(entered):
        return []
    return [TEAM_RULES["BOTH_SIDES"].broken("", f"The team takes part in {other} already.")]
