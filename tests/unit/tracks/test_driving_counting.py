import numpy as np
import pytest

from aisc.datasets.scene_packs import open_scene
from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.scenes import CANVAS, make_scene, scene_specs
from aisc.tracks.driving import DrivingLimits
from aisc.tracks.driving_counting import count_scene, patched_frame
from aisc.victims.detectors import Detections
from aisc.victims.detectors_drawing import draw_detections, strip, write_video

BOX = np.array([[150, 60, 250, 160]], np.float32)


class _Brightness:
    """Sees a truck wherever the frame's middle is not black; counts the frames that it is shown."""

    description = None

    def __init__(self) -> None:
        self.shown = 0

    def detect(self, frames):
        self.shown += len(frames)
        found = [int(frame[100:120, 200:216].mean() > 30) for frame in frames]
        return [Detections(BOX[:k], np.array([1][:k], np.int64), np.array([0.9][:k], np.float32)) for k in found]


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene") / "truck"
    make_scene(folder, scene_specs("truck")[0]._replace(start=10.0), frames=11)
    return open_scene(folder)


def test_patches_share_the_frames_and_a_black_one_hides(pack):
    detectors = [_Brightness(), _Brightness()]
    black = Pyramid(np.zeros((*CANVAS, 3), np.uint8), np.ones(CANVAS, bool))
    empty = Pyramid(np.zeros((*CANVAS, 3), np.uint8), np.zeros(CANVAS, bool))
    steps = []
    counts = count_scene(pack, detectors, [None, black, empty], DrivingLimits(), lambda done, of: steps.append(done))
    assert counts.shape == (3, 2, 11)
    assert (counts[0] == 1).all()
    assert (counts[1] == 0).all()
    assert (counts[2] == 1).all()
    assert [one.shown for one in detectors] == [33, 33]
    assert steps == [8, 11]


def test_one_patched_frame_can_be_shown(pack, tmp_path):
    black = Pyramid(np.zeros((*CANVAS, 3), np.uint8), np.ones(CANVAS, bool))
    frame = patched_frame(pack, 10, black)
    assert frame[100:120, 200:216].mean() < 30
    drawn = draw_detections(frame, Detections(BOX, np.array([1]), np.array([0.9], np.float32)), "black")
    assert drawn.shape == frame.shape
    assert (drawn != frame).any()
    assert strip([frame, drawn, frame], 2).shape == (2 * 256 + 4, 2 * 416 + 4, 3)
    write_video(tmp_path / "a.mp4", [frame, drawn], (256, 416), 24)
    assert (tmp_path / "a.mp4").stat().st_size > 1000
