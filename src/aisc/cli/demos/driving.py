"""The driving track's demo: two crafted patches, two controls of the same area, and a mask in six pieces."""

import zipfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from aisc.cli.demos.play import Entrant, Play, run_starter
from aisc.submission.canvases import CANVAS_SIZE

TEAMS = {
    "Pinhole": ("pinhole-class", "450"),
    "Objectness": ("momentum-objectness", "300"),
    "Noise": ("noise", "0"),
    "Grey": ("grey", "0"),
}
"""What each team runs, and for how many steps."""
VERDICTS = "team,verdict,mark,note\nPinhole,pass,0.9,\nObjectness,pass,0.8,\nNoise,pass,0.2,\nGrey,pass,0.1,\n"


def entrants(stage: str, quick: bool) -> list[Entrant]:
    """Give the teams of a stage that takes uploads; in the final each sends four canvases."""
    teams = [
        Entrant(team, f"{stage}-{method}.zip", partial(_attack, method, "2" if quick else steps))
        for team, (method, steps) in TEAMS.items()
    ]
    return teams if stage == "final" else [*teams, Entrant("Six Pieces", "six-pieces.zip", _break_a_rule)]


def _attack(method: str, steps: str, kit: Path, target: Path) -> None:
    run_starter(kit, "--method", method, "--out", str(target), "--steps", steps)


def _break_a_rule(kit: Path, target: Path) -> None:
    """Submit a mask in six pieces, one more than the rules allow."""
    canvas = np.zeros((*CANVAS_SIZE, 4), np.uint8)
    for piece in range(6):
        canvas[200:600, 100 + 400 * piece : 400 + 400 * piece] = 255
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("truck.png", cv2.imencode(".png", canvas)[1].tobytes())


PLAY = Play(
    track="driving",
    seed=2022,
    sizes=dict.fromkeys(("driving/truck", "driving/training", "driving/final"), 8),
    demo_sizes={"driving/final": 80},
    entrants=entrants,
    reviews={"judgment": VERDICTS},
    invented={},
)
