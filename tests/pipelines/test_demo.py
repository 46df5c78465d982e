"""``aisc demo``, small: from nothing to signed boards of every track, and a second call that repeats nothing."""

import csv
import json
import subprocess
import sys

import pytest

STARTERS = {"Centre Loss", "Fused", "Supervised", "Untrained", "Random"}
PATCHES = {"Pinhole", "Objectness", "Noise", "Grey"}
FACES = {"Rectangle", "Momentum", "Ensemble"}
ATTACKS, DEFENCES = {"Own Model", "Carlini"}, {"Bare", "Fast Drill"}
RANKED = {
    "face/preliminary": FACES, "face/evaluation": FACES, "face/final": {"Momentum", "Ensemble"},
    "driving/preliminary": PATCHES, "driving/judgment": PATCHES, "driving/final": PATCHES,
    "deepfake/preliminary": STARTERS, "deepfake/evaluation": STARTERS, "deepfake/final": STARTERS,
}  # fmt: skip


def demo(folder, *words: str) -> dict:
    command = [sys.executable, "-m", "aisc", "demo", "--workspace", str(folder), "--quick", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def codes(board) -> list[str]:
    return [entry["reason_code"] for entry in board["unranked"]]


@pytest.mark.xdist_group("demo")
def test_the_demo_ends_with_boards_and_says_where_everything_is(tmp_path):
    folder = tmp_path / "demo"
    first = demo(folder, *(word for track in ("face", "driving", "deepfake") for word in ("--track", track)))
    boards = first["boards"]
    assert {path: {row["entry"]["team"] for row in board["ranked"]} for path, board in boards.items()} == RANKED
    assert codes(boards["face/preliminary"]) == ["PNG_BIT_DEPTH"]
    assert codes(boards["driving/preliminary"]) == ["CANVAS_TOO_MANY_REGIONS"]
    assert codes(boards["deepfake/preliminary"]) == ["STARTER_UNKNOWN"]
    final = boards["face/final"]
    assert [(row["rank"], row["entry"]["team"]) for row in final["ranked"]] == [(1, "Momentum"), (1, "Ensemble")]
    assert codes(final) == ["PATCH_TOO_LARGE"]
    marked = {row["entry"]["team"]: row["entry"]["parts"] for row in boards["deepfake/final"]["ranked"]}
    assert all({"name": "outside a sandbox", "value": 1} in parts for parts in marked.values())
    results = folder / "results"
    assert (results / "face" / "preliminary" / "Ensemble" / "contact-sheet.png").stat().st_size > 10_000
    assert (results / "driving" / "final" / "Pinhole" / "mannequin-1-strip.png").stat().st_size > 10_000
    assert (results / "deepfake" / "final" / "Fused" / "result.json").is_file()
    assert (folder / "artifacts" / "site" / "index.html").is_file()
    assert first["page"].startswith("file://")
    verified = subprocess.run(
        [sys.executable, "-m", "aisc", "leaderboard", "verify", str(folder / "artifacts/site/driving/final")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
    again = demo(folder, "--track", "face")["boards"]
    assert again == {path: board for path, board in boards.items() if path.startswith("face/")}


@pytest.mark.xdist_group("demo-safair")
def test_the_demo_of_a_task_holds_both_sides_and_their_tournament(tmp_path):
    """Both tasks go the same ways; the other one is for `make demo`."""
    folder = tmp_path / "demo"
    boards = demo(folder, "--track", "reid")["boards"]
    assert {path: {row["entry"]["team"] for row in board["ranked"]} for path, board in boards.items()} == {
        f"reid-{side}/{stage}": teams
        for stage in ("initial", "final")
        for side, teams in (("attack", ATTACKS), ("defence", DEFENCES))
    }
    assert codes(boards["reid-defence/initial"]) == ["CLEAN_ACCURACY_TOO_LOW"]
    assert all(row["entry"]["advances"] for row in boards["reid-attack/initial"]["ranked"])
    with (folder / "results" / "reid-attack" / "initial" / "Carlini" / "images.csv").open() as file:
        outcomes = {row["status"] for row in csv.DictReader(file)}
    assert "over_epsilon" in outcomes
    assert len(outcomes) > 1, "image by image"
    deltas = boards["reid-attack/final"]["matrix"]["deltas"]
    assert all(cell is not None for row in deltas for cell in row)
