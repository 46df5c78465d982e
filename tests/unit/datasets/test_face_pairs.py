"""Real pairs come in by the same door: numbered files, or any layout with a listing; nothing half imported."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from aisc.datasets.face_pairs import count_pairs, decode_pairs, import_pairs, open_pairs
from aisc.errors import UsageError


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)


def save(path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path)


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def test_numbered_pairs_keep_every_pixel(tmp_path, target):
    for number in (1, 2):
        save(tmp_path / "real" / f"{number:04d}.png", number)
        save(tmp_path / "real" / f"{number:04d}_compare.png", 10 + number)
    seen = []
    assert import_pairs(tmp_path / "real", target, progress=lambda done, total: seen.append((done, total))) == 2
    assert seen == [(1, 2), (2, 2)]
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    decode_pairs(target, arrays)
    pairs = open_pairs(arrays)
    assert (pairs.originals == np.stack([picture(1), picture(2)])).all()
    assert (pairs.compares == np.stack([picture(11), picture(12)])).all()
    assert json.loads((target / "dataset.json").read_text()) == {
        "format": "face-pairs/1",
        "pairs": 2,
        "recipe": "imported",
        "size": [112, 112],
    }


def test_a_listing_pairs_the_images_of_any_layout(tmp_path, target):
    save(tmp_path / "lfw" / "Ada_L" / "Ada_L_0001.png", 1)
    save(tmp_path / "lfw" / "Alan_T" / "Alan_T_0002.png", 2)
    (tmp_path / "lfw" / "pairs.csv").write_text("original,compare\nAda_L/Ada_L_0001.png,Alan_T/Alan_T_0002.png\n")
    assert import_pairs(tmp_path / "lfw", target) == 1
    assert (cv2.imread(str(target / "0001_compare.png"))[..., ::-1] == picture(2)).all()


@pytest.mark.parametrize(
    ("listing", "code"),
    [
        ("original,compare\n", "PAIRS_EMPTY"),
        ("a,b\nx.png,y.png\n", "PAIRS_LISTING"),
        ("original,compare\n../outside.png,inside.png\n", "PAIRS_LISTING"),
        ("original,compare\nmissing.png,inside.png\n", "PAIRS_LISTING"),
        ("original,compare\nsmall.png,inside.png\n", "PAIRS_IMAGE"),
        ("original,compare\nnotes.txt,inside.png\n", "PAIRS_IMAGE"),
    ],
)
def test_a_wrong_listing_is_named(tmp_path, target, listing, code):
    source = tmp_path / "real"
    save(source / "inside.png", 1)
    save(tmp_path / "outside.png", 2)
    Image.new("RGB", (100, 112)).save(source / "small.png")
    (source / "notes.txt").write_text("no image")
    (source / "pairs.csv").write_text(listing)
    with pytest.raises(UsageError) as error:
        import_pairs(source, target)
    assert error.value.code == code
    assert error.value.remedy


def test_a_gap_in_the_numbers_is_named(tmp_path):
    for name in ("0001.png", "0001_compare.png", "0003.png", "0003_compare.png"):
        save(tmp_path / name, 1)
    with pytest.raises(UsageError, match=r"0002\.png"):
        count_pairs(tmp_path)


def test_a_dataset_is_decoded_by_the_same_strict_reader_as_submissions(tmp_path, target):
    save(target / "0001.png", 1)
    Image.new("RGBA", (112, 112)).save(target / "0001_compare.png")
    with pytest.raises(UsageError, match=r"0001_compare\.png") as error:
        decode_pairs(target, tmp_path)
    assert error.value.code == "PAIRS_IMAGE"
