"""The shape of a track's demo, and how a starter script is run as a participant would."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from aisc.errors import PlatformError

Maker = Callable[[Path, Path], None]
"""Makes a submission: folder of the participants' kit, file to write."""


class Entrant(NamedTuple):
    """One team in one stage.

    Attributes:
        team: Its name.
        file: Name of its submission, by which a second call finds it.
        make: Makes it.
    """

    team: str
    file: str
    make: Maker


class Play(NamedTuple):
    """The demo of a track.

    Attributes:
        track: The track.
        seed: Of all its datasets, so that the demo's figures can be had again.
        sizes: Size of each dataset, in the unit of its recipe, for the quickest demo; others have the recipe's own.
        demo_sizes: The same for the usual demo, where the recipe's own size takes too long.
        entrants: Who sends what to each stage that takes uploads, by the stage's name.
        reviews: What the experts enter, CSV by the stage's name.
        invented: Stages whose results nobody can compute here, and why.
    """

    track: str
    seed: int
    sizes: Mapping[str, int]
    demo_sizes: Mapping[str, int]
    entrants: Callable[[str, bool], list[Entrant]]
    reviews: Mapping[str, str]
    invented: Mapping[str, str]


def run_starter(kit: Path, *words: str) -> None:
    """Run the starter script of a kit as a participant does, on one thread.

    Raises:
        PlatformError: ``STARTER_FAILED``.
    """
    done = subprocess.run(  # noqa: S603 - our own starter kit
        [sys.executable, str(kit / "starter" / "attack.py"), str(kit), "--threads", "1", *words],
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode != 0:
        raise PlatformError(
            "STARTER_FAILED", f"The starter ended with {done.returncode}: {' '.join(words)}.", "Read above."
        )
