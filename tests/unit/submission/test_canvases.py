import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from aisc.submission.canvases import CANVAS_SIZE, CanvasRules, read_canvases

SMALL = CanvasRules(size=(60, 130))


def png(array, mode=None):
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, "PNG")
    return buffer.getvalue()


def canvas(size=(60, 130), regions=1):
    """Give RGBA pixels with so many separate squares of random colours."""
    pixels = np.random.default_rng(regions).integers(0, 256, (*size, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    for number in range(regions):
        pixels[10:20, 5 + 15 * number : 15 + 15 * number, 3] = 255
    return pixels


def archive(tmp_path, files):
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def codes(report):
    return {finding.code for finding in report.findings.listed}


def check(tmp_path, data, name="truck.png", rules=SMALL):
    return read_canvases(archive(tmp_path, {name: data}), ["truck.png"], rules)


def test_a_canvas_is_read_with_mask_area_and_regions(tmp_path):
    pixels = canvas(regions=3)
    report = check(tmp_path, png(pixels))
    assert not report.findings.listed
    found = report.canvases["truck.png"]
    assert (found.rgb == pixels[..., :3]).all()
    assert (found.mask == (pixels[..., 3] > 0)).all()
    assert (found.regions, found.regions_8, found.covered) == (3, 3, 300)


def test_a_full_size_canvas_of_noise_is_read(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (*CANVAS_SIZE, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    report = check(tmp_path, png(pixels), rules=CanvasRules())
    assert not report.findings.listed
    assert (report.canvases["truck.png"].rgb == pixels[..., :3]).all()


def test_five_regions_count_and_six_are_void(tmp_path):
    assert not check(tmp_path, png(canvas(regions=5))).findings.refused
    report = check(tmp_path, png(canvas(regions=6)))
    assert report.findings.refused
    assert codes(report) == {"CANVAS_TOO_MANY_REGIONS"}


def test_regions_that_touch_by_a_corner_are_apart(tmp_path):
    pixels = canvas(regions=0)
    pixels[range(6), range(6), 3] = 255
    assert codes(check(tmp_path, png(pixels))) == {"CANVAS_TOO_MANY_REGIONS"}
    assert not check(tmp_path, png(pixels), rules=SMALL._replace(connectivity=8)).findings.refused


def test_the_mask_is_alpha_above_zero_and_faint_alpha_is_noted(tmp_path):
    pixels = canvas(regions=1)
    pixels[..., 3] = np.where(pixels[..., 3] > 0, 1, 0)
    report = check(tmp_path, png(pixels))
    assert report.canvases["truck.png"].covered == 100
    assert codes(report) == {"CANVAS_HALF_TRANSPARENT"}
    assert not report.findings.refused


def test_an_empty_canvas_is_allowed_and_noted(tmp_path):
    report = check(tmp_path, png(canvas(regions=0)))
    assert codes(report) == {"CANVAS_EMPTY"}
    assert not report.findings.refused
    assert report.canvases["truck.png"].covered == 0


def sixteen_bit():
    rows = b"".join(b"\0" + bytes(130 * 8) for _ in range(60))
    chunks = [(b"IHDR", struct.pack(">2I5B", 130, 60, 16, 6, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = [struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: png(canvas((60, 131))), "PNG_SIZE"),
        (lambda: png(canvas()[..., :3]), "PNG_NO_ALPHA"),
        (sixteen_bit, "PNG_BIT_DEPTH"),
        (lambda: png(canvas()[..., 0]), "PNG_GRAY"),
        (lambda: png(canvas())[:-40], "PNG_TRUNCATED"),
        (lambda: png(canvas()) + b"x", "PNG_TRAILING_BYTES"),
        (lambda: b"", "PNG_TRUNCATED"),
        (lambda: b"GIF89a", "PNG_NOT_PNG"),
    ],
    ids=["size", "no alpha", "16 bits", "gray", "cut", "trailing", "nothing", "gif"],
)
def test_a_wrong_canvas_makes_the_submission_void(tmp_path, data, code):
    report = check(tmp_path, data())
    assert report.findings.refused
    assert codes(report) == {code}
    assert not report.canvases


def test_a_missing_canvas_and_strangers_are_named(tmp_path):
    good = png(canvas())
    path = archive(tmp_path, {"truck-1.png": good, "more/truck-2.png": good, "notes.txt": b"a", "__MACOSX/._a": b"a"})
    report = read_canvases(path, ["truck-1.png", "truck-2.png"], SMALL)
    assert report.findings.refused
    assert {"CANVAS_MISSING", "ARCHIVE_EXTRA_FILE", "ARCHIVE_SYSTEM_FILE"} <= codes(report)
    assert {"ARCHIVE_FOLDER", "ZIP_FOLDER"} & codes(report)


def test_what_is_no_zip_is_said_once(tmp_path):
    path = tmp_path / "submission.zip"
    path.write_bytes(png(canvas()))
    report = read_canvases(path, ["truck.png"], SMALL)
    assert report.findings.refused
    assert "CANVAS_MISSING" not in codes(report)
