import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from pydantic import ValidationError
from skimage.measure import label

from aisc.errors import PlatformError
from aisc.leaderboard.board import Measure
from aisc.leaderboard.bundle import Picture, findings_md, write_bundle
from aisc.leaderboard.contact_sheet import Tile, draw_contact_sheet, regions, sheet_of
from aisc.leaderboard.entry import Interval, Part
from aisc.leaderboard.result import MAX_PARTS, ImageTable, ImageVerdict, ResultFile
from aisc.submission.findings import Finding, Findings

N = 30
RESULT_FIELDS = {
    "format", "season", "track", "stage", "team", "submission", "state", "reason_code", "reason", "submitted_at",
    "evaluated_at", "score_name", "higher_is_better", "score", "interval", "parts", "version", "counts", "images",
}  # fmt: skip


@pytest.fixture
def table() -> ImageTable:
    area = np.full(N, 200)
    area[3] = -1
    return ImageTable(
        names=[f"{n:04d}.png" for n in range(1, N + 1)],
        status=["legal"] * 3 + ["missing"] + ["legal"] * (N - 4),
        legal=np.arange(N) != 3,
        patches=np.where(area < 0, -1, 2),
        patches_8=np.where(area < 0, -1, 1),
        area_px=area,
    )


class Pictures(NamedTuple):
    """What a team was given, and what it sent."""

    originals: Any
    adversarial: Any


@pytest.fixture
def pictures() -> Pictures:
    draw = np.random.default_rng(5)
    originals = draw.integers(0, 256, (N, 112, 112, 3), dtype=np.uint8)
    adversarial = originals.copy()
    adversarial[:, 20:30, 20:30] ^= 255
    adversarial[:, 30:40, 30:40] ^= 255
    return Pictures(originals, adversarial)


@pytest.fixture
def bundle(tmp_path: Path, table: ImageTable, pictures: Pictures, entry: Any, bound: Any) -> Path:
    findings = Findings()
    findings.add(Finding("IMAGE_MISSING", "0004.png", "the image is not in the archive.", "Add it.", "failed"))
    row = entry(
        "team", 5714 / 9000, interval=Interval(0.6, 0.66666666), parts=(Part("irse", 1 / 3), Part("legal images", 29))
    )
    write_bundle(
        tmp_path / "out",
        season="dev",
        track="face",
        stage="preliminary",
        entry=row,
        measure=Measure(name="attack success rate"),
        version=bound,
        findings=findings,
        images=table,
        pictures={"contact-sheet.png": Picture(sheet_of(table, *pictures, title="x", connectivity=4), "images")},
    )
    return tmp_path / "out"


def test_T22_the_result_holds_allowed_fields_only(bundle: Path) -> None:
    result = json.loads((bundle / "result.json").read_text())
    assert set(result) == RESULT_FIELDS
    assert {frozenset(image) for image in result["images"]} == {
        frozenset(("name", "status", "patches", "patches_8", "area_px"))
    }
    assert result["score"] == 0.634889
    assert result["parts"] == [{"name": "irse", "value": 0.333333}, {"name": "legal images", "value": 29}]
    assert len(result["images"]) == N
    assert result["images"][3]["area_px"] is None


@pytest.mark.parametrize(
    "extra",
    [
        {"logits": [0.1]},
        {"images": [{"name": "a", "status": "legal", "patches": 1, "patches_8": 1, "area_px": 1, "same": True}]},
        {"images": [{"name": "a", "status": "0.731", "patches": 1, "patches_8": 1, "area_px": 1}]},
        {"images": [{"name": "a", "status": "legal", "patches": 0.93, "patches_8": 1, "area_px": 1}]},
        {"parts": [{"name": f"0001.png/{n}", "value": 1} for n in range(MAX_PARTS + 1)]},
        {"parts": [{"name": "irse", "value": [1, 0, 1]}]},
        {"score": float("nan")},
    ],
)
def test_T22_the_schema_refuses_what_would_tell_about_single_images(bundle: Path, extra: dict[str, Any]) -> None:
    result = json.loads((bundle / "result.json").read_text())
    ResultFile.model_validate_json(json.dumps(result))
    with pytest.raises(ValidationError):
        ResultFile.model_validate_json(json.dumps(result | extra))


def test_T41_hidden_bytes_that_lie_beside_the_inputs_do_not_reach_a_bundle(bundle: Path, pictures: Pictures) -> None:
    # The images past the sheet stand for everything that is at hand but must not be shown.
    canary = pictures.originals[N - 1].tobytes()[:32]
    everything = b"".join(path.read_bytes() for path in bundle.iterdir())
    sheet = np.asarray(Pillow.open(bundle / "contact-sheet.png").convert("RGB"))
    for form in (canary, canary.hex().encode(), base64.b64encode(canary)):
        assert form not in everything
    last = pictures.originals[N - 1].repeat(2, axis=0).repeat(2, axis=1)
    assert not any(last[0].tobytes() in row.tobytes() for row in sheet)
    first = pictures.originals[0].repeat(2, axis=0).repeat(2, axis=1)
    assert any(first[0].tobytes() in row.tobytes() for row in sheet)  # the search does find what is there


def test_the_bundle_lists_its_files(bundle: Path) -> None:
    names = {path.name for path in bundle.iterdir()}
    assert names == {"result.json", "images.csv", "findings.md", "contact-sheet.png", "README.txt"}
    index = (bundle / "README.txt").read_text()
    assert all(name in index for name in names - {"README.txt"})


def test_the_table_of_images_reads_back(bundle: Path) -> None:
    frame = pd.read_csv(bundle / "images.csv")
    assert list(frame.columns) == list(ImageVerdict.model_fields)
    assert (len(frame), frame["area_px"].sum(), frame["area_px"].isna().sum()) == (N, 200 * (N - 1), 1)


def test_a_refused_submission_gets_a_bundle_without_images(tmp_path: Path, entry: Any) -> None:
    findings = Findings()
    findings.add(Finding("ZIP_PATH_ESCAPE", "../a", "the name leads out of the archive.", "Rename it.", "refused"))
    files = write_bundle(
        tmp_path / "new" / "out",
        season="dev",
        track="face",
        stage="preliminary",
        entry=entry("team", state="refused", reason_code="ZIP_PATH_ESCAPE"),
        measure=Measure(name="s"),
        version=None,
        findings=findings,
    )
    assert [path.name for path in files] == ["result.json", "findings.md", "README.txt"]
    assert json.loads(files[0].read_text())["score"] is None


def test_one_result_gives_one_sheet_byte_for_byte(pictures: Pictures) -> None:
    tiles = [Tile("a", pictures.originals[0], pictures.adversarial[0], "legal", True, 2, 200)]
    assert draw_contact_sheet(tiles, title="x", connectivity=4) == draw_contact_sheet(tiles, title="x", connectivity=4)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_regions_are_those_of_scikit_image(connectivity: int) -> None:
    draw = np.random.default_rng(2)
    original = draw.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    adversarial = original.copy()
    adversarial[draw.random((112, 112)) < 0.2, 1] ^= 1  # one bit of one channel is a change
    found = regions(original, adversarial, connectivity=connectivity)
    expected = label((original != adversarial).any(axis=2), connectivity=1 if connectivity == 4 else 2)
    assert found.max() == expected.max()
    assert len(set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))) == expected.max() + 1


def test_the_sheet_shows_originals_untouched_and_outlines_beside_them(pictures: Pictures) -> None:
    original, adversarial = np.full((112, 112, 3), 128, np.uint8), np.full((112, 112, 3), 128, np.uint8)
    adversarial[40:60, 40:60] = 10
    data = draw_contact_sheet([Tile("a", original, adversarial, "legal", True, 1, 400)], title="é", connectivity=4)
    sheet = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")).astype(int)
    grey = (sheet == 128).all(axis=2)
    cyan = (sheet == (90, 255, 255)).all(axis=2)
    assert cyan.sum() == 42 * 42 - 40 * 40  # around a square of 2 times 20 pixels, none of which is covered
    assert grey.sum() > 224 * 224
    assert ((sheet == 10).all(axis=2)).sum() == 40 * 40


def test_a_missing_image_is_drawn_as_such(pictures: Pictures) -> None:
    tile = Tile("a", pictures.originals[0], None, "missing", False, -1, -1)
    data = draw_contact_sheet([tile] * 5, title="x", connectivity=8)
    assert Pillow.open(io.BytesIO(data)).size[0] > 4 * 2 * 224


def test_findings_are_grouped_gravest_first_with_the_uncapped_count() -> None:
    findings = Findings(cap=2)
    for number in range(5):
        findings.add(Finding("PATCH_AREA", f"{number}.png", "too large.", "Shrink it.", "failed"))
    findings.add(Finding("NOTE", "", "a note.", "", "note"))
    findings.add(Finding("ZIP_BAD", "x", "bad.", "Zip again.", "refused"))
    text = findings_md(findings, team="t", submission="s")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## ZIP_BAD, 1 time", "## PATCH_AREA, 5 times", "## NOTE, 1 time",
    ]  # fmt: skip
    assert "and 3 more of the same kind" in text
    assert text.count("What to do: Shrink it.") == 1


def test_T44_a_file_s_name_cannot_add_lines_or_markup_to_the_findings() -> None:
    findings = Findings()
    name = "a`\n# Forged <img src=x> [l](http://x)\x1b[31m\u202e"
    findings.add(Finding("CODE", name, f"the file {name} is wrong.", "Fix it.", "note"))
    text = findings_md(findings, team=name, submission="s")
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# Findings", "## CODE, 1 time"]
    assert "\x1b" not in text
    assert "\\<img" in text


def test_nothing_found_is_said() -> None:
    assert "every check passed" in findings_md(Findings(), team="t", submission="s")


def test_tables_that_do_not_fit_are_refused(table: ImageTable, pictures: Pictures) -> None:
    with pytest.raises(PlatformError, match="BUNDLE_TABLE"):
        ImageTable(table.names, table.status[1:], table.legal, table.patches, table.patches_8, table.area_px)
    with pytest.raises(PlatformError, match="BUNDLE_TABLE"):
        sheet_of(table, pictures.originals[:3], pictures.adversarial[:3], title="x", connectivity=4)


def test_boards_and_bundles_need_neither_torch_nor_pandas() -> None:
    code = "import sys, aisc.leaderboard.bundle, aisc.leaderboard.page, aisc.leaderboard.sheet;"
    code += "print({'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
