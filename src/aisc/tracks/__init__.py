"""The rulebooks as code: one module a track, readable beside the competition's rules.

A season file names a rulebook by ``rules``; the registry here says which limits that rulebook knows, so that a wrong
limit is found when the season is read and not when the first submission arrives.
"""

from pydantic import BaseModel

from aisc.tracks.deepfake import DeepfakeLimits
from aisc.tracks.driving import DrivingLimits
from aisc.tracks.face import FaceLimits
from aisc.tracks.safair_limits import AttackLimits, DefenceLimits

RULES: dict[str, type[BaseModel]] = {
    "face-verification-patch": FaceLimits,
    "detector-patch": DrivingLimits,
    "source-identification": DeepfakeLimits,
    "safair-attack": AttackLimits,
    "safair-defence": DefenceLimits,
}
