"""``aisc demo``, small: a season from nothing to signed boards, and a second call that repeats nothing."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("demo")


def demo(folder) -> dict:
    command = [sys.executable, "-m", "aisc", "demo", "--workspace", str(folder), "--pairs", "8", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demo_ends_with_three_boards_and_says_where_everything_is(tmp_path):
    folder = tmp_path / "demo"
    first = demo(folder)
    boards = first["boards"]
    assert list(boards) == ["face/preliminary", "face/evaluation", "face/final"]
    for stage in ("face/preliminary", "face/evaluation"):
        assert {row["entry"]["team"] for row in boards[stage]["ranked"]} == {"Rectangle", "Momentum", "Ensemble"}
    assert [entry["reason_code"] for entry in boards["face/preliminary"]["unranked"]] == ["PNG_BIT_DEPTH"]
    final = boards["face/final"]
    assert [(row["rank"], row["entry"]["team"]) for row in final["ranked"]] == [(1, "Momentum"), (1, "Ensemble")]
    assert [entry["reason_code"] for entry in final["unranked"]] == ["PATCH_TOO_LARGE"]
    bundle = folder / "results" / "face" / "preliminary" / "Ensemble"
    assert (bundle / "contact-sheet.png").stat().st_size > 10_000
    assert (folder / "artifacts" / "site" / "index.html").is_file()
    assert first["page"].startswith("file://")
    verified = subprocess.run(
        [sys.executable, "-m", "aisc", "leaderboard", "verify", str(folder / "artifacts/site/face/preliminary")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
    assert demo(folder)["boards"] == boards
