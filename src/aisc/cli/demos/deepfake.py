"""The deepfake track's demo: starters of ours as plain processes, and one that names a kit that does not exist."""

import json
from functools import partial
from pathlib import Path

from aisc.cli.demos.play import Entrant, Play
from aisc.sandbox.starters import FORMAT

TEAMS = {
    "Centre Loss": "centre-spectral",
    "Fused": "fused-novelty",
    "Supervised": "supervised",
    "Untrained": "untrained",
    "Random": "random",
}
MARKS = "team,verdict,mark,note\n" + "".join(
    f"{team},pass,{mark},\n" for team, mark in zip(TEAMS, (0.8, 0.9, 0.6, 0.2, 0.1), strict=True)
)


def entrants(stage: str, quick: bool) -> list[Entrant]:
    """Give the teams of a stage that takes uploads."""
    teams = [Entrant(team, f"{stage}-{name}.json", partial(_name_starter, name)) for team, name in TEAMS.items()]
    return teams if stage == "final" else [*teams, Entrant("No Such Kit", "no-such-kit.json", _break_a_rule)]


def _name_starter(name: str, kit: Path, target: Path) -> None:
    target.write_text(json.dumps({"format": FORMAT, "track": "deepfake", "name": name}))


def _break_a_rule(kit: Path, target: Path) -> None:
    """Name a kit that does not exist."""
    target.write_text(json.dumps({"format": FORMAT, "track": "astrology", "name": "guess"}))


PLAY = Play(
    track="deepfake",
    seed=22,
    sizes={
        "deepfake/training": 40, "deepfake/preliminary": 40, "deepfake/evaluation": 60, "deepfake/final": 60,
    },
    demo_sizes={
        "deepfake/training": 600, "deepfake/preliminary": 300, "deepfake/evaluation": 300, "deepfake/final": 300,
    },
    entrants=entrants,
    reviews={"final": MARKS},
    invented={},
)  # fmt: skip
