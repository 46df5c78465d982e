import numpy as np
import pytest

from aisc.errors import UsageError
from aisc.placement.compose import place
from aisc.placement.geometry import apply_homographies, pixel_box, quad_homographies
from aisc.placement.light import FacePose, plain_pose
from aisc.placement.pyramid import Pyramid
from aisc.placement.reference import place_reference


def corners_of(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def turned(rng, width, height, middle):
    """Give a random convex quadrilateral, turned and in perspective."""
    base = corners_of(-width / 2, -height / 2, width / 2, height / 2)
    base = base + rng.uniform(-0.14, 0.14, (4, 2)) * [width, height]
    angle = rng.uniform(-0.5, 0.5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return base @ turn.T + middle + rng.uniform(0, 1, 2)


def blocks(rng, size, side):
    coarse = rng.integers(0, 2, (-(-size[0] // side), -(-size[1] // side), 3), dtype=np.uint8) * 255
    return np.kron(coarse, np.ones((side, side, 1), np.uint8))[: size[0], : size[1]]


def busy_pose(rng, corners):
    gain = rng.uniform(0.4, 1.2, (3, 5, 3)).astype(np.float32)
    haze = rng.uniform(0, 40, 3).astype(np.float32)
    return FacePose(corners, gain, haze, (10, 6, 20, 24), rng.integers(0, 256, (18, 10), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["noise", "blocks", "white"])
@pytest.mark.parametrize("seed", range(3))
def test_placement_agrees_with_supersampling_for_random_homographies(kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    size = (420, 930)
    rgb = {
        "noise": lambda: rng.integers(0, 256, (*size, 3), dtype=np.uint8),
        "blocks": lambda: blocks(rng, size, 37),
        "white": lambda: np.full((*size, 3), 255, np.uint8),
    }[kind]()
    mask = np.zeros(size, bool)
    mask[30:400, 20:900] = True
    mask[150:230, 300:500] = False
    frame = rng.integers(0, 256, (26, 36, 3), dtype=np.uint8)
    width = (18, 22, 28)[seed]
    pose = busy_pose(rng, turned(rng, width, width * 0.5, (17, 12)))
    expected = place_reference(frame, rgb, mask, pose, samples=48)
    found = frame.copy()
    place(found, Pyramid(rgb, mask), pose)
    off = np.abs(found.astype(int) - expected)
    touched = (found != frame).any(axis=2) | (expected != frame).any(axis=2)
    assert off[touched].mean() <= 1
    assert off.max() <= 4


def test_placement_is_exact_on_an_axis_aligned_face():
    rng = np.random.default_rng(1)
    # Every frame pixel sees one colour of the canvas: the worst case for a filter that blurs, all edges on borders.
    colours = rng.integers(88, 168, (10, 15, 3), dtype=np.uint8)
    canvas = Pyramid(np.repeat(np.repeat(colours, 84, axis=0), 186, axis=1), np.ones((840, 2790), bool))
    frame = np.full((30, 40, 3), 128, np.uint8)
    place(frame, canvas, plain_pose(corners_of(5, 4, 20, 14)))
    off = np.abs(frame[4:14, 5:20].astype(int) - colours)
    assert off.mean() <= 1
    assert off.max() <= 4
    frame[4:14, 5:20] = 128
    assert (frame == 128).all()


def test_a_wide_canvas_seen_small_does_not_alias():
    y, x = np.mgrid[0:1260, 0:2790]
    stripes = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    frame = np.zeros((40, 60, 3), np.uint8)
    place(frame, Pyramid(stripes, np.ones((1260, 2790), bool)), plain_pose(corners_of(10.3, 10.1, 30.6, 19.4)))
    assert np.abs(frame[12:18, 13:28].astype(int) - 127).max() <= 2


def test_only_the_region_of_interest_is_touched():
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    before = frame.copy()
    corners = turned(rng, 30, 14, (40, 30))
    place(frame, Pyramid(np.zeros((63, 140, 3), np.uint8), np.ones((63, 140), bool)), plain_pose(corners))
    left, top, right, bottom = pixel_box(corners, (60, 80))
    before[top:bottom, left:right] = frame[top:bottom, left:right]
    assert (frame == before).all()


def test_an_empty_mask_changes_nothing():
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    before = frame.copy()
    canvas = Pyramid(rng.integers(0, 256, (63, 140, 3), dtype=np.uint8), np.zeros((63, 140), bool))
    coverage = place(frame, canvas, busy_pose(rng, turned(rng, 30, 14, (40, 30))))
    assert canvas.empty
    assert (frame == before).all()
    assert not coverage.any()


def test_what_an_occluder_hides_keeps_its_pixels():
    frame = np.full((40, 60, 3), 90, np.uint8)
    pose = plain_pose(corners_of(10, 10, 40, 30))._replace(
        occlusion_box=(15, 5, 25, 35), occlusion=np.full((30, 10), 255, np.uint8)
    )
    coverage = place(frame, Pyramid(np.zeros((63, 140, 3), np.uint8), np.ones((63, 140), bool)), pose)
    assert (frame[10:30, 15:25] == 90).all()
    assert (frame[11:29, 26:39] == 0).all()
    assert not coverage[:, 5:15].any()


def test_light_and_haze_are_applied():
    frame = np.zeros((40, 60, 3), np.uint8)
    gain = np.array([[[0.5, 1.0, 2.0]]], np.float32)
    pose = plain_pose(corners_of(10, 10, 40, 30))._replace(gain=gain, haze=np.array([10, 0, 30], np.float32))
    place(frame, Pyramid(np.full((63, 140, 3), 100, np.uint8), np.ones((63, 140), bool)), pose)
    assert (np.abs(frame[12:28, 12:38].astype(int) - [60, 100, 230]) <= 1).all()


def test_a_face_partly_out_of_view_is_cut():
    whole, cut = np.zeros((80, 120, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)
    rgb = np.random.default_rng(4).integers(0, 256, (126, 279, 3), dtype=np.uint8)
    canvas = Pyramid(rgb, np.ones((126, 279), bool))
    place(whole, canvas, plain_pose(corners_of(30, 25, 90, 52)))
    place(cut, canvas, plain_pose(corners_of(30, 25, 90, 52)))
    assert np.abs(whole[:40, :60].astype(int) - cut).max() <= 3  # the cut face is smaller: more samples
    place(cut, canvas, plain_pose(corners_of(300, 250, 390, 300)))


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0], [0, 10], [10, 10], [10, 0]],
        [[0, 0], [10, 0], [5, 2], [0, 10]],
        [[0, 0], [10, 0], [10, 10], [np.nan, 10]],
        [[5, 5], [5, 5], [5, 5], [5, 5]],
    ],
    ids=["mirrored", "not convex", "NaN", "a point"],
)
def test_corners_that_no_face_has_are_refused(corners):
    with pytest.raises(UsageError) as caught:
        quad_homographies(np.array([corners], float), (100, 100))
    assert caught.value.code == "PLACEMENT_CORNERS"


def test_homographies_map_corners_and_never_give_nan():
    rng = np.random.default_rng(5)
    corners = np.stack([turned(rng, 50, 30, (60, 50)) for _ in range(20)])
    matrices = quad_homographies(corners, (1260, 2790))
    mapped = apply_homographies(matrices, np.array([[0, 0], [2790, 0], [2790, 1260], [0, 1260]], float))
    assert np.allclose(mapped, corners)
    far = apply_homographies(matrices, rng.uniform(-1e7, 1e7, (500, 2)))
    assert np.isfinite(far).all()
