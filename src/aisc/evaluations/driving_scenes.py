"""What every submission of a driving stage is shown in: opened scenes, decoded frames, and what is seen when clean."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.scene_packs import ScenePack, open_set
from aisc.errors import PlatformError
from aisc.evaluations.assets import stage_data
from aisc.identity import Asset, Version
from aisc.tracks.driving import DrivingLimits
from aisc.tracks.driving_counting import count_scene
from aisc.victims.detectors import Detector
from aisc.workbench import Workbench


class StageScenes:
    """The scenes and detectors of a stage's version.

    Args:
        bench: Ledger, store and cache.
        version: The stage's version.
    """

    def __init__(self, bench: Workbench, version: Version) -> None:
        self._bench = bench
        self._version = version
        self._data = stage_data(version)
        self.limits = DrivingLimits.model_validate(version.limits)
        self.packs = open_set(bench.asset(self._data))
        strangers = [pack.name for pack in self.packs if pack.description.role != "scoring" or pack.description.patched]
        if strangers:
            raise PlatformError(
                "SCENES_NOT_FOR_SCORING",
                f"{self._data.name} holds {', '.join(strangers)}: scoring scenes show the bare target alone.",
                "Register a set of scoring scenes under this name and rescore.",
            )
        names = [pack.name for pack in self.packs]
        if len(set(names)) < len(names):
            # Results are kept by scene: one of the two would be given the other's.
            raise PlatformError(
                "SCENE_NAMED_TWICE",
                f"{self._data.name} holds two scenes named {max(names, key=names.count)}.",
                "Give every scene a name of its own, register the set and rescore.",
            )

    @cached_property
    def detectors(self) -> list[Detector]:
        """The stage's detectors, opened when first asked for."""
        return [self._bench.victims.open_detector(self._bench.asset(victim)) for victim in self._version.victims]

    def of(self, target: str) -> list[ScenePack]:
        """Give the scenes that show a target, by name."""
        found = [pack for pack in self.packs if pack.description.target == target]
        if not found:
            raise PlatformError(
                "SCENES_MISSING", f"{self._data.name} holds no scene with a {target}.", "Add some and rescore."
            )
        return found

    def frames(self, pack: ScenePack) -> NDArray[np.uint8]:
        """Give all frames of a scene ``(n, h, w, 3)``, decoded once a machine and mapped from its cache."""

        def decode(folder: Path) -> None:
            shape = (len(pack), *pack.description.size, 3)
            stack = np.lib.format.open_memmap(folder / "frames.npy", mode="w+", dtype=np.uint8, shape=shape)
            for number, frame in enumerate(pack.frames()):
                stack[number] = frame
            stack.flush()

        folder = self._bench.cached(f"frames-{pack.description.files['frames.tar']}", decode)
        frames: NDArray[np.uint8] = np.load(folder / "frames.npy", mmap_mode="r")
        return frames

    def clean(self, pack: ScenePack) -> NDArray[np.int16]:
        """Give what every detector counts in every frame of the bare scene, ``(detectors, frames)``; once a stage."""
        rows = [self._clean(pack, number, victim) for number, victim in enumerate(self._version.victims)]
        return np.stack(rows)

    def _clean(self, pack: ScenePack, number: int, victim: Asset) -> NDArray[np.int16]:
        def make(target: Path) -> None:
            counts = count_scene(pack, [self.detectors[number]], [None], self.limits, frames=self.frames(pack))
            with target.open("wb") as file:
                np.save(file, counts[0, 0])

        inputs = {
            "scene": json.dumps(pack.description.files, sort_keys=True), "victim": victim.sha256,
            "detections": self.limits.detections, "code": self._version.code,
        }  # fmt: skip
        counts: NDArray[np.int16] = np.load(self._bench.derived("clean.npy", inputs, make))
        return counts
