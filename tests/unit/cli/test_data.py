"""``aisc data`` for scene packs: made, brought in, checked, handed out; a fault is named and leaves nothing behind."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aisc.cli.main import app
from aisc.cli.workspace import open_workspace
from aisc.datasets.scene_packs import FRAMES_FILE, open_set
from aisc.errors import AiscError
from aisc.season import season_text
from tests.driving_world import SURROGATES, record, write_scenes, write_surrogate


class Shell:
    """The command line on one season."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.season = folder / "season.yaml"
        self.season.write_text(season_text("data", datetime.now(UTC).date(), tracks=["driving"]))

    def data(self, *words: str):
        done = CliRunner().invoke(app, ["data", *words, "--season", str(self.season), "--json"])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    def fault(self, *words: str) -> str:
        """Run what must fail; gives the code, which every error of ours has."""
        done = CliRunner().invoke(app, ["data", *words, "--season", str(self.season)])
        assert isinstance(done.exception, AiscError), done.output
        return done.exception.code

    def names(self) -> list[str]:
        return [row["name"] for row in self.data("list")]

    def current(self, name: str) -> Path:
        """Fetch a dataset anew."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        with open_workspace(self.season) as workspace:
            return workspace.bench.asset(workspace.bench.ledger.assets.current("data", name))


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def test_scenes_are_made_listed_and_verified(shell):
    made = shell.data("make", "driving/truck", "--size", "1", "--seed", "7")
    assert made["holds"] == "1 frames a scene"
    assert shell.data("make", "driving/truck", "--size", "1", "--seed", "7")["sha256"] == made["sha256"]
    assert [(row["kind"], row["name"], row["sha256"]) for row in shell.data("list")] == [
        ("data", "driving/truck", made["sha256"])
    ]
    verified = shell.data("verify", "driving/truck")
    assert verified["sha256"] == made["sha256"]
    assert verified["holds"].startswith("5 scenes (truck-1-clear, ")
    assert [pack.description.role for pack in open_set(shell.current("driving/truck"))] == ["scoring"] * 5


def test_a_hidden_set_is_made_from_a_seed_that_nobody_guesses(shell):
    shell.data("make", "driving/truck", "--size", "1")
    described = json.loads((shell.current("driving/truck") / "dataset.json").read_text())
    assert described["seed"] > 1 << 64


def test_a_recorded_folder_is_imported(shell):
    record(shell.folder / "real" / "hill", 3)
    record(shell.folder / "real" / "valley", 2)
    taken = shell.data("import", "driving/truck", str(shell.folder / "real"), "--format", "scene-packs")
    assert taken["holds"] == "2 scenes (hill, valley)"
    assert shell.data("verify", "driving/truck")["holds"] == taken["holds"]
    assert [len(pack) for pack in open_set(shell.current("driving/truck"))] == [3, 2]


def test_the_last_of_a_name_is_current(shell):
    for folder, count in (("first", 1), ("second", 2)):
        write_scenes(shell.folder / folder, count, length=2)
        shell.data("import", "driving/truck", str(shell.folder / folder), "--format", "scene-packs")
    assert shell.names() == ["driving/truck", "driving/truck"]
    assert len(open_set(shell.current("driving/truck"))) == 2


def damage(path: Path) -> None:
    """Change one byte in the middle of a picture."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[bytes(data).index(b"IDAT") + 30] ^= 1
    path.write_bytes(data)


def remove_line(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


@pytest.mark.parametrize(
    ("recorded", "file", "change", "code"),
    [
        (False, FRAMES_FILE, damage, "SCENE_CHECKSUM"),
        (False, FRAMES_FILE, Path.unlink, "SCENE_MISSING"),
        (False, "track.npz", Path.unlink, "SCENE_MISSING"),
        (True, "head.json", Path.unlink, "SCENE_IMPORT"),
        (True, "corners.csv", remove_line, "SCENE_IMPORT"),
        (True, "frames/000.png", Path.unlink, "SCENE_IMPORT"),
    ],
)
def test_a_damaged_folder_is_not_imported_at_all(shell, recorded, file, change, code):
    """One scene of two is damaged: the other is not taken either."""
    if recorded:
        for name in ("truck-1", "truck-2"):
            record(shell.folder / "real" / name)
    else:
        write_scenes(shell.folder / "real", 2, length=2)
    change(shell.folder / "real" / "truck-2" / file)
    assert shell.fault("import", "driving/truck", str(shell.folder / "real"), "--format", "scene-packs") == code
    assert shell.names() == []
    assert not (shell.folder / "artifacts" / "assets").exists()


def test_a_set_that_was_changed_in_the_store_does_not_verify(shell):
    write_scenes(shell.folder / "real", 1, length=2)
    shell.data("import", "driving/truck", str(shell.folder / "real"), "--format", "scene-packs")
    (row,) = shell.data("list")
    damage(shell.folder / "artifacts" / row["key"])
    assert shell.fault("verify", "driving/truck") == "STORE_CORRUPT"
    assert not [path for path in (shell.folder / "cache").iterdir() if path.name.startswith("data-")]


def test_wrong_words_are_named(shell):
    (shell.folder / "empty").mkdir()
    folder = str(shell.folder / "empty")
    assert shell.fault("make", "driving/moon") == "RECIPE_UNKNOWN"
    assert shell.fault("import", "driving/truck", folder, "--format", "scenes") == "DATASET_FORMAT"
    assert shell.fault("import", "driving/truck", folder, "--format", "scene-packs") == "SCENE_SET"
    assert shell.fault("import", "driving/truck", "nowhere", "--format", "scene-packs") == "FOLDER_MISSING"
    assert shell.fault("verify", "driving/truck") == "ASSET_UNKNOWN"
    assert shell.fault("kit", "driving/preliminary", "--to", str(shell.folder / "kit")) == "ASSET_UNKNOWN"
    assert shell.names() == []


def test_a_kit_is_handed_out(shell):
    write_scenes(shell.folder / "training", 2, length=2, role="training")
    shell.data("import", "driving/training", str(shell.folder / "training"), "--format", "scene-packs")
    with open_workspace(shell.season) as workspace:
        for name in SURROGATES:
            workspace.bench.register("victim", name, write_surrogate(shell.folder / "victims" / name, name))
    found = shell.data("kit", "driving/preliminary", "--to", str(shell.folder / "kit"))
    assert found["holds"] == ["detectors", "scenes", "stage.json", "starter"]
    assert shell.fault("kit", "driving/preliminary", "--to", str(shell.folder / "kit")) == "KIT_EXISTS"
