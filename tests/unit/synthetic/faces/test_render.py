"""The renderer: the same draw gives the same pixels, and what an attribute says is what the pixels show."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from aisc.synthetic.faces.parameters import ATTRIBUTES, Identity, Shot, attributes
from aisc.synthetic.faces.render import render

PLAIN = Shot.draw(np.random.default_rng(3))._replace(
    yaw=0.0, pitch=0.0, roll=0.0, scale=1.0, shift_x=0.0, shift_y=0.0, smile=0.0, mouth_open=0.0, blink=0.0,
    blur=0.0, grain=0.0, glasses_draw=1.0, hat_draw=1.0, lipstick_draw=1.0, light=0.7, ambient=0.5, light_x=0.0,
)  # fmt: skip
PERSON = Identity.draw(np.random.default_rng(12))._replace(
    beard=0.0, moustache=0.0, bald=0.0, bangs=0.0, hair_length=0.0, freckle=0.0, hairline=0.95,
    hair=(0.2, 0.1, 0.05), skin=(0.8, 0.6, 0.5), eye_height=0.22, mouth_height=-0.76,
)  # fmt: skip

GOLDEN_COLOURS = [
    [145.9, 105.8, 119.7],
    [128.2, 83.7, 54.1],
    [116.9, 121.6, 103.1],
    [132.6, 115.9, 98.0],
    [160.7, 127.4, 103.9],
    [147.7, 119.6, 117.5],
]
GOLDEN_BLOCKS = [
    [144.6, 116.0, 102.5, 92.8],
    [142.0, 162.1, 135.9, 89.3],
    [153.0, 159.1, 119.8, 109.5],
    [157.2, 104.8, 84.4, 108.0],
]


def draw(seed: int, n: int) -> tuple[list[Identity], list[Shot]]:
    rng = np.random.default_rng(seed)
    return [Identity.draw(rng) for _ in range(n)], [Shot.draw(rng) for _ in range(n)]


def changed(before: tuple[Identity, Shot], after: tuple[Identity, Shot]) -> NDArray[np.bool_]:
    """Give the pixels in which two renderings differ by more than a few grey levels."""
    first, second = render([before[0], after[0]], [before[1], after[1]]).astype(int)
    return np.asarray(np.abs(first - second).max(axis=2) > 6)


def rows_and_columns(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_same_draw_gives_the_same_bytes_whatever_is_rendered_beside_it() -> None:
    identities, shots = draw(1, 11)
    together = render(identities, shots)
    assert together.shape == (11, 112, 112, 3)
    assert together.dtype == np.uint8
    alone = np.concatenate([render([i], [s]) for i, s in zip(identities, shots, strict=True)])
    np.testing.assert_array_equal(together, alone)


def test_pictures_look_as_they_did_when_the_networks_were_trained() -> None:
    # Recorded once; a changed renderer must be noticed, for the shipped networks know these faces.
    identities, shots = draw(2022, 6)
    blocks = render(identities, shots).reshape(6, 4, 28, 4, 28, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(blocks.mean(axis=(1, 2)), GOLDEN_COLOURS, atol=1.0)
    np.testing.assert_allclose(blocks[0].mean(axis=2), GOLDEN_BLOCKS, atol=1.5)


def test_pictures_use_the_range_and_are_not_flat() -> None:
    pictures = render(*draw(5, 40)).reshape(40, -1)
    assert (pictures.std(axis=1) > 18).all()
    assert (pictures.max(axis=1) > 120).all()
    assert ((pictures == 255).mean(axis=1) < 0.35).all()


def test_two_people_differ_more_than_grain() -> None:
    identities, _ = draw(6, 12)
    pictures = render(identities, [PLAIN] * 12).astype(int)
    for k in range(11):
        assert np.abs(pictures[k] - pictures[k + 1]).mean() > 4


def test_attributes_are_one_bool_a_name_and_both_values_occur() -> None:
    identities, shots = draw(7, 600)
    table = np.array([attributes(i, s) for i, s in zip(identities, shots, strict=True)])
    assert table.shape == (600, len(ATTRIBUTES))
    assert table.dtype == np.bool_
    share = dict(zip(ATTRIBUTES, table.mean(axis=0), strict=True))
    assert all(0.03 < value < 0.9 for value in share.values()), share


@pytest.mark.parametrize(
    ("name", "identity", "shot", "box"),
    [
        ("eyeglasses", {}, {"glasses_draw": 0.0, "glasses": (0.05, 0.05, 0.05)}, (36, 62, 14, 98)),
        ("hat", {}, {"hat_draw": 0.0, "hat": (0.1, 0.8, 0.1)}, (0, 38, 10, 102)),
        ("smiling", {}, {"smile": 0.9}, (40, 96, 30, 82)),
        ("mouth_open", {}, {"mouth_open": 0.9}, (72, 96, 34, 78)),
        ("lipstick", {}, {"lipstick_draw": 0.0, "lipstick": (0.8, 0.05, 0.1)}, (74, 92, 34, 78)),
        ("beard", {"beard": 0.9}, {}, (48, 111, 8, 104)),
        ("moustache", {"moustache": 0.9}, {}, (66, 86, 34, 78)),
        ("bald", {"bald": 1.0}, {}, (0, 70, 0, 111)),
        ("bangs", {"bangs": 1.0}, {}, (16, 48, 14, 98)),
        ("freckles", {"freckle": 0.9}, {}, (16, 111, 12, 100)),
    ],
)
def test_an_attribute_changes_its_own_place_and_no_other(
    name: str, identity: dict[str, float], shot: dict[str, object], box: tuple[int, int, int, int]
) -> None:
    before = PERSON, PLAIN
    after = PERSON._replace(**identity), PLAIN._replace(**shot)
    flips = attributes(*before) ^ attributes(*after)
    assert [ATTRIBUTES[k] for k in np.flatnonzero(flips)] == [name]
    mask = changed(before, after)
    assert mask.sum() >= 20
    top, bottom, left, right = rows_and_columns(mask)
    assert box[0] <= top
    assert bottom <= box[1]
    assert box[2] <= left
    assert right <= box[3]


def test_blond_hair_is_lighter_and_yellower_than_brown() -> None:
    blond = PERSON._replace(hair=(0.80, 0.64, 0.34), blond=1.0)
    dark, light = render([PERSON, blond], [PLAIN, PLAIN])[:, 8:16, 48:64].astype(float).mean(axis=(1, 2))
    assert light[0] > dark[0] + 40
    assert light[0] - light[2] > 30


def test_pale_skin_is_lighter() -> None:
    rng = np.random.default_rng(8)
    people = [Identity.draw(rng)._replace(bald=1.0, beard=0.0, moustache=0.0, freckle=0.0) for _ in range(60)]
    cheeks = render(people, [PLAIN] * 60)[:, 60:68, 30:38].astype(float).mean(axis=(1, 2, 3))
    pale = np.array([attributes(p, PLAIN)[ATTRIBUTES.index("pale_skin")] for p in people])
    assert cheeks[pale].mean() > cheeks[~pale].mean() + 30


def test_turning_moves_the_nose_and_keeps_the_face_in_place() -> None:
    bright = PLAIN._replace(backdrop=(0.0, 0.0, 0.0), clothes=(0.0, 0.0, 0.0))
    left, right = render([PERSON] * 2, [bright._replace(yaw=-0.4), bright._replace(yaw=0.4)]).astype(int)
    assert np.abs(left - right).mean() > 8
    for picture in (left, right):
        weight = picture.sum(axis=2)[30:100].sum(axis=0)
        middle = float((weight * np.arange(112)).sum() / weight.sum())
        assert 38 < middle < 74


def test_rendering_does_not_import_torch() -> None:
    code = "import sys, aisc.synthetic.faces.pairs; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
