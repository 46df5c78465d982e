import numpy as np
import pytest

from aisc.datasets.scene_packs import open_set, verify_set, write_set
from aisc.placement.compose import place
from aisc.placement.geometry import pixel_box
from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.camera import FRAME
from aisc.synthetic.driving.render import render
from aisc.synthetic.driving.scenes import CANVAS, build_scene, example_canvas, make_scene, scene_frames, scene_specs
from aisc.synthetic.driving.things import LABELS

COUNTED = {"truck": {"car", "truck", "bus"}, "mannequin": {"person"}}


def test_five_truck_five_mannequin_and_ten_training_scenes():
    for kind in ("truck", "mannequin"):
        specs = scene_specs(kind)
        assert len(specs) == len({spec.weather for spec in specs}) == 5
        assert {spec.role for spec in specs} == {"scoring"}
    training = scene_specs("training")
    assert len(training) == 10
    assert sum(spec.patched for spec in training) == 5


@pytest.mark.parametrize("kind", ["truck", "mannequin"])
def test_scoring_scenes_show_the_target_alone_and_in_full_view(kind):
    for spec in scene_specs(kind):
        world = build_scene(spec)
        assert [thing.label for thing in world.things if thing.label] == [{"mannequin": "person"}.get(kind, kind)]
        for second in (0.0, 5.0, 239 / 24):
            frame = render(world, second)
            (seen,) = frame.seen
            assert seen.label in COUNTED[kind] <= set(LABELS)
            assert seen.visible > 0.8
            low, high = frame.pose.corners.min(axis=0), frame.pose.corners.max(axis=0)
            assert (low >= 0).all()
            assert (high <= [FRAME[1], FRAME[0]]).all()
            assert seen.box[0] - 1 <= low[0]
            assert high[0] <= seen.box[2] + 1


def test_the_target_comes_nearer_as_a_pinhole_sees_it():
    spec = scene_specs("truck")[0]._replace(yaw=0.0)
    world = build_scene(spec)
    widths = [np.ptp(render(world, k / 24).pose.corners[:, 0]) for k in (0, 120, 239)]
    focal, canvas = 340.0, 2.79
    for number, width in zip((0, 120, 239), widths, strict=True):
        metres = spec.start + (spec.end - spec.start) * number / 239 - 0.01
        assert width == pytest.approx(focal * canvas / metres, rel=1e-6)


def test_a_patch_put_on_afterwards_is_the_patch_rendered_in_place():
    """A pack's corners, light and occluders must tell all that the renderer itself knows.

    Only of what is half transparent, rain and snow, a mask cannot tell the colour.
    """
    for spec, most in (
        (scene_specs("truck")[4], 0.5), (scene_specs("mannequin")[0], 1.0),
        (scene_specs("truck")[3], 4.0), (scene_specs("mannequin")[2], 4.0),
    ):  # fmt: skip
        world = build_scene(spec)
        canvas = example_canvas()
        for second in (1.0, 7.0, 9.8):
            expected = render(world, second, canvas).pixels
            frame = render(world, second)
            place(frame.pixels, canvas, frame.pose)
            left, top, right, bottom = pixel_box(frame.pose.corners, FRAME)
            off = np.abs(expected.astype(int) - frame.pixels)
            assert off[top:bottom, left:right].mean() <= most
            off[top:bottom, left:right] = 0
            assert not off.any()


def test_the_rain_scene_has_occluders():
    world = build_scene(scene_specs("truck")[3])
    shares = [(render(world, k / 8).pose.occlusion > 128).sum() for k in range(24)]
    assert max(shares) > 0


def test_training_twins_differ_on_the_target_alone():
    clean, patched = scene_specs("training")[:2]
    first, pose = next(scene_frames(clean))
    second, twin = next(scene_frames(patched))
    left, top, right, bottom = pixel_box(pose.corners, FRAME)
    assert (pose.corners == twin.corners).all()
    assert (first[top:bottom, left:right] != second[top:bottom, left:right]).any()
    first[top:bottom, left:right] = second[top:bottom, left:right]
    assert (first == second).all()


def test_a_scene_is_the_same_every_time_and_makes_a_valid_pack(tmp_path):
    spec = scene_specs("mannequin")[0]
    for place_ in ("a", "b"):
        make_scene(tmp_path / place_ / spec.name, spec, frames=3)
    files = [(tmp_path / name / spec.name / "scene.json").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]
    write_set(tmp_path / "a")
    (description,) = verify_set(tmp_path / "a")
    assert description.frames == 3
    (pack,) = open_set(tmp_path / "a")
    assert pack.description.classes == ("person",)


def test_the_example_patch_fills_the_canvas():
    canvas = example_canvas()
    assert isinstance(canvas, Pyramid)
    assert canvas.size == CANVAS
    assert canvas.level(1, 1).pixels[..., 3].min() == 255
