"""Rule 7, one image at a time: what is spoiled is skipped and named, never repaired, and spoils nothing else."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aisc.attacks.epsilon import EPSILON
from aisc.submission.altered_images import (
    ALTERED_RULES,
    Outcome,
    is_counted,
    judge_pixels,
    read_altered,
)

SIDE = 20
NAMES = ["0001.png", "0002.png", "0003.png"]
PAGE = Path(__file__).parents[3] / "docs" / "formats" / "safair-attack.md"


@pytest.fixture
def originals():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def shifted(image, by):
    """Change each channel by up to `by` grey levels, away from the end of the range."""
    return np.where(image < 128, image + np.uint8(by), image - np.uint8(by)).astype(np.uint8)


def png(array, form="PNG", mode=None):
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, form)
    return buffer.getvalue()


def read(folder, originals, epsilon=EPSILON, progress=None):
    out = np.full_like(originals, 77)
    return read_altered(folder, NAMES, originals, out, epsilon=epsilon, progress=progress), out


def write_all(folder, images):
    for name, image in zip(NAMES, images, strict=True):
        (folder / name).write_bytes(png(image))


def test_images_within_epsilon_are_taken_pixel_for_pixel(tmp_path, originals):
    altered = shifted(originals, EPSILON)
    write_all(tmp_path, altered)
    seen = []
    report, out = read(tmp_path, originals, progress=lambda done, total: seen.append((done, total)))
    assert (out == altered).all()
    assert report.counts.all()
    assert report.changes.tolist() == [8, 8, 8]
    assert not report.findings.listed
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_one_channel_value_over_epsilon_skips_the_image_and_is_never_clipped(tmp_path, originals):
    altered = shifted(originals, EPSILON)
    altered[1, 3, 4, 2] = shifted(originals, 9)[1, 3, 4, 2]
    write_all(tmp_path, altered)
    report, out = read(tmp_path, originals)
    assert report.outcomes.tolist() == [Outcome.OK, Outcome.OVER_EPSILON, Outcome.OK]
    assert (out[1] == originals[1]).all()
    assert (out[[0, 2]] == altered[[0, 2]]).all()
    (finding,) = report.findings.listed
    assert (finding.code, finding.where, finding.effect) == ("ALTERED_OVER_EPSILON", "0002.png", "failed")
    assert finding.message.startswith("1 of 1200 channel values")
    assert report.changes.tolist() == [8, 9, 8]


def test_a_change_does_not_wrap_around_the_range(originals):
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert judge_pixels(black, white)[:2] == (Outcome.OVER_EPSILON, 255)
    assert judge_pixels(white, black)[:2] == (Outcome.OVER_EPSILON, 255)
    assert judge_pixels(white, white - np.uint8(8)).outcome == Outcome.OK


def test_the_outcome_equals_a_loop_over_plain_numbers():
    rng = np.random.default_rng(5)
    for _ in range(200):
        original = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        altered = np.clip(original + rng.integers(-9, 10, (3, 3, 3)), 0, 255).astype(np.uint8)
        gaps = [abs(int(a) - int(b)) for a, b in zip(original.ravel(), altered.ravel(), strict=True)]
        expected = Outcome.OVER_EPSILON if max(gaps) > 8 else Outcome.OK if max(gaps) else Outcome.UNCHANGED
        assert judge_pixels(original, altered)[:2] == (expected, max(gaps))


@pytest.mark.parametrize(
    ("altered", "outcome"),
    [
        (lambda o: o.astype(np.float32), Outcome.FORMAT),
        (lambda o: o / 255, Outcome.FORMAT),
        (lambda o: o > 3, Outcome.FORMAT),
        (lambda o: o[..., :1], Outcome.SIZE),
        (lambda o: o[:-1], Outcome.SIZE),
        (lambda o: o.astype(np.int64) + 1000, Outcome.FORMAT),
        (lambda o: o.astype(np.int64) - 300, Outcome.FORMAT),
        (lambda o: o.astype(np.int64), Outcome.UNCHANGED),
    ],
    ids=["float", "0 to 1", "bool", "one channel", "a row less", "over 255", "below 0", "wide whole numbers"],
)
def test_only_whole_grey_levels_of_the_same_shape_count(originals, altered, outcome):
    assert judge_pixels(originals[0], altered(originals[0])).outcome == outcome


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (lambda o: None, Outcome.MISSING),
        (lambda o: b"", Outcome.BROKEN),
        (lambda o: png(o)[:-30], Outcome.BROKEN),
        (lambda o: png(o)[:60] + b"x" + png(o)[61:], Outcome.BROKEN),
        (lambda o: png(o) + b"hidden", Outcome.FORMAT),
        (lambda o: png(o.astype(np.float32)[..., 0], "TIFF"), Outcome.FORMAT),
        (lambda o: png(o, "JPEG"), Outcome.FORMAT),
        (lambda o: png(o.astype(np.uint16)[..., 0] * 257), Outcome.FORMAT),
        (lambda o: png(o[..., 0]), Outcome.FORMAT),
        (lambda o: png(np.dstack([o, o[..., :1]])), Outcome.FORMAT),
        (lambda o: png(o[:-1]), Outcome.SIZE),
        (lambda o: bytes(5 << 20), Outcome.FORMAT),
    ],
    ids=[
        "missing", "empty", "cut", "damaged", "trailing", "float TIFF", "JPEG", "16 bits", "gray", "alpha", "size",
        "huge",
    ],
)  # fmt: skip
def test_a_spoiled_image_is_skipped_and_the_others_count(tmp_path, originals, content, outcome):
    altered = shifted(originals, 3)
    write_all(tmp_path, altered)
    data = content(altered[1])
    (tmp_path / "0002.png").unlink()
    if data is not None:
        (tmp_path / "0002.png").write_bytes(data)
    report, out = read(tmp_path, originals)
    assert report.outcomes.tolist() == [Outcome.OK, outcome, Outcome.OK]
    assert report.counts.tolist() == [True, False, True]
    assert (out[1] == originals[1]).all()
    (finding,) = report.findings.listed
    assert finding.where == "0002.png"
    assert finding.effect == "failed"
    assert not report.findings.refused


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_T39_what_is_no_ordinary_file_is_not_read(tmp_path, originals, kind):
    write_all(tmp_path, originals)
    path = tmp_path / "0001.png"
    path.unlink()
    if kind == "link":
        path.symlink_to(tmp_path / "0002.png")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    report, _ = read(tmp_path, originals)
    assert report.outcomes[0] == Outcome.MISSING


def test_an_unchanged_image_counts_and_is_noted(tmp_path, originals):
    write_all(tmp_path, originals)
    report, _ = read(tmp_path, originals)
    assert report.counts.all()
    assert report.findings.counts == {"ALTERED_UNCHANGED": 3}


def test_another_epsilon_is_a_setting(tmp_path, originals):
    write_all(tmp_path, shifted(originals, 9))
    assert not read(tmp_path, originals)[0].counts.any()
    assert read(tmp_path, originals, epsilon=9)[0].counts.all()


def test_outcomes_keep_their_stored_numbers():
    assert [(one.name, one.value) for one in Outcome] == [
        ("OK", 0), ("UNCHANGED", 1), ("MISSING", 2), ("BROKEN", 3), ("FORMAT", 4), ("SIZE", 5), ("OVER_EPSILON", 6),
    ]  # fmt: skip
    assert is_counted(np.arange(7, dtype=np.uint8)).tolist() == [True, True, False, False, False, False, False]


def test_the_page_lists_exactly_the_codes():
    rows = re.findall(r"^\| `(ALTERED_[A-Z_]+)` \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {code: rule.remedy for code, rule in ALTERED_RULES.items()}


def test_names_and_images_must_go_together(tmp_path, originals):
    with pytest.raises(ValueError, match="names"):
        read_altered(tmp_path, NAMES[:2], originals, originals.copy())
    with pytest.raises(ValueError, match="uint8"):
        read_altered(tmp_path, NAMES, originals, originals.astype(float))
