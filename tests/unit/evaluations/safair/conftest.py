"""A SAFAIR season of 24 hidden images: real data, classifiers, ledger, store, processes; teams' programs are tiny."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.datasets.attribute_faces import Faces, read_faces
from aisc.evaluations import programs
from aisc.ledger import open_ledger
from aisc.ledger.leases import this_process
from aisc.ledger.runs import Run, Score
from aisc.ledger.submissions import Receipt
from aisc.reception import receive
from aisc.sandbox import starters
from aisc.sandbox.collector import Collected, collect_outputs
from aisc.sandbox.contract import Evidence, SandboxResult, Verdict
from aisc.sandbox.running import Ran, Task
from aisc.season import Season
from aisc.stages.compute_metrics import compute_metrics
from aisc.stages.ingest_submission import ingest_submission
from aisc.stages.perturb_images import perturb_images
from aisc.stages.publish_result import publish_result
from aisc.stages.query_victims import query_victims
from aisc.stages.run_submission import run_submission
from aisc.stages.sweep_stage import sweep_stage
from aisc.stages.validate_submission import validate_submission
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.victims.builtin import builtin_package
from aisc.workbench import Workbench, unpack

IMAGES = 24
VICTIMS = {"attack": ["{}-fgsm", "{}-undefended"], "defence": ["{}-undefended"]}


def _stage(task: str, side: str) -> dict[str, Any]:
    return {
        "opens": "2022-03-01T00:00:00", "closes": "2022-05-01T00:00:00", "data": f"safair/{task}", "entries": "best",
        "victims": [name.format(task) for name in VICTIMS[side]], "quota": {"per_day": 2, "total": 3},
        "limits": {"second_pass": 0, "memory_mib": 1024}, "rounding": 3, "advance": {"top": 5},
    }  # fmt: skip


SEASON: dict[str, Any] = {
    "season": "safair", "timezone": "UTC", "store": "./artifacts", "ledger": "sqlite:///ledger.db",
    "tracks": {
        f"{task}-{side}": {"rules": f"safair-{side}", "stages": {"initial": _stage(task, side)}}
        for task in ("reid", "attributes") for side in ("attack", "defence")
    },
}  # fmt: skip


class Judged(NamedTuple):
    """What became of a submission."""

    receipt: Receipt
    run: Run
    score: Score | None
    findings: dict[str, int]
    record: dict[str, Any]
    bundle: Path
    folder: Path


@dataclass
class Arena:
    """Everything that an evaluation works with, and words to hold one."""

    bench: Workbench
    season: Season
    folder: Path
    faces: dict[str, Path]
    ends: Verdict | None = None
    now: datetime = datetime(2022, 3, 10, 12, tzinfo=UTC)

    def set_victims(self, track: str, *names: str) -> None:
        """Let other models stand behind a stage."""
        season = deepcopy(SEASON)
        season["tracks"][track]["stages"]["initial"]["victims"] = list(names)
        self.season = Season.model_validate(season)

    def limit(self, track: str, **changed: Any) -> None:
        """Change limits of a stage before anything is evaluated."""
        season = deepcopy(SEASON)
        season["tracks"][track]["stages"]["initial"]["limits"].update(changed)
        self.season = Season.model_validate(season)

    def oracle(self, task: str = "reid") -> str:
        """Write a defence that knows the hidden images and names the nearest one: right on all, clean or probed."""
        truth = self.hidden(task)
        rows = truth.people[:, None] if task == "reid" else truth.attributes.astype(int)
        known = dict(zip(truth.names, rows.tolist(), strict=True))
        return f"""
known = {known!r}
clean = {{name: cv2.imread({str(self.faces[task] / "hidden")!r} + "/" + name).astype(int) for name in known}}
def see(picture):
    return known[min(clean, key=lambda name: np.abs(clean[name] - picture).sum())]
"""

    def hidden(self, task: str) -> Faces:
        """Give the truth."""
        return read_faces(self.faces[task], "hidden")

    def submit(self, track: str, team: str, program: str, filename: str = "") -> Receipt:
        """Send a program, one second after whatever came before."""
        self.now += timedelta(seconds=1)
        if team not in [known.name for known in self.bench.ledger.teams.all()]:
            self.bench.ledger.teams.add(team)
        kits = self.folder / "kits"
        slug = f"kit-{len(list(kits.iterdir()))}"
        (kits / slug).mkdir()
        (kits / slug / "run.py").write_text(HEAD + program)
        file = self.folder / (filename or f"{slug}.json")
        file.write_text(json.dumps({"format": starters.FORMAT, "track": slug, "name": "plain"}))
        return receive(self.bench, self.season, f"{track}/initial", team, file)

    def judge(self, track: str, team: str, program: str) -> Judged:
        """Send a program and evaluate it, step by step as the pipeline does."""
        receipt = self.submit(track, team, program)
        stage = f"{track}/initial"
        sweep_stage(self.bench, self.season, stage)
        (run,) = self.bench.ledger.runs.all(stage=stage, submission=receipt.id)
        place = self.folder / receipt.id
        place.mkdir()
        attempt = self.bench.ledger.runs.claim(run.run_key, this_process())
        bench = Workbench(self.bench.ledger, self.bench.store, self.bench.cache, attempt)
        _evaluate(bench, run.run_key, place, track.rpartition("-")[2])
        run = self.bench.ledger.runs.get(run.run_key)
        bundle = place / "bundle"
        bundle.mkdir()
        self.bench.store.fetch(str(run.result_key), place / "bundle.tar")
        unpack(place / "bundle.tar", bundle)
        record = json.loads((place / "verdicts").read_text())
        counts = json.loads((place / "findings").read_text())["counts"]
        return Judged(receipt, run, self.bench.ledger.runs.score(run.run_key), counts, record, bundle, place)


def _evaluate(bench: Workbench, key: str, place: Path, side: str) -> None:
    files = {name: place / name for name in ("content", "verdicts", "findings")}
    ingest_submission(bench, key, archive=place / "archive")
    if validate_submission(bench, key, archive=place / "archive", **files) != "accepted":
        publish_result(bench, key, scores=None, **files)
        return
    if side == "defence":
        perturb_images(bench, key, probes=place / "probes")
    if run_submission(bench, key, archive=place / "archive", **files) != "completed":
        publish_result(bench, key, scores=None, **files)
        return
    known, answers = {name: files[name] for name in ("content", "verdicts")}, files["content"]
    if side == "attack":
        answers = place / "answers"
        query_victims(bench, key, answers=answers, **known)
    compute_metrics(bench, key, answers=answers, scores=place / "scores", **known)
    publish_result(bench, key, scores=place / "scores", **files)


HEAD = """
import csv, json, sys
import cv2
import numpy as np
task = json.loads((source / "task.json").read_text())
names = sorted(path.name for path in (source / "images").iterdir())
read = lambda name: cv2.imread(str(source / "images" / name)).astype(int)
write = lambda name, picture: cv2.imwrite(str(target / name), picture)
columns = ["person"] if task["task"] == "reid" else task["attributes"]
def answer(rows):
    with (target / "predictions.csv").open("w") as file:
        print("image", *columns, sep=",", file=file)
        for name, row in rows: print(name, *row, sep=",", file=file)
"""


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both tasks' datasets, rendered."""
    made = {}
    for task in ("reid", "attributes"):
        made[task] = tmp_path_factory.mktemp(task)
        make_faces(FacesSpec(task, 7, hidden=IMAGES, train=6, val=4), made[task])  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One machine's cache: what is derived depends on digests alone."""
    return tmp_path_factory.mktemp("cache")


def run_here(arena: Arena, archive: Path, task: Task, output: Path, *rest: object) -> Ran:
    """Run a program in this process, which saves it the import of its libraries; the collector is the real one.

    Args:
        arena: Its ``ends`` is the verdict, where a test wants another one than the program's own.
        archive: Names the program.
        task: What it is run on.
        output: Where the collected files go.
        rest: Cache, driver and digest, which no plain program needs.
    """
    name = starters.named_starter(archive)
    assert name is not None
    program = (starters.starter_folder(name.track) / starters.PROGRAM).read_text()
    written = arena.folder / f"output-{len(list(arena.folder.iterdir()))}"
    written.mkdir()
    log, verdict = b"", Verdict.COMPLETED
    try:
        exec(program, {"source": task.input, "target": written})  # noqa: S102 - a test's own text
    except (Exception, SystemExit) as error:
        log, verdict = repr(error).encode(), Verdict.CRASHED
    verdict = arena.ends or verdict
    collected = Collected((), False, ())
    if task.request(name.digest, output).keeps(verdict):
        collected = collect_outputs(written, output, task.outputs, task.limits)
        assert not collected.crossed
    evidence = Evidence(exit_code=0, wall_seconds=1.0)
    return Ran(name, SandboxResult(verdict, evidence, starters.DRIVER, collected.names, collected.findings, log))


@pytest.fixture
def arena(
    tmp_path: Path, faces: dict[str, Path], shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Arena]:
    """A season that takes submissions, its data and victims registered, and no team yet."""
    kits = tmp_path / "kits"
    kits.mkdir()
    monkeypatch.setattr(starters, "starter_folder", lambda track: kits / track)
    made: list[Arena] = []
    monkeypatch.setattr(programs, "run_image", lambda *words: run_here(made[0], *words))
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", create=True, clock=lambda: made[0].now)
    bench = Workbench(ledger, FolderStore(tmp_path / "store"), shared_cache)
    made.append(Arena(bench, Season.model_validate(SEASON), tmp_path, faces))
    for task, folder in faces.items():
        bench.register("data", f"safair/{task}", folder)
        for name in (f"{task}-fgsm", f"{task}-undefended"):
            bench.register("victim", name, builtin_package(name))
    yield made[0]
    ledger.close()
