"""The season file: what an organizer writes, read into frozen values or refused with every problem named."""

from aisc.season.model import Season, StageRef, season_digest, season_schema
from aisc.season.reading import Problem, SeasonError, load_season
from aisc.season.stage import Advance, Quota, Stage, Track
from aisc.season.template import TEMPLATE_TRACKS, season_text

__all__ = [
    "TEMPLATE_TRACKS",
    "Advance",
    "Problem",
    "Quota",
    "Season",
    "SeasonError",
    "Stage",
    "StageRef",
    "Track",
    "load_season",
    "season_digest",
    "season_schema",
    "season_text",
]
