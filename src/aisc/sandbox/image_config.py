"""Judge an image's configuration: what it would make a runtime do (T05)."""

import json
import platform
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aisc.sandbox.image_rules import IMAGE_RULES as RULES
from aisc.sandbox.image_rules import ImageLimits, is_harmless_variable
from aisc.submission.findings import Finding, RuleBrokenError

CONFIG_BYTES: Final = 1 << 20
_MOST_WORDS: Final = 64
_LONGEST_WORD: Final = 4096
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_DIFF_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What a checked configuration says.

    Attributes:
        command: Entry point and its arguments.
        environment: Variables; all harmless.
        working_folder: Where the program starts.
        layers: Digests of the decompressed layers, lowest first.
    """

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_folder: str
    layers: tuple[str, ...]


def architecture() -> str:
    """Name this machine's processor as images do: ``amd64``, ``arm64``."""
    return _MACHINES.get(platform.machine(), platform.machine())


def parsed_object(raw: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object of bounded size.

    Raises:
        RuleBrokenError: ``IMAGE_CONFIG``.
    """
    if len(raw) > CONFIG_BYTES:
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], f"{what} has more than {CONFIG_BYTES} bytes.")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], f"{what} is not JSON.") from error
    if not isinstance(value, dict):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], f"{what} is not a JSON object.")
    return value


def layer_digests(config: dict[str, Any], limits: ImageLimits) -> tuple[str, ...]:
    """Read the list of layers, lowest first.

    Raises:
        RuleBrokenError: ``IMAGE_CONFIG``, ``IMAGE_TOO_MANY_LAYERS``.
    """
    layers = _object(config, "rootfs").get("diff_ids")
    if not isinstance(layers, list) or not layers or not all(_is_digest(layer) for layer in layers):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], "The configuration does not list its layers by SHA-256.")
    if len(layers) > limits.layers:
        raise RuleBrokenError(
            RULES["IMAGE_TOO_MANY_LAYERS"], f"The image has {len(layers)} layers, allowed are {limits.layers}."
        )
    return tuple(layers)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIFF_ID.fullmatch(value) is not None


def config_findings(config: dict[str, Any]) -> Iterator[Finding]:
    """Yield one finding a broken rule."""
    machine = architecture()
    built_for = (config.get("os"), config.get("architecture"))
    if built_for != ("linux", machine):
        yield RULES["IMAGE_PLATFORM"].broken(
            "", f"The image is built for {built_for[0]}/{built_for[1]}, not linux/{machine}."
        )
    run = _object(config, "config")
    yield from _environment_findings(run.get("Env") or [])
    yield from _command_findings(run)
    if run.get("Volumes"):
        yield RULES["IMAGE_VOLUME"].broken("", "The image declares volumes: unsized folders that outlive the run.")
    folder = run.get("WorkingDir") or "/"
    if not isinstance(folder, str) or not _is_plain_path(folder):
        yield RULES["IMAGE_WORKDIR"].broken("", "The working folder is not a plain absolute path.")


def _environment_findings(variables: object) -> Iterator[Finding]:
    if not isinstance(variables, list) or not all(isinstance(v, str) and "=" in v and "\0" not in v for v in variables):
        yield RULES["IMAGE_ENV"].broken("", "The environment is not a list of NAME=value.")
        return
    for variable in variables:
        name = variable.partition("=")[0]
        if not is_harmless_variable(name) or len(variable) > _LONGEST_WORD:
            yield RULES["IMAGE_ENV"].broken(
                ascii(name[:80]), "The image sets a variable that is not on the allow-list."
            )


def _command_findings(run: dict[str, Any]) -> Iterator[Finding]:
    words: list[object] = []
    for key in ("Entrypoint", "Cmd"):
        value = run.get(key) or []
        if not isinstance(value, list):
            yield RULES["IMAGE_ENTRYPOINT"].broken("", f"{key} is not a list.")
            return
        words += value
    if not words or len(words) > _MOST_WORDS:
        yield RULES["IMAGE_ENTRYPOINT"].broken(
            "", f"The command has {len(words)} words, allowed are 1 to {_MOST_WORDS}."
        )
    elif (
        not all(isinstance(word, str) and "\0" not in word and len(word) <= _LONGEST_WORD for word in words)
        or not words[0]
    ):
        yield RULES["IMAGE_ENTRYPOINT"].broken("", "A word of the command is empty, too long, or holds a NUL.")


def read_config(config: dict[str, Any], layers: tuple[str, ...]) -> ImageConfig:
    """Give the parts of a configuration that has no findings."""
    run = _object(config, "config")
    environment = tuple((name, value) for name, _, value in (text.partition("=") for text in run.get("Env") or []))
    command = (*(run.get("Entrypoint") or []), *(run.get("Cmd") or []))
    return ImageConfig(command, environment, run.get("WorkingDir") or "/", layers)


def _object(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    if not isinstance(value, dict):
        raise RuleBrokenError(RULES["IMAGE_CONFIG"], f"The configuration has no `{key}` object.")
    return value


def _is_plain_path(path: str) -> bool:
    return path.startswith("/") and posixpath.normpath(path) == (path.rstrip("/") or "/") and path.isprintable()
