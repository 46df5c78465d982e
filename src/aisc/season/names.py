"""The names that every part of the system agrees on: tracks, stages, and what a name may look like."""

from typing import Annotated

from pydantic import StringConstraints

_AISC = ("preliminary", "evaluation", "final")
_SAFAIR = ("initial", "final")

STAGES: dict[str, tuple[str, ...]] = {
    "face": _AISC,
    "driving": ("preliminary", "judgment", "final"),
    "deepfake": _AISC,
    "reid-attack": _SAFAIR,
    "reid-defence": _SAFAIR,
    "attributes-attack": _SAFAIR,
    "attributes-defence": _SAFAIR,
}
"""The stages of each track in the order they are held; the command line promises these names."""

_PART = "[a-z0-9][a-z0-9._-]{0,62}"

Name = Annotated[str, StringConstraints(pattern=f"^{_PART}$", strict=True)]
"""A season or a victim: safe as a folder, as part of a key and of a URL."""

DataName = Annotated[str, StringConstraints(pattern=f"^{_PART}(/{_PART}){{0,3}}$", strict=True)]
"""A dataset, such as ``faces/pairs``."""
