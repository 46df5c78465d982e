"""The models that ship with aisc: where their packages lie, and which kind each is."""

from pathlib import Path
from typing import Final

import aisc
from aisc.errors import UsageError

_MODELS: Final = Path(aisc.__file__).parent / "synthetic" / "models"
KINDS: Final = {"victim.json": "verifier", "detector.json": "detector", "classifier.json": "classifier"}
"""Kind of a model by the name of its description, the file that makes a folder a package."""


def kind_of(folder: Path) -> str:
    """Tell which kind of model a package holds; raises ``VICTIM_MISSING`` for a folder that is none."""
    for description, kind in KINDS.items():
        if (folder / description).is_file():
            return kind
    raise UsageError(
        "VICTIM_MISSING",
        f"{folder} is no model's package.",
        f"A package holds {' or '.join(KINDS)} beside its weights; shipped are {', '.join(builtin_names())}.",
    )


def builtin_names(*kinds: str) -> list[str]:
    """List the shipped models in alphabetical order, of some kinds only where any is named."""
    found = [path.parent for path in _MODELS.glob("*/*.json") if path.name in KINDS]
    return sorted(path.name for path in found if not kinds or kind_of(path) in kinds)


def builtin_package(name: str) -> Path:
    """Give the folder of a shipped package.

    Raises:
        UsageError: VICTIM_UNKNOWN.
    """
    if name not in builtin_names():
        raise UsageError(
            "VICTIM_UNKNOWN",
            f"no model named {name!r} ships with aisc.",
            f"Use one of {', '.join(builtin_names())}, or the path of a package.",
        )
    return _MODELS / name
