"""SAFAIR's demo: starters of ours attack and defend one task; one attack exceeds ε, one defence has one answer for all.

Both sides are tracks of their own, held one after the other; the tournament follows when both have their boards.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from aisc.cli.demos.play import Entrant, Play
from aisc.sandbox.starters import FORMAT
from aisc.victims.classifier_package import Task

SEED: Final = 2021
ATTACKS: Final[dict[str, str]] = {
    "White Noise": "noise",
    "Fast Sign": "fgsm",
    "Iterated Sign": "bim",
    "Projected": "pgd",
    "Inertia": "mi",
    "Impostor": "targeted-pgd",
    "Own Model": "own-pgd",
    "Carlini": "cw",
}
"""What each team's program does; the last one exceeds ε on some images."""
DEFENCES: Final[dict[str, str]] = {
    "Bare": "none",
    "Fast Drill": "fgsm-training",
    "Hard Drill": "pgd-training",
    "Cleaner": "denoising",
    "Soft Focus": "jpeg-blur",
    "Stone Face": "zero",
}
"""The same of the other side; the last one never changes its answer."""
_CONTROLS: Final = {"zero": "safair-constant"}
"""Methods that stand in a kit of their own, by name; the others stand in the kit of their track."""
QUICK: Final = {"attack": ("Own Model", "Carlini"), "defence": ("Bare", "Fast Drill", "Stone Face")}
_NOT_FOR: Final[Mapping[Task, frozenset[str]]] = {"reid": frozenset(), "attributes": frozenset({"targeted-pgd"})}
"""Methods that a task has no use for: the goals of attributes are targets in every method."""


def plays(task: Task) -> tuple[Play, Play]:
    """Give both sides of a task."""
    return _side(task, "attack", ATTACKS), _side(task, "defence", DEFENCES)


def _side(task: Task, side: str, teams: Mapping[str, str]) -> Play:
    track, data = f"{task}-{side}", f"safair/{task}"

    def entrants(stage: str, quick: bool) -> list[Entrant]:
        chosen = QUICK[side] if quick else tuple(teams)
        known = {team: teams[team] for team in chosen if teams[team] not in _NOT_FOR[task]}
        return [
            Entrant(team, f"{stage}-{method}.json", partial(_name_starter, track, method))
            for team, method in known.items()
        ]

    return Play(track, SEED, {data: 24}, {data: 200}, entrants, reviews={}, invented={})


def _name_starter(track: str, method: str, kit: Path, target: Path) -> None:
    named = {"format": FORMAT, "track": _CONTROLS.get(method, track), "name": method}
    target.write_text(json.dumps(named))
