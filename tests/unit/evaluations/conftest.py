"""A deepfake season with hand-made hidden sets, and its programs' steps one after the other in this process."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.evaluations import programs
from aisc.identity import Plan
from aisc.leaderboard.board import Board
from aisc.leaderboard.signing import make_key
from aisc.ledger import open_ledger
from aisc.ledger.leases import this_process
from aisc.ledger.runs import Run
from aisc.ledger.submissions import Receipt
from aisc.reception import receive
from aisc.sandbox import running
from aisc.sandbox.attacks import Attack
from aisc.sandbox.base_image import write_image
from aisc.sandbox.choose import Choice
from aisc.sandbox.conformance import ensure_conformance
from aisc.sandbox.contract import Evidence, SandboxDriver, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus import Attempt, CorpusReport
from aisc.sandbox.kept_image import CheckedImage
from aisc.season import Season
from aisc.stages.compute_metrics import compute_metrics
from aisc.stages.ingest_submission import ingest_submission
from aisc.stages.publish_leaderboard import PUBLIC_KEY, publish_leaderboard
from aisc.stages.publish_result import publish_result
from aisc.stages.rank_stage import rank_stage
from aisc.stages.run_submission import run_submission
from aisc.stages.sweep_stage import sweep_stage
from aisc.stages.validate_submission import validate_submission
from aisc.workbench import Workbench

MEMORY = "/dev/shm"  # noqa: S108 - the folder is made by tempfile
PRELIMINARY, FINAL = "deepfake/preliminary", "deepfake/final"
CANARY = "canary-" + "c0ffee11" * 4
LABELS = ("blend", "peaks")
NEW = "residue"
PROBES = 6  # of each label
GALLERY = 5
SEASON = {
    "season": "rig",
    "timezone": "UTC",
    "store": "./artifacts",
    "ledger": "sqlite:///ledger.db",
    "tracks": {
        "deepfake": {
            "rules": "source-identification",
            "stages": {
                "preliminary": {
                    "opens": "2022-03-01T00:00:00",
                    "closes": "2022-05-01T00:00:00",
                    "data": PRELIMINARY,
                    "attempts": 1,
                    "seed": 3,
                },
                "final": {
                    "opens": "2022-03-01T00:00:00",
                    "closes": "2022-05-01T00:00:00",
                    "data": FINAL,
                    "review": "required",
                },
            },
        }
    },
}

Answer = Callable[[SandboxRequest], SandboxResult]


class Driver:
    """A driver that writes down what it is asked for and does what a test says; its corpus is the test's, too."""

    name = "driver+x"

    def __init__(self) -> None:
        self.requests: list[SandboxRequest] = []
        self.answer: Answer = lambda request: SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), self.name)
        self.escapes: tuple[str, ...] = ()
        self.proofs = 0

    def versions(self) -> Mapping[str, str]:
        return {}

    def admit(self, image: CheckedImage) -> None:
        """Take every image."""

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        return replace(self.answer(request), driver=self.name)

    def corpus(self, driver: SandboxDriver) -> CorpusReport:
        self.proofs += 1
        attack = Attack("T01_a", Path("x.sh"), "an attack", ("T01",), Verdict.COMPLETED)
        return CorpusReport(self.name, (Attempt(attack, Verdict.COMPLETED, self.escapes, 0.1),), ())


@dataclass
class Contest:
    """Everything that a round works with."""

    bench: Workbench
    season: Season
    folder: Path
    driver: Driver
    archives: dict[str, Path] = field(default_factory=dict)

    def with_limits(self, **limits: Any) -> None:
        """Give both stages these limits from now on."""
        value: Any = json.loads(json.dumps(SEASON))
        for stage in value["tracks"]["deepfake"]["stages"].values():
            stage["limits"] = limits
        self.season = Season.model_validate(value)

    def image(self, name: str = "image", **config: Any) -> bytes:
        """Make the smallest archive of an image; other names are other images."""
        path = self.folder / "image.tar"
        write_image(path, bytes(10240), {"Cmd": [f"/{name}"], **config})
        return path.read_bytes()

    def submit(self, content: bytes, team: str = "Red", stage: str = PRELIMINARY) -> Receipt:
        """Send a file."""
        if team not in {known.name for known in self.bench.ledger.teams.all()}:
            self.bench.ledger.teams.add(team)
        file = self.folder / "sent.tar"
        file.write_bytes(content)
        return receive(self.bench, self.season, stage, team, file)

    def claimed(self, receipt: Receipt) -> tuple[Workbench, Plan]:
        """Queue a submission and begin its first attempt."""
        runs = self.bench.ledger.runs
        sweep_stage(self.bench, self.season, receipt.stage)
        (run,) = runs.all(stage=receipt.stage, submission=receipt.id)
        bench = replace(self.bench, attempt=runs.claim(run.run_key, this_process()))
        return bench, runs.plan(run.run_key)

    def evaluate(self, receipt: Receipt) -> Run:
        """Do every step of the deepfake package, as pipelines/deepfake.py orders them."""
        bench, plan = self.claimed(receipt)
        key = plan.run_key
        archive = self.folder / f"{key}-archive"
        ingest_submission(bench, key, archive=archive)
        kept, scores = self.files(key, "validate"), None
        if validate_submission(bench, key, archive=archive, **kept) == "accepted":
            kept = self.files(key, "run")
            if run_submission(bench, key, archive=archive, **kept) == "completed":
                said = {name: kept[name] for name in ("content", "verdicts")}
                scores = self.folder / f"{key}-scores"
                compute_metrics(bench, key, answers=kept["content"], scores=scores, **said)
        publish_result(bench, key, scores=scores, **kept)
        return bench.ledger.runs.get(key)

    def files(self, key: str, step: str) -> dict[str, Path]:
        """Name a step's outputs."""
        return {name: self.folder / f"{key}-{step}-{name}" for name in ("content", "verdicts", "findings")}

    def record(self, run: Run) -> dict[str, Any]:
        """Read what organizers know of a run."""
        value: dict[str, Any] = json.loads(self.files(run.run_key, "run")["verdicts"].read_text())
        return value

    def publish(self, stage: str = PRELIMINARY) -> Board:
        """Rank and publish."""
        key = self.folder / "keys" / "board-key.pem"
        if not key.exists():
            key.parent.mkdir()
            make_key(key, key.with_name(PUBLIC_KEY))
        return publish_leaderboard(self.bench, self.season, stage, rank_stage(self.bench, self.season, stage), key)

    def team_can_read(self) -> bytes:
        """Give everything that leaves towards teams and the public: bundles, boards, pages, words of the ledger."""
        store = self.folder / "store"
        files = [path for name in ("results", "site", "boards") for path in (store / name).rglob("*") if path.is_file()]
        words = [f"{run.code} {run.message}" for run in self.bench.ledger.runs.all()]
        return b"".join(path.read_bytes() for path in files) + "\n".join(words).encode()


def _write_set(folder: Path, stage: str) -> None:
    """Write a hidden set: a colour a label, two labels that the gallery has and, in a final, a new one."""
    rng = np.random.default_rng(5)
    rows = ["id,set,label,group"]
    final = stage == "final"
    counts = {"probe": PROBES, "gallery": GALLERY}
    for part, count in counts.items():
        (folder / part).mkdir(parents=True)
        for number, label in enumerate((*LABELS, *([NEW] if final and part == "probe" else []))):
            for _ in range(count):
                name = rng.bytes(8).hex()
                picture = rng.integers(0, 8, (112, 112, 3)) + 60 * number
                cv2.imwrite(str(folder / part / f"{name}.png"), picture.astype(np.uint8))
                rows.append(f"{name},{part},{label},{'new' if label == NEW else 'labelled'}")
    (folder / "truth.csv").write_text("\n".join(rows) + "\n")
    (folder / "canary.txt").write_text(CANARY + "\n")
    asked = {
        "format": "aisc.deepfake-task/1", "stage": stage, "neighbours": 5, "novelty": final,
        "probes": counts["probe"] * (3 if final else 2), "gallery": counts["gallery"] * 2, "result": "result.csv",
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(asked))


@pytest.fixture(scope="session")
def hidden_sets(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The hidden set of each stage."""
    folder = tmp_path_factory.mktemp("sets")
    for stage in ("preliminary", "final"):
        _write_set(folder / stage, stage)
    return MappingProxyType({f"deepfake/{stage}": folder / stage for stage in ("preliminary", "final")})


@pytest.fixture
def contest(hidden_sets: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Contest]:
    """A season with its data, no team yet, and a machine whose sandbox is in the test's hand."""
    driver = Driver()
    choice = Choice(driver, ("docker+runsc: no daemon",))
    monkeypatch.setattr(programs, "machine_choice", lambda *_: choice)
    monkeypatch.setattr(programs, "ensure_conformance", partial(ensure_conformance, corpus=driver.corpus))
    monkeypatch.setattr(programs, "run_image", partial(running.run_image, choose=lambda *_: choice))
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        folder = Path(name)
        clock = lambda: datetime(2022, 3, 10, 12, tzinfo=UTC)  # noqa: E731 - a clock that stands still
        ledger = open_ledger(f"sqlite:///{folder}/ledger.db", create=True, clock=clock)
        (folder / "cache").mkdir()
        bench = Workbench(ledger, FolderStore(folder / "store"), folder / "cache")
        for stage, place in hidden_sets.items():
            bench.register("data", stage, place)
        yield Contest(bench, Season.model_validate(SEASON), folder, driver)
        ledger.close()
