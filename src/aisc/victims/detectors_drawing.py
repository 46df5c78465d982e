"""Show what a detector saw: frames with boxes, side by side or as a short video."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError
from aisc.victims.detector_package import CLASSES
from aisc.victims.detectors import Detections

_COLOURS: Final = ((74, 144, 226), (240, 120, 40), (150, 90, 200), (60, 170, 90))
_GAP: Final = 4
_STRIP: Final = 18


def draw_detections(frame: NDArray[np.uint8], seen: Detections, title: str = "") -> NDArray[np.uint8]:
    """Give a copy of a frame ``(h, w, 3)`` uint8 RGB with boxes, classes and confidences drawn."""
    drawn = np.ascontiguousarray(frame).copy()
    for box, label, score in zip(seen.boxes, seen.labels, seen.scores, strict=True):
        left, top, right, bottom = (round(float(value)) for value in box)
        colour = _COLOURS[int(label)]
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 1)
        text = f"{CLASSES[int(label)]} {score:.2f}"
        cv2.putText(drawn, text, (left, max(top - 3, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.34, colour, 1, cv2.LINE_AA)
    return titled(drawn, title) if title else drawn


def titled(frame: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    """Give a copy of a frame ``(h, w, 3)`` uint8 RGB with a line of text on a dark strip at its top."""
    drawn = np.ascontiguousarray(frame).copy()
    drawn[:_STRIP] //= 3
    cv2.putText(drawn, title, (6, _STRIP - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn


def strip(frames: Sequence[NDArray[np.uint8]], columns: int = 4) -> NDArray[np.uint8]:
    """Lay frames of one size out in rows."""
    height, width = frames[0].shape[:2]
    rows = -(-len(frames) // columns)
    columns = min(columns, len(frames))
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for number, frame in enumerate(frames):
        top, left = (number // columns) * (height + _GAP), (number % columns) * (width + _GAP)
        sheet[top : top + height, left : left + width] = frame
    return sheet


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: float) -> None:
    """Write RGB frames of ``size`` (height, width) as an MP4.

    Raises:
        PlatformError: VIDEO_WRITER when OpenCV has no encoder.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (size[1], size[0]))
    if not writer.isOpened():
        raise PlatformError("VIDEO_WRITER", f"{path}: OpenCV cannot write MP4 here.", "Install opencv with FFmpeg.")
    try:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
    finally:
        writer.release()
