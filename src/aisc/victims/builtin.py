"""The victims that ship with aisc: where their packages lie."""

from pathlib import Path

import aisc
from aisc.errors import UsageError
from aisc.victims.package import DESCRIPTION

_MODELS = Path(aisc.__file__).parent / "synthetic" / "models"


def builtin_names() -> list[str]:
    """List the shipped victims and surrogates in alphabetical order."""
    return sorted(path.parent.name for path in _MODELS.glob(f"*/{DESCRIPTION}"))


def surrogate_packages() -> list[Path]:
    """Give the folders of the networks that participants may attack in the open."""
    return [builtin_package(name) for name in builtin_names() if name.startswith("surrogate-")]


def builtin_package(name: str) -> Path:
    """Give the folder of a shipped package.

    Raises:
        UsageError: VICTIM_UNKNOWN.
    """
    if name not in builtin_names():
        raise UsageError(
            "VICTIM_UNKNOWN",
            f"no victim named {name!r} ships with aisc.",
            f"Use one of {', '.join(builtin_names())}, or the path of a victim's folder.",
        )
    return _MODELS / name
