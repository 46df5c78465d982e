"""Rounds on Triton, S3 and PostgreSQL, from the compiled packages: the same boards as on the embedded defaults."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from minio import Minio

from aisc.adapters.s3_link import settings_from
from aisc.adapters.triton_program import find_triton
from aisc.adapters.triton_server import Care, TritonServer
from aisc.leaderboard.board import Board
from aisc.leaderboard.diff import diff
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.boards import latest_board
from aisc.synthetic.driving.scenes import make_scenes
from aisc.victims.builtin import builtin_package
from tests.driving_world import blank, ring, write_submission
from tests.pipelines.conftest import PAIRS, VICTIMS, Rig
from tests.services import ceph_rgw, postgresql, triton

FACE, DRIVING = "face/preliminary", "driving/preliminary"
VERIFIERS, DETECTORS = VICTIMS[:3], ("road-anchors", "road-distances")
"""Of the preliminary stages; the same names are in the season file."""
MISSING = [one.MISSING for one in (triton, ceph_rgw, postgresql) if not one.available()]

pytestmark = [
    pytest.mark.xdist_group("local-engine"),
    pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING)),
]


class SlowRig(Rig):
    """A season's folder, on a machine that may be busy with other tests."""

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=1500)
        assert done.returncode == code, done.stdout + done.stderr + self.logs()
        return done.stdout


class Parts(NamedTuple):
    """The real parts, running."""

    server: TritonServer
    s3: Mapping[str, str]
    ledgers: postgresql.Server

    def place(self) -> tuple[str, str]:
        """Make a fresh bucket and a fresh database; gives their addresses."""
        name = f"aisc-{uuid4().hex[:12]}"
        settings = settings_from(f"s3://{name}/season", self.s3)
        keys = {"access_key": settings.access_key, "secret_key": settings.secret_key}
        Minio(settings.endpoint, secure=False, region=settings.region, **keys).make_bucket(name)
        self.ledgers.command(f'CREATE DATABASE "{name}"')
        return f"s3://{name}/season", self.ledgers.url(name)

    def asked(self) -> dict[str, int]:
        """Tell how many pictures each victim was shown since the server began."""
        with urllib.request.urlopen(self.server.metrics_url, timeout=10) as response:  # noqa: S310
            text = response.read().decode()
        return {
            name: int(count) for name, count in re.findall(r'^nv_inference_count{model="([^"]+)".*} (\d+)', text, re.M)
        }


@pytest.fixture(scope="module")
def parts(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Triton with the victims of both tracks, an S3 server and a PostgreSQL server."""
    packages = {name: prepared / "victims" / name for name in VERIFIERS}
    packages |= {name: builtin_package(name) for name in DETECTORS}
    # Never probed, so that nobody but rounds asks; a dead server is started again all the same.
    never = Care(triton.SLOW_S, watch_s=3600)
    with (
        triton.running_triton(packages, tmp_path_factory.mktemp("triton"), never) as served,
        ceph_rgw.running_rgw(Path(tempfile.mkdtemp(prefix="rgw-"))) as endpoint,
        postgresql.running_postgresql() as ledgers,
    ):
        yield Parts(served.server, endpoint.environment, ledgers)


class Place:
    """Where a season's parts are, and the environment that its commands need."""

    def __init__(self, parts: Parts | None) -> None:
        """Choose the real parts, or the embedded ones."""
        self._parts = parts
        self._places = parts.place() if parts else None

    def season(self, track: str) -> str:
        text = season_text("rig", datetime.now(UTC).date(), title="Rig", tracks=[track])
        if self._places:
            for name, address in zip(("store", "ledger"), self._places, strict=True):
                text, count = re.subn(rf"^{name}: \S+", f"{name}: {address}", text, flags=re.M)
                assert count == 1
        return text

    @contextmanager
    def environment(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            if self._parts:
                for name, value in {**self._parts.s3, **self._parts.server.endpoint.environment}.items():
                    patch.setenv(name, value)
            yield


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str, Place], Rig]]:
    """Give a function that makes an empty season; what still runs for it ends with the test."""
    made: list[Rig] = []

    def make(track: str, place: Place) -> Rig:
        rig = SlowRig(tmp_path / f"season-{len(made)}")
        rig.folder.mkdir()
        rig.season.write_text(place.season(track))
        made.append(rig)
        return rig

    yield make
    for rig in made:
        for process in rig.processes():
            process.kill()


def send(rig: Rig, stage: str, files: Mapping[str, Path]) -> None:
    with rig.open() as workspace:
        for team, file in files.items():
            workspace.bench.ledger.teams.add(team)
            receive(workspace.bench, workspace.season, stage, team, file)


def fill_face(rig: Rig, prepared: Path, teams: Sequence[str] = ("Alpha", "Beta", "Gamma")) -> None:
    """Bring in six pairs, six victims, and submissions of which Gamma's breaks the rules."""
    with rig.open() as workspace:
        workspace.bench.register("data", "faces/pairs", prepared / "pairs")
        for name in VICTIMS:
            workspace.bench.register("victim", name, prepared / "victims" / name)
    send(rig, FACE, {team: prepared / f"{team}.zip" for team in teams})


def fill_driving(rig: Rig, scenes: Path) -> None:
    """Bring in rendered scenes, the shipped detectors, and two patches."""
    with rig.open() as workspace:
        workspace.bench.register("data", "driving/truck", scenes)
        for name in DETECTORS:
            workspace.bench.register("victim", name, builtin_package(name))
    canvases = {"Ring": ring(500), "Blank": blank()}
    send(rig, DRIVING, {
        team: write_submission(rig.folder / f"{team}.zip", truck=canvas) for team, canvas in canvases.items()
    })  # fmt: skip


def board_of(rig: Rig, stage: str) -> Board:
    with rig.open() as workspace:
        board = latest_board(workspace.bench, stage)
    assert board is not None, rig.logs()
    return board


def essence(board: Board) -> list[object]:
    """Everything that a board says of teams, without submissions' numbers and times, which are each season's own."""
    own = {"submission", "submitted_at", "evaluated_at"}
    plain = board.as_json()
    rows = [row["entry"] | {"rank": row["rank"]} for row in plain["ranked"]] + plain["unranked"]
    return [{key: value for key, value in row.items() if key not in own} for row in rows]


def check_same(embedded: Board, real: Board) -> None:
    change = diff(embedded, real)
    assert (change.version, change.changed) == ((), ())
    assert essence(real) == essence(embedded)


def check_nothing_is_embedded(rig: Rig) -> None:
    names = {path.name for path in rig.folder.iterdir()}
    assert not names & {"artifacts", "ledger.db"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short drives towards a truck."""
    folder = tmp_path_factory.mktemp("scenes")
    make_scenes(folder, ["truck"], frames=9, jobs=2)
    return folder


@pytest.fixture(scope="module")
def face_board(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Board:
    """The face board of the embedded parts."""
    rig, place = SlowRig(tmp_path_factory.mktemp("embedded")), Place(None)
    rig.season.write_text(place.season("face"))
    fill_face(rig, prepared)
    rig.run("round", "run", FACE)
    board = board_of(rig, FACE)
    assert len({row.entry.score for row in board.ranked}) == 2, "a test that cannot tell teams apart shows nothing"
    return board


def test_a_face_round_on_the_real_parts_gives_the_same_board(parts, begin, prepared, face_board) -> None:
    place = Place(parts)
    with place.environment():
        rig = begin("face", place)
        fill_face(rig, prepared)
        before = parts.asked()
        rig.run("round", "run", FACE)
        check_same(face_board, board_of(rig, FACE))
        rig.run("leaderboard", "verify", FACE)
    check_nothing_is_embedded(rig)
    asked = {name: count - before.get(name, 0) for name, count in parts.asked().items()}
    assert set(face_board.version.victims) == set(VERIFIERS)
    assert all(asked[name] >= 2 * PAIRS for name in VERIFIERS), asked
    assert not any(asked[name] for name in DETECTORS)


def test_a_driving_round_on_the_real_parts_gives_the_same_board(parts, begin, scenes) -> None:
    boards = []
    for place in (Place(None), Place(parts)):
        with place.environment():
            rig = begin("driving", place)
            fill_driving(rig, scenes)
            before = parts.asked()
            rig.run("round", "run", DRIVING)
            boards.append(board_of(rig, DRIVING))
            asked = {name: count - before.get(name, 0) for name, count in parts.asked().items()}
            assert [name for name in DETECTORS if asked[name]] == (list(DETECTORS) if len(boards) == 2 else [])
    check_same(*boards)
    check_nothing_is_embedded(rig)
    parts_of = {row.entry.team: {part.name: part.value for part in row.entry.parts} for row in boards[0].ranked}
    assert parts_of["Ring"]["suppression"] > parts_of["Blank"]["suppression"], "equal teams would show nothing"


def until(true: Callable[[], bool], going: subprocess.Popen[bytes], rig: Rig) -> None:
    deadline = time.monotonic() + 600
    while not true():
        assert time.monotonic() < deadline, rig.logs()
        assert going.poll() is None, rig.logs()
        time.sleep(0.05)


def asking(rig: Rig) -> list[str]:
    """Give the runs that are asking victims now."""
    with rig.open() as workspace:
        runs = workspace.bench.ledger.runs
        return [
            run.run_key
            for run in runs.all(stage=FACE)
            for step in runs.steps(run.run_key)
            if step.name == "query_victims" and step.finished_at is None
        ]


def test_F04_triton_killed_and_started_again_in_mid_round_gives_the_same_board(
    parts, begin, prepared, face_board
) -> None:
    place = Place(parts)
    with place.environment():
        rig = begin("face", place)
        fill_face(rig, prepared, teams=["Alpha"])
        rig.run("round", "run", FACE)
        send(rig, FACE, {team: prepared / f"{team}.zip" for team in ("Beta", "Gamma")})
        restarts = parts.server.restarts
        os.killpg(parts.server.pid, signal.SIGSTOP)  # it takes questions and answers none, until it is dead
        words = rig.command("round", "run", FACE)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as going:
            try:
                until(lambda: bool(asking(rig)), going, rig)
                (interrupted,) = asking(rig)
            finally:
                os.killpg(parts.server.pid, signal.SIGKILL)
            assert going.wait(timeout=900) == 0, rig.logs()
        assert parts.server.restarts == restarts + 1
        check_same(face_board, board_of(rig, FACE))
        with rig.open() as workspace:
            (step,) = [one for one in workspace.bench.ledger.runs.steps(interrupted) if one.name == "query_victims"]
        assert (step.begun, step.attempt) == (1, 1), "the outage cost no attempt"


def test_victims_serve_says_how_rounds_reach_it_and_ends_with_ctrl_c(begin, prepared, face_board, monkeypatch) -> None:
    rig = begin("face", Place(None))
    fill_face(rig, prepared)
    words = rig.command("victims", "serve", FACE, "--json")
    monkeypatch.setenv("AISC_TRITON", str(Path(find_triton(os.environ, triton.FOLDER)).parent))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            said = json.loads("".join(iter(serving.stdout.readline, "}\n")) + "}")
            assert said["victims"] == sorted(face_board.version.victims)
            for name, value in said["environment"].items():
                monkeypatch.setenv(name, value)
            rig.run("round", "run", FACE)
            check_same(face_board, board_of(rig, FACE))
            with urllib.request.urlopen(said["metrics"], timeout=10) as response:  # noqa: S310
                assert set(said["victims"]) == set(
                    re.findall(r'^nv_inference_count{model="([^"]+)"', response.read().decode(), re.M)
                )
        finally:
            serving.send_signal(signal.SIGINT)
        assert serving.wait(timeout=300) == 0, serving.stderr.read()
    assert rig.processes() == []
