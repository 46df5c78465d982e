"""Drive through a scene: decode each frame once, put patches into it, ask detectors, count what they see.

Frames stream in small groups, so memory does not grow with their number, and any number of patches share one decoding.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from aisc.datasets.scene_packs import ScenePack
from aisc.placement.compose import place
from aisc.placement.pyramid import Pyramid
from aisc.tracks.driving import DrivingLimits, count_detections
from aisc.victims.detector_package import CLASSES
from aisc.victims.detectors import BATCH, Detector

Progress = Callable[[int, int], None]


def count_scene(
    pack: ScenePack,
    detectors: Sequence[Detector],
    patches: Sequence[Pyramid | None],
    limits: DrivingLimits,
    progress: Progress | None = None,
    frames: NDArray[np.uint8] | None = None,
) -> NDArray[np.int16]:
    """Count the detections that show the target, in every frame of a scene.

    Args:
        pack: The scene.
        detectors: Who is asked.
        patches: Canvases, each put into the scene by itself; ``None`` for the clean scene.
        limits: Says which detections count.
        progress: Called with the number of frames done and all.
        frames: All frames ``(n, h, w, 3)`` where they are decoded already; else the pack's are decoded.

    Returns:
        ``(patches, detectors, frames)`` int16.

    Raises:
        UsageError: SCENE_FRAMES, SCENE_FRAME.
        PlatformError: DETECTOR_INPUT_INVALID, DETECTOR_OUTPUT_INVALID.
    """
    counts = np.zeros((len(patches), len(detectors), len(pack)), np.int16)
    for start, group in _groups(pack.frames() if frames is None else frames):
        for patch_number, patch in enumerate(patches):
            shown = group if patch is None or patch.empty else _patched(group, pack, start, patch)
            for detector_number, detector in enumerate(detectors):
                for offset, seen in enumerate(detector.detect(shown)):
                    counts[patch_number, detector_number, start + offset] = count_detections(
                        seen.boxes, [CLASSES[label] for label in seen.labels], pack.description.target, limits,
                        pack.poses[start + offset].corners,
                    )  # fmt: skip
        if progress is not None:
            progress(start + len(group), len(pack))
    return counts


def patched_frame(pack: ScenePack, number: int, patch: Pyramid | None) -> NDArray[np.uint8]:
    """Give one frame of a scene, ``(h, w, 3)`` uint8 RGB, with a patch put into it."""
    frame = next(pack.frames(number, number + 1)).copy()
    if patch is not None:
        place(frame, patch, pack.poses[number])
    return frame


def _groups(frames: Iterable[NDArray[np.uint8]]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Gather frames in groups; gives the number of each group's first frame, and the frames."""
    numbered = enumerate(frames)
    while group := list(islice(numbered, BATCH)):
        yield group[0][0], np.stack([frame for _, frame in group])


def _patched(frames: NDArray[np.uint8], pack: ScenePack, start: int, patch: Pyramid) -> NDArray[np.uint8]:
    shown = frames.copy()
    for offset, frame in enumerate(shown):
        place(frame, patch, pack.poses[start + offset])
    return shown
