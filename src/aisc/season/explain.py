"""What pydantic found, in an organizer's words, with what to do about it."""

import difflib
from typing import NamedTuple

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_WHEN = "Write it as 2022-03-01T00:00:00+00:00, or without the offset to mean the season's timezone."
_FIXED: dict[str, tuple[str, str]] = {
    "timezone_unknown": ("", "Name a zone of the IANA list, such as UTC or Asia/Shanghai."),
    "instant_text": ("", _WHEN),
    "instant_date": ("", "Say the time too, so that nobody has to guess which end of the day is meant."),
    "instant_naive": ("", "Add the offset from UTC, or correct the season's timezone."),
    "instant_skipped": ("", "Choose a time before or after the change of the clocks."),
    "registration_order": ("", "Let closes be later than opens."),
    "location_secret": ("", "Keep secrets in the environment: AWS_*, MINIO_* or PGPASSWORD."),
    "location_blank": ("", "Write one path or URL without blanks around it."),
    "store_address": ("", "Use a folder, file:///folder or s3://bucket/prefix."),
    "ledger_address": ("", "Use sqlite:///ledger.db or postgresql+psycopg://host/database."),
    "ledger_memory": ("", "Use a file: sqlite:///ledger.db."),
    "model_type": ("a mapping of names to values is expected", "Indent 'name: value' lines below it."),
    "model_attributes_type": ("a mapping of names to values is expected", "Indent 'name: value' lines below it."),
    "dict_type": ("a mapping of names to values is expected", "Indent 'name: value' lines below it."),
    "tuple_type": ("a list is expected", "Write [a, b, c]."),
    "list_type": ("a list is expected", "Write [a, b, c]."),
    "too_short": ("at least one entry is expected", "Add one."),
}


class Explained(NamedTuple):
    """A clause without a full stop, and a sentence."""

    message: str
    remedy: str


def explain(error: ErrorDetails, model: type[BaseModel] | None) -> Explained:
    """Put one pydantic error into words.

    Args:
        error: An item of ``ValidationError.errors()``.
        model: The model whose field was wrong, for suggestions; None where there is no model.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind in _FIXED:
        message, remedy = _FIXED[kind]
        return Explained(message or error["msg"], remedy)
    if kind == "missing":
        return Explained(f"'{error['loc'][-1]}' is missing", "Add it.")
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), model)
    if kind == "instant_twice":
        return Explained(error["msg"], f"Write which one is meant: {context['offsets']}.")
    if kind == "literal_error":
        return Explained(f"{_shown(error['input'])} is not one of the choices", f"Write {context['expected']}.")
    if kind == "string_pattern_mismatch":
        remedy = f"Use a-z, 0-9, '.', '-' and '_', as in {context['pattern']}."
        return Explained(f"{_shown(error['input'])} is not a name that is allowed here", remedy)
    if kind == "string_type":
        return Explained(f"{_shown(error['input'])} is not text", "Put it in quotes if it is meant to be a name.")
    if kind in ("int_type", "int_from_float", "int_parsing"):
        return Explained(f"{_shown(error['input'])} is not a whole number", "Write digits, without quotes or a point.")
    return Explained(f"{_shown(error['input'])} is wrong", f"{error['msg'].rstrip('.')}.")


def suggest(word: str, known: list[str]) -> str:
    """Give a remedy for an unknown word: the closest known one, else all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(known)}."


def _unknown_key(key: str, model: type[BaseModel] | None) -> Explained:
    known = list(model.model_fields) if model is not None else []
    return Explained(f"'{key}' is not known here", suggest(key, known) if known else "Remove it.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
