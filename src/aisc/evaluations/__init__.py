"""How each rulebook is evaluated; :mod:`aisc.evaluations.contract` says what that takes."""

from importlib import import_module
from typing import Final

from aisc.errors import UsageError
from aisc.evaluations.contract import Evaluation

MATCH: Final = "safair-match"
"""Evaluates one defence on one set of pictures, a cell of a tournament; no track is of this rulebook."""

_MODULES = {
    "face-verification-patch": "face",
    "detector-patch": "driving",
    "source-identification": "deepfake",
    "safair-attack": "safair_attack",
    "safair-defence": "safair_defence",
    MATCH: "safair_match",
}
"""Rulebook to module: a step of one track need not import what another one needs."""


def evaluation_of(rules: str) -> Evaluation:
    """Give the evaluation of a rulebook.

    Raises:
        UsageError: ``RULES_UNKNOWN``.
    """
    if rules not in _MODULES:
        raise UsageError("RULES_UNKNOWN", f"There is no rulebook {rules!r}.", f"Name one of: {', '.join(_MODULES)}.")
    found: Evaluation = import_module(f"aisc.evaluations.{_MODULES[rules]}").EVALUATION
    return found
