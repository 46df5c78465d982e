"""What people see of a patch: some frames of an approach, and a short video of the whole of it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.datasets.scene_packs import ScenePack
from aisc.errors import PlatformError
from aisc.identity import Version
from aisc.leaderboard.bundle import Picture
from aisc.placement.compose import place
from aisc.placement.pyramid import Pyramid

if TYPE_CHECKING:
    from aisc.evaluations.driving_scenes import StageScenes

STRIP_FRAMES: Final = 8
VIDEO_EVERY: Final = 2
"""Every second frame at half the rate: the video is as long as the drive, at half the size."""


def canvas_sheet(pack: ScenePack, canvas: Pyramid, *, title: str, frames: int = 4) -> bytes:
    """Draw a canvas into some frames of a scene, evenly from far to near; gives a PNG."""
    from aisc.victims.detectors_drawing import strip, titled

    numbers = np.linspace(0, len(pack) - 1, frames).astype(int)
    shown = []
    for number in numbers.tolist():
        frame = next(pack.frames(number, number + 1)).copy()
        place(frame, canvas, pack.poses[number])
        shown.append(titled(frame, f"{title}, frame {number + 1}"))
    return _png(strip(shown, columns=2))


def drive(scenes: "StageScenes", version: Version, canvas: Pyramid, name: str, pack: ScenePack) -> dict[str, Picture]:
    """Show an approach to a patch, with the boxes of the one detector that teams have.

    Boxes of a hidden detector are never drawn: frame by frame they would help to copy it (THREATS.md, T22).

    Args:
        scenes: Scenes and detectors of the stage.
        version: The stage's version.
        canvas: The patch.
        name: Begins the names of the files.
        pack: The scene to show.

    Returns:
        ``NAME-strip.png`` and ``NAME.mp4``.
    """
    from aisc.victims.detectors_drawing import draw_detections, strip, titled, write_video

    known = [victim.name for victim in version.victims]
    detector = scenes.detectors[known.index(scenes.limits.shown)] if scenes.limits.shown in known else None
    frames = scenes.frames(pack)
    kept: list[NDArray[np.uint8]] = []
    strip_numbers = set(
        (np.linspace(0, (len(pack) - 1) // VIDEO_EVERY, STRIP_FRAMES).astype(int) * VIDEO_EVERY).tolist()
    )

    def drawn_frames() -> Iterator[NDArray[np.uint8]]:
        """Draw frame by frame: a long drive is never in memory as a whole."""
        for number in range(0, len(pack), VIDEO_EVERY):
            frame = np.array(frames[number])
            if not canvas.empty:
                place(frame, canvas, pack.poses[number])
            drawn = frame if detector is None else draw_detections(frame, detector.detect(frame[None])[0])
            drawn = titled(drawn, f"{pack.name}, frame {number + 1}")
            if number in strip_numbers:
                kept.append(drawn)
            yield drawn

    boxes = f", with the boxes of {scenes.limits.shown}" if detector else ""
    with TemporaryDirectory() as scratch:
        video = Path(scratch, "drive.mp4")
        write_video(video, drawn_frames(), pack.description.size, pack.description.fps / VIDEO_EVERY)
        return {
            f"{name}-strip.png": Picture(_png(strip(kept)), f"frames of {pack.name}, far to near{boxes}"),
            f"{name}.mp4": Picture(video.read_bytes(), f"the approach in {pack.name}{boxes}"),
        }


def _png(picture: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not done:
        raise PlatformError("PICTURE", "OpenCV did not encode a picture as PNG.")
    return encoded.tobytes()
