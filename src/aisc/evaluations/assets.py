"""The dataset of a stage's version."""

from aisc.errors import PlatformError
from aisc.identity import Asset, Version


def stage_data(version: Version) -> Asset:
    """Give the hidden dataset that a version is bound to; raises ``DATA_MISSING``."""
    if version.data is None:
        raise PlatformError("DATA_MISSING", "The stage has no dataset.", "Name one in the season file.")
    return version.data
