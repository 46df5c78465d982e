"""Seasons in the store: a round is started with a season's digest, so that nothing can move under it."""

import json

from aisc.season import Season
from aisc.store import blob_key, put_blob
from aisc.workbench import Workbench


def save(bench: Workbench, season: Season) -> str:
    """Put a season into the store and give the digest of its JSON; the order of stages is part of it."""
    return put_blob(bench.store, json.dumps(season.model_dump(mode="json")).encode()).sha256


def load(bench: Workbench, digest: str) -> Season:
    """Give the season of that digest."""
    return Season.model_validate(json.loads(bench.store.read(blob_key(digest))))
