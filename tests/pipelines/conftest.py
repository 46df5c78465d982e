"""A small season in a folder: six pairs, six tiny victims, three teams; made once, copied for every test."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from aisc.cli.workspace import open_workspace
from aisc.datasets.face_pairs import describe
from aisc.reception import receive
from aisc.season import season_text

ROOT = Path(__file__).parents[2]
PAIRS = 6
VICTIMS = ("ires", "vgg", "dense", "irse", "sphere", "mixer")


class Rig:
    """The season's folder, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.season = folder / "season.yaml"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "aisc", *words, "--season", str(self.season)]

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr + self.logs()
        return done.stdout

    def json(self, *words: str, code: int = 0):
        return json.loads(self.run(*words, "--json", code=code))

    def open(self):
        return open_workspace(self.season)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in sorted(self.folder.glob("logs/**/*.log")))

    def processes(self) -> list[psutil.Process]:
        """Every live process that works for this season, found by its command line or environment."""
        mark = str(self.folder)
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    words = [*process.cmdline(), process.environ().get("AISC_LEDGER", "")]
                    found += [process] if any(mark in word for word in words) else []
            except psutil.Error:
                continue
        return found

    def close_preliminary(self) -> None:
        text = self.season.read_text()
        closes = text.split("closes: ")[1].split("\n")[0]
        self.season.write_text(text.replace(closes, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"))


def image(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)


def changed_image(number: int, change: int) -> np.ndarray:
    """Change one square of 30 x 30 pixels of an original."""
    picture = image(number)
    picture[20:50, 20:50] = np.clip(picture[20:50, 20:50].astype(int) + change, 0, 255)
    picture[20:50, 20:50, 0] ^= 1
    return picture


def write_zip(path: Path, change: int, *, deep: bool = False) -> None:
    """Write a submission."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1, PAIRS + 1):
            picture = changed_image(number, change)
            if deep and number == 3:
                picture = picture.astype(np.uint16)
            archive.writestr(f"{number:04d}.png", cv2.imencode(".png", picture)[1].tobytes())


def _write_victim(folder: Path, seed: int) -> None:
    """Write a network with random weights; its threshold lies between what the teams reach: both outcomes occur."""
    import torch

    from aisc.victims.calibration import UNMEASURED
    from aisc.victims.networks import Architecture, build_network
    from aisc.victims.package import NetworkDescription, VictimDescription, WeightsDescription, write_package
    from aisc.victims.torch_models import pack_weights
    from aisc.victims.verifier import make_verifier

    torch.manual_seed(seed)
    plan = Architecture("plain", (8, 8, 8, 8), (1, 1, 1), 16)
    network = build_network(plan).eval()
    weights = pack_weights(network)
    description = VictimDescription(
        name=folder.name,
        format="builtin",
        architecture=NetworkDescription(**plan._asdict()),
        weights=WeightsDescription(file="weights.safetensors", sha256=hashlib.sha256(weights).hexdigest()),
        mirror=True,
        dim=plan.dim,
        threshold=0,
        calibration=UNMEASURED,
    )
    verifier = make_verifier(write_package(folder, description, weights))
    numbers = range(1, PAIRS + 1)
    changed = np.stack([changed_image(number, change) for change in (90, -90) for number in numbers])[..., ::-1]
    compares = np.stack([image(1000 + number) for _ in (90, -90) for number in numbers])[..., ::-1]
    cosines = np.sort((verifier.embed(changed).astype(float) * verifier.embed(compares).astype(float)).sum(axis=1))
    middle = float(cosines[PAIRS - 1 : PAIRS + 1].mean())
    write_package(folder, description.model_copy(update={"threshold": middle}), weights)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A season with three received submissions, one of them against the rules, and nothing evaluated."""
    rig = Rig(tmp_path_factory.mktemp("season") / "prepared")
    rig.folder.mkdir()
    rig.season.write_text(season_text("rig", datetime.now(UTC).date(), title="Rig", tracks=["face"]))
    pairs = rig.folder / "pairs"
    pairs.mkdir()
    for number in range(1, PAIRS + 1):
        cv2.imwrite(str(pairs / f"{number:04d}.png"), image(number))
        cv2.imwrite(str(pairs / f"{number:04d}_compare.png"), image(1000 + number))
    describe(pairs, {"recipe": "test", "pairs": PAIRS})
    with rig.open() as workspace:
        workspace.bench.register("data", "faces/pairs", pairs)
        for seed, name in enumerate(VICTIMS):
            _write_victim(rig.folder / "victims" / name, seed)
            workspace.bench.register("victim", name, rig.folder / "victims" / name)
        for team, change, deep in (("Alpha", 90, False), ("Beta", -90, False), ("Gamma", 1, True)):
            workspace.bench.ledger.teams.add(team)
            write_zip(rig.folder / f"{team}.zip", change, deep=deep)
            receive(workspace.bench, workspace.season, "face/preliminary", team, rig.folder / f"{team}.zip")
    return rig.folder


@pytest.fixture
def copies(prepared, tmp_path):
    """Give a function that makes a copy of the prepared season; whatever still runs there ends with the test."""
    made = []

    def copy(name: str) -> Rig:
        shutil.copytree(prepared, tmp_path / name, symlinks=True)
        made.append(Rig(tmp_path / name))
        return made[-1]

    yield copy
    for one in made:
        for process in one.processes():
            process.kill()


@pytest.fixture
def rig(copies) -> Rig:
    return copies("rig")


PROGRAM = """
import csv, json, os, sys, time
from pathlib import Path
import cv2
import numpy as np
source, target = Path(os.environ["AISC_INPUT"]), Path(os.environ["AISC_OUTPUT"])
task = json.loads((source / "task.json").read_text())
names = sorted(path.name for path in (source / "images").iterdir())
read = lambda name: cv2.imread(str(source / "images" / name)).astype(int)
write = lambda name, picture: cv2.imwrite(str(target / name), picture.astype(np.uint8))
columns = ["person"] if task["task"] == "reid" else task["attributes"]
def answer(rows):
    with (target / "predictions.csv").open("w") as file:
        print("image", *columns, sep=",", file=file)
        for name, row in rows: print(name, *row, sep=",", file=file)
"""
"""What the small programs of SAFAIR's tests begin with; pictures are BGR integers."""


class Installation:
    """``aisc`` as a wheel lays it out, with starter kits of a test's own beside the shipped ones.

    So tiny programs run through the real packages, in the real processes, as starters do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src" / "aisc", folder / "aisc", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "pipelines" / "compiled", folder / "aisc" / "engine" / "compiled")
        shutil.copytree(ROOT / "images" / "starters", folder / "aisc" / "starters")

    def program(self, text: str) -> str:
        """Install a program; gives what a team submits to have it run."""
        kits = self.folder / "aisc" / "starters"
        kit = kits / f"kit-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if not kit.exists():
            kit.mkdir()
            (kit / "run.py").write_text(PROGRAM + text)
        return json.dumps({"format": "aisc.starter/1", "track": kit.name, "name": "plain"})


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An installation that every process uses which a test of this module starts."""
    made = Installation(tmp_path_factory.mktemp("installation"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(made.folder))
        yield made
