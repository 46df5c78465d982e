"""The face track's submission as a whole: who pays for what, and that every image is judged by its pixels."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from forge import Entry, Image, chunk, forge_zip, header, photo, png
from PIL import Image as PillowImage
from scipy import ndimage

from aisc.errors import UsageError
from aisc.submission.images import IMAGE_RULES, ImagesReport, PixelRules, Status, image_names, read_images

N = 6
ORIGINALS = np.stack([photo(seed) for seed in range(N)])
PLUS = ndimage.generate_binary_structure(2, 1)
SQUARE = ndimage.generate_binary_structure(2, 2)


def encoded(image: Image) -> bytes:
    out = io.BytesIO()
    PillowImage.fromarray(image).save(out, "PNG")
    return out.getvalue()


def changed(index: int, mask: np.ndarray, by: int = 1, channel: int = 1) -> Image:  # type: ignore[type-arg]
    """Change the masked pixels of an original by so little that nobody sees it."""
    image = ORIGINALS[index].copy()
    image[..., channel] ^= (mask * by).astype(np.uint8)
    return image


def blocks(count: int, side: int) -> np.ndarray:  # type: ignore[type-arg]
    mask = np.zeros((112, 112), bool)
    for number in range(count):
        y, x = 2 + 36 * (number // 3), 2 + 36 * (number % 3)
        mask[y : y + side, x : x + side] = True
    return mask


def honest() -> dict[str, bytes]:
    return {name: encoded(changed(i, blocks(5, 15))) for i, name in enumerate(image_names(N))}


def check(
    files: dict[str, bytes] | bytes, tmp_path: Path, rules: PixelRules | None = None
) -> tuple[ImagesReport, Image]:
    """Zip, check, and give the report and what was read."""
    path = tmp_path / "submission.zip"
    if isinstance(files, bytes):
        path.write_bytes(files)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    out = np.zeros_like(ORIGINALS)
    report = read_images(path, ORIGINALS, out, rules=rules)
    assert list(tmp_path.iterdir()) == [path], "something was left on disk"
    return report, out


def test_an_honest_submission_is_read_pixel_for_pixel(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with zipfile.ZipFile(tmp_path / "submission.zip", "w") as archive:
        for name, data in honest().items():
            archive.writestr(name, data)
    out = np.zeros_like(ORIGINALS)
    report = read_images(
        tmp_path / "submission.zip", ORIGINALS, out, progress=lambda done, total: seen.append((done, total))
    )
    assert report.findings.counts == {}
    assert report.legal.all()
    assert report.images.tolist() == [(Status.OK, 5, 5, 1125)] * N
    assert seen == [(i, N) for i in range(1, N + 1)]
    for index in range(N):
        np.testing.assert_array_equal(out[index], changed(index, blocks(5, 15)))


def test_opencv_files_pass_like_pillow_files(tmp_path: Path) -> None:
    files = {
        name: cv2.imencode(".png", changed(i, blocks(1, 9))[..., ::-1])[1].tobytes()
        for i, name in enumerate(image_names(N))
    }
    report, out = check(files, tmp_path)
    assert not report.findings.refused
    np.testing.assert_array_equal(out, np.stack([changed(i, blocks(1, 9)) for i in range(N)]))


def test_rule_C_limits_hold_to_the_pixel_and_only_the_image_fails(tmp_path: Path) -> None:
    full = np.zeros((112, 112), bool)
    full.ravel()[:1254] = True
    over = full.copy()
    over.ravel()[1254] = True
    cross = np.zeros((112, 112), bool)
    cross[10:22, 10:22] = np.eye(12, dtype=bool)  # 12 patches by their sides, 1 by their corners
    masks = [blocks(5, 15), blocks(6, 3), full, over, cross, np.zeros((112, 112), bool)]
    report, _ = check({name: encoded(changed(i, masks[i])) for i, name in enumerate(image_names(N))}, tmp_path)
    assert report.images["status"].tolist() == [
        Status.OK,
        Status.TOO_MANY_PATCHES,
        Status.OK,
        Status.TOO_MUCH_AREA,
        Status.TOO_MANY_PATCHES,
        Status.UNCHANGED,
    ]
    assert report.images["area"].tolist() == [int(mask.sum()) for mask in masks]
    assert report.images["patches"].tolist() == [ndimage.label(mask, PLUS)[1] for mask in masks]
    assert report.images["patches_8"].tolist() == [ndimage.label(mask, SQUARE)[1] for mask in masks]
    assert report.legal.tolist() == [True, False, True, False, False, True]
    assert not report.findings.refused
    assert report.findings.counts == {"IMAGE_TOO_MANY_PATCHES": 2, "IMAGE_TOO_MUCH_AREA": 1, "IMAGE_UNCHANGED": 1}


def test_rule_C_connectivity_is_a_setting(tmp_path: Path) -> None:
    cross = np.zeros((112, 112), bool)
    cross[10:22, 10:22] = np.eye(12, dtype=bool)
    files = {name: encoded(changed(i, cross)) for i, name in enumerate(image_names(N))}
    report, _ = check(files, tmp_path, PixelRules(connectivity=8))
    assert report.images.tolist() == [(Status.OK, 1, 1, 12)] * N


def test_both_pixel_faults_of_one_image_are_told(tmp_path: Path) -> None:
    files = honest() | {"0002.png": encoded(changed(1, blocks(7, 30)))}
    report, _ = check(files, tmp_path)
    assert report.findings.counts == {"IMAGE_TOO_MANY_PATCHES": 1, "IMAGE_TOO_MUCH_AREA": 1}


@pytest.mark.parametrize(("area", "pixels"), [(0.10, 1254), (0.29, 3637), (0.07, 878), (1.0, 12544), (0.0, 0)])
def test_rule_C_area_is_a_decimal_share_rounded_down(area: float, pixels: int) -> None:
    assert PixelRules(area=area).most_pixels == pixels


def test_rule_C_area_does_not_slip_by_a_binary_fraction() -> None:
    assert PixelRules(area=0.29, size=(10, 10)).most_pixels == 29


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("by", [1, 128, 255])
def test_a_change_of_any_size_in_any_channel_counts(channel: int, by: int, tmp_path: Path) -> None:
    files = {name: encoded(changed(i, blocks(2, 4), by, channel)) for i, name in enumerate(image_names(N))}
    report, _ = check(files, tmp_path)
    assert report.images.tolist() == [(Status.OK, 2, 2, 32)] * N


def test_a_missing_or_damaged_image_fails_alone_and_the_denominator_stays(tmp_path: Path) -> None:
    files = honest()
    del files["0003.png"]
    files["0005.png"] = files["0005.png"][:-20]
    report, out = check(files, tmp_path)
    assert len(report.images) == N
    assert not report.findings.refused
    assert report.findings.counts == {"IMAGE_MISSING": 1, "PNG_TRUNCATED": 1}
    assert {finding.where for finding in report.findings.listed} == {"0003.png", "0005.png"}
    assert report.legal.tolist() == [True, True, False, True, False, True]
    for index in (2, 4):
        np.testing.assert_array_equal(out[index], ORIGINALS[index])


@pytest.mark.parametrize(
    ("code", "name", "data"),
    [
        ("ARCHIVE_MODEL_FILE", "resnet.pth", b"\x80\x02"),
        ("ARCHIVE_MODEL_FILE", "models/net.ONNX", b""),
        ("ARCHIVE_MODEL_FILE", "big.safetensors", bytes(2 << 20)),
        ("ARCHIVE_SYSTEM_FILE", "__MACOSX/._0001.png", b"x"),
        ("ARCHIVE_SYSTEM_FILE", ".DS_Store", b"x"),
        ("ARCHIVE_SYSTEM_FILE", "Thumbs.db", b"x"),
        ("ARCHIVE_FOLDER", "images/0001.png", b"x"),
        ("ARCHIVE_MISNAMED_FILE", "1.png", b"x"),
        ("ARCHIVE_MISNAMED_FILE", "0007.png", b"x"),
        ("ARCHIVE_MISNAMED_FILE", "00001.png", b"x"),
        ("ARCHIVE_MISNAMED_FILE", "0001_compare.png", b"x"),
        ("ARCHIVE_EXTRA_FILE", "README.md", b"x"),
        ("ARCHIVE_EXTRA_FILE", "0001.jpg", b"x"),
    ],
)
def test_rule_C_a_file_that_does_not_belong_refuses_the_zip(code: str, name: str, data: bytes, tmp_path: Path) -> None:
    report, _ = check(honest() | {name: data}, tmp_path)
    assert report.findings.refused
    assert code in report.findings.counts
    assert report.legal.all(), "the images are checked all the same"


def test_a_name_in_another_case_is_no_substitute(tmp_path: Path) -> None:
    files = honest()
    files["0001.PNG"] = files.pop("0001.png")
    report, _ = check(files, tmp_path)
    assert report.findings.counts == {"ARCHIVE_MISNAMED_FILE": 1, "IMAGE_MISSING": 1}


def test_a_folder_around_everything_is_explained(tmp_path: Path) -> None:
    report, _ = check({f"faces/{name}": data for name, data in honest().items()}, tmp_path)
    assert report.findings.counts == {"ARCHIVE_FOLDER": N, "IMAGE_MISSING": N}
    assert "zip -X -j" in report.findings.listed[0].remedy


def test_every_code_of_a_submission_is_provoked_above() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{code}"' in here for code in IMAGE_RULES)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("PNG_BIT_DEPTH", cv2.imencode(".png", ORIGINALS[0].astype(np.uint16))[1].tobytes()),
        ("PNG_PALETTE", png(ORIGINALS[0], head=header(colour=3))),
        ("PNG_TRAILING_BYTES", png(ORIGINALS[0]) + b"x"),
        ("PNG_ANIMATED", png(ORIGINALS[0], before=chunk(b"acTL", bytes(8)))),
        ("PNG_SIZE", png(photo(1, 224, 224))),
        ("PNG_NOT_PNG", cv2.imencode(".jpg", ORIGINALS[0])[1].tobytes()),
    ],
)
def test_T32_a_forbidden_format_refuses_the_zip_and_names_the_image(code: str, data: bytes, tmp_path: Path) -> None:
    report, _ = check(honest() | {"0004.png": data}, tmp_path)
    assert report.findings.refused
    assert [(f.code, f.where) for f in report.findings.listed] == [(code, "0004.png")]
    assert report.images["status"].tolist()[3] == Status.UNREADABLE


def test_T25_of_two_images_with_one_name_neither_is_read(tmp_path: Path) -> None:
    entries = [Entry(name.encode(), data, 0) for name, data in honest().items()]
    report, out = check(forge_zip([*entries, Entry(b"0001.png", png(ORIGINALS[1]))]), tmp_path)
    assert report.findings.refused
    assert report.findings.counts == {"ZIP_DUPLICATE": 2}
    assert report.images["status"].tolist() == [Status.UNREADABLE] + [Status.OK] * 5
    np.testing.assert_array_equal(out[0], ORIGINALS[0])


def test_all_faults_of_zip_names_formats_and_pixels_are_told_at_once(tmp_path: Path) -> None:
    files = [Entry(name.encode(), data, 0) for name, data in honest().items()]
    files[0] = Entry(b"0001.png", png(ORIGINALS[0], head=header(depth=16)))
    files[1] = Entry(b"../0002.png")
    files[2] = Entry(b"0003.png", encoded(changed(2, blocks(9, 2))))
    files[3] = Entry(b"0004.png", crc=5)
    report, _ = check(forge_zip([*files, Entry(b"net.pt")]), tmp_path)
    assert report.findings.counts == {
        "ZIP_PATH_ESCAPE": 1,
        "ARCHIVE_MODEL_FILE": 1,
        "PNG_BIT_DEPTH": 1,
        "IMAGE_MISSING": 1,
        "IMAGE_TOO_MANY_PATCHES": 1,
        "ZIP_CRC": 1,
    }


def test_T27_what_is_no_zip_is_told_in_one_line(tmp_path: Path) -> None:
    report, out = check(b"not a zip at all", tmp_path)
    assert report.findings.counts == {"ZIP_NOT_ZIP": 1}
    assert not report.legal.any()
    np.testing.assert_array_equal(out, ORIGINALS)


def test_wrong_arrays_and_paths_are_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FILE_UNREADABLE"):
        read_images(tmp_path / "nothing.zip", ORIGINALS, np.zeros_like(ORIGINALS))
    for originals, out in ((ORIGINALS, ORIGINALS[1:]), (ORIGINALS[..., :2],) * 2, (ORIGINALS.astype(int),) * 2):
        with pytest.raises(ValueError, match="uint8"):
            read_images(tmp_path / "nothing.zip", originals, out)


MEASURE = """
import resource, sys
from pathlib import Path
import cv2
import numpy as np
from aisc.submission.images import read_images
originals = np.load(sys.argv[2], mmap_mode="r")
out = np.load(sys.argv[3], mmap_mode="r+")
n = int(sys.argv[4])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = read_images(Path(sys.argv[1]), originals[:n], out[:n])
mapped = 2 * n * 112 * 112 * 3 // 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - mapped, *report.findings.counts)
"""


def measured(files: list[Entry], count: int, tmp_path: Path) -> tuple[int, list[str]]:
    """Check in a process of its own; give the KiB it took beyond the two mapped arrays, and the codes."""
    (tmp_path / "s.zip").write_bytes(forge_zip(files))
    for name in ("originals", "out"):
        np.save(tmp_path / f"{name}.npy", np.zeros((count, 112, 112, 3), np.uint8))
    arguments = [tmp_path / "s.zip", tmp_path / "originals.npy", tmp_path / "out.npy", str(count)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True)
    kibibytes, *codes = done.stdout.split()
    return int(kibibytes), codes


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    data = png(photo(1))
    few, _ = measured([Entry(name.encode(), data, 0) for name in image_names(50)], 50, tmp_path)
    many, _ = measured([Entry(name.encode(), data, 0) for name in image_names(1000)], 1000, tmp_path)
    assert many - few < 12 * 1024


def test_T28_a_zip_of_pixel_bombs_takes_little_memory(tmp_path: Path) -> None:
    blank = np.zeros((1000, 30_000), np.uint8)
    bomb = png(photo(1), head=header(30_000, 30_000, colour=0), data=cv2.imencode(".png", blank)[1].tobytes()[41:-16])
    kibibytes, codes = measured([Entry(name.encode(), bomb, 0) for name in image_names(100)], 100, tmp_path)
    assert codes == ["PNG_SIZE"]
    assert kibibytes < 20 * 1024
