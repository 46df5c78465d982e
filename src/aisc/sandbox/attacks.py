"""The programs of the hostile corpus, as their headers describe them; :mod:`aisc.sandbox.corpus` tries them."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from aisc.sandbox.contract import MIB, Limits, Verdict

WALL_SECONDS: Final = 60.0
"""For programs that end by themselves, on a busy machine too."""
_HEADER_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Attack:
    """One program of the corpus.

    Attributes:
        name: File name without its ending.
        source: The file.
        attack: What it tries, in words.
        threats: Rows of the threat table.
        expect: The verdict that it must get.
        wall_seconds: Time limit of its run; longer on a machine that starts programs slowly.
        pair: Whether a writer and a reader run at the same time; nothing may pass between them.
        collect: Files that must be collected; ``None`` if it does not matter.
    """

    name: str
    source: Path
    attack: str
    threats: tuple[str, ...]
    expect: Verdict
    wall_seconds: float = WALL_SECONDS
    pair: bool = False
    collect: tuple[str, ...] | None = None


def read_corpus() -> tuple[Attack, ...]:
    """Read the programs that come with the package, in the order of their names."""
    folder = Path(str(resources.files("aisc.sandbox") / "corpus_programs"))
    return tuple(read_attack(path) for path in sorted(folder.iterdir()) if path.suffix in (".sh", ".c"))


def read_attack(path: Path) -> Attack:
    """Read a program's header: lines ``# key: value``, or ``// key: value`` in C.

    Raises:
        ValueError: A key is missing or unknown.
    """
    header: dict[str, str] = {}
    for line in path.read_text().splitlines()[:_HEADER_LINES]:
        mark, _, rest = line.partition(" ")
        key, colon, value = rest.partition(": ")
        if mark in ("#", "//") and colon:
            header[key] = value.strip()
    unknown = set(header) - {"attack", "threat", "expect", "wall", "pair", "collect"}
    if unknown or not {"attack", "threat", "expect"} <= set(header):
        raise ValueError(f"{path.name}: the header lacks attack, threat or expect, or has unknown keys {unknown}.")
    collect = header.get("collect")
    return Attack(
        name=path.stem,
        source=path,
        attack=header["attack"],
        threats=tuple(header["threat"].split()),
        expect=Verdict(header["expect"]),
        wall_seconds=float(header.get("wall", WALL_SECONDS)),
        pair=header.get("pair") == "yes",
        collect=None if collect is None else tuple(collect.replace("none", "").split()),
    )


def corpus_limits(wall_seconds: float) -> Limits:
    """Give the small limits that the corpus is written for."""
    return Limits(
        wall_seconds=wall_seconds,
        memory_bytes=96 * MIB,
        processes=32,
        tmp_bytes=8 * MIB,
        shm_bytes=8 * MIB,
        output_bytes=8 * MIB,
        output_files=8,
        log_bytes=64 << 10,
    )
