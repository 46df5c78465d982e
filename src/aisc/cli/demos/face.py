"""The face track's demo: three attacks on the surrogates, and a zip that breaks a rule."""

import zipfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from aisc.cli.demos.play import Entrant, Play, run_starter

TEAMS = {"Rectangle": "rectangle", "Momentum": "mi", "Ensemble": "ensemble"}
VERDICTS = "team,verdict,note\n" + "".join(f"{team},pass,\n" for team in TEAMS)
# Invented: nobody can hold a patch before a camera here. Two teams tie, one patch is too large.
PHYSICAL = "team,targets,deceived,area_cm2,liveness\nEnsemble,10,10,58,passed\nMomentum,10,10,60,passed\n"
PHYSICAL += "Rectangle,10,3,75,passed\n"


def entrants(stage: str, quick: bool) -> list[Entrant]:
    """Give the teams of the preliminary, the only stage that takes uploads."""
    teams = [Entrant(team, f"{attack}.zip", partial(_attack, attack)) for team, attack in TEAMS.items()]
    return [*teams, Entrant("Sixteen Bits", "sixteen-bits.zip", _break_a_rule)]


def _attack(attack: str, kit: Path, target: Path) -> None:
    run_starter(kit, "--attack", attack, "--out", str(target))


def _break_a_rule(kit: Path, target: Path) -> None:
    """Submit the originals, one of them with 16 bits a channel: what a refusal looks like."""
    names = sorted(path for path in (kit / "pairs").glob("*.png") if not path.stem.endswith("_compare"))
    with zipfile.ZipFile(target, "w") as archive:
        for path in names[1:]:
            archive.write(path, path.name)
        deep = np.asarray(cv2.imread(str(names[0]))).astype(np.uint16) * 257
        archive.writestr(names[0].name, cv2.imencode(".png", deep)[1].tobytes())


PLAY = Play(
    track="face",
    seed=0,
    sizes={"faces/pairs": 8},
    demo_sizes={"faces/pairs": 300},
    entrants=entrants,
    reviews={"evaluation": VERDICTS, "final": PHYSICAL},
    invented={"final": "no camera here"},
)
