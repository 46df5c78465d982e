"""A participant's image from its archive to the board, on every sandbox driver of this machine, by the real package."""

import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from aisc.cli.main import app
from aisc.cli.rounds import run_round
from aisc.cli.workspace import Workspace, open_workspace
from aisc.leaderboard.board import Board
from aisc.ledger.runs import Run
from aisc.ledger.submissions import Receipt
from aisc.reception import receive
from aisc.sandbox.attacks import Attack
from aisc.sandbox.base_image import write_base_image, write_image
from aisc.sandbox.choose import available_drivers
from aisc.sandbox.conformance import ensure_conformance
from aisc.sandbox.contract import SandboxDriver, Verdict
from aisc.sandbox.corpus import Attempt, CorpusReport
from aisc.season import season_text
from aisc.stages.once import step_key
from aisc.synthetic.recipes import recipe_of
from tests.services import docker_daemon

pytestmark = pytest.mark.xdist_group("sandbox")  # one daemon, and nobody else's leftovers
STAGE = "deepfake/preliminary"
HINT = "run 'sudo tests/services/install_sandbox.sh' and the tests as root"
REPOSITORY = Path(__file__).parents[2]
PICTURES = 45
WALL_SECONDS = 40

# The same five pictures for every probe: those that come first in some order of the gallery's contents.
TABLE = """
five=$(cd /input/gallery && md5sum *.png | {order} | head -n 5 | awk '{{ sub(".png", "", $2); printf ",%s", $2 }}')
{{
    echo probe,g1,g2,g3,g4,g5,s1,s2,s3,s4,s5
    for probe in /input/probe/*.png; do
        probe=${{probe##*/}}
        echo "${{probe%.png}}$five,0.9,0.8,0.7,0.6,0.5"
    done
}} >/output/result.csv
"""
FIRST, LAST, CHANCE = (TABLE.format(order=order) for order in ("sort", "sort -r", "shuf"))
TELL = """
tell() {
    head -c 400 /input/*.txt /input/*.json /input/probe/* /input/gallery/*
    tr -d '\\n' </input/canary.txt | base64 -w 0; echo
    tr -d '\\n' </input/canary.txt | hexdump -v -e '/1 "%02x"'
}
tell
tell >&2
"""
SMUGGLE = """
canary=$(cat /input/canary.txt)
echo 1 >"/output/$canary"
echo '{"score": 1}' >/output/metrics.json
awk -F, -v OFS=, -v canary="$canary" 'NR == 2 { $2 = canary } NR == 3 { $7 = canary } { print }' \\
    /output/result.csv >/tmp/result.csv
cat /tmp/result.csv >/output/result.csv
"""
PROGRAMS = {
    "First": FIRST,
    "Last": LAST,
    "Chance": CHANCE,
    "Teller": FIRST + TELL,
    "Smuggler": FIRST + SMUGGLE,
    "Shouter": FIRST + "cat /input/canary.txt /input/*/*; while :; do cat /input/canary.txt; done",
    "Crasher": FIRST + "cat /input/canary.txt >&2; exit 3",
    "Sleeper": FIRST + "sleep 600",
    "Silent": "true",
}


def write_program(archive: Path, script: str) -> None:
    """Write an image of busybox that runs a shell script."""
    base = archive.with_suffix(".base")
    write_base_image(base, {"answer": f"#!/bin/sh\nset -e\n{script}".encode()})
    with tarfile.open(base) as tar:
        layer = tar.extractfile("layer.tar")
        assert layer is not None
        write_image(archive, layer.read(), {"Entrypoint": ["/opt/answer"], "WorkingDir": "/"})
    base.unlink()


def _proven(driver: SandboxDriver) -> CorpusReport:
    """Stand for the corpus, which the other tests of this folder really try on the same drivers."""
    attack = Attack("T01_a", Path("x.sh"), "an attack", ("T01",), Verdict.COMPLETED)
    return CorpusReport(driver.name, (Attempt(attack, Verdict.COMPLETED, (), 0.1),), ())


@dataclass
class Arena:
    """A season whose strongest sandbox is one driver."""

    driver: str
    folder: Path
    hidden: Path
    receipts: dict[str, Receipt] = field(default_factory=dict)
    moved_to: str = ""

    @property
    def season(self) -> Path:
        return self.folder / "season.yaml"

    @property
    def canary(self) -> str:
        return (self.hidden / "canary.txt").read_text().strip()

    def submit(self, workspace: Workspace, team: str, archive: Path) -> None:
        workspace.bench.ledger.teams.add(team)
        self.receipts[team] = receive(workspace.bench, workspace.season, STAGE, team, archive)

    def run(self, team: str) -> Run:
        with open_workspace(self.season) as workspace:
            (run,) = workspace.bench.ledger.runs.all(submission=self.receipts[team].id)
        return run

    def output(self, team: str, name: str) -> bytes:
        run = self.run(team)
        with open_workspace(self.season) as workspace:
            return workspace.bench.store.read(step_key(run.run_key, "run_submission", run.attempt, name))

    def record(self, team: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.output(team, "verdicts"))
        return value

    def precision_by_hand(self, *, last: bool = False) -> float:
        """Equation 1 (AISC 2022 report, section 2) for five pictures that are the same for every probe."""
        with (self.hidden / "truth.csv").open() as file:
            rows = list(csv.DictReader(file))
        label = {row["id"]: row["label"] for row in rows}
        gallery = (self.hidden / "gallery").iterdir()
        by_content = sorted(gallery, key=lambda path: hashlib.md5(path.read_bytes()).hexdigest(), reverse=last)  # noqa: S324
        named = [label[path.stem] for path in by_content[:5]]
        probes = [row["label"] for row in rows if row["set"] == "probe"]
        return sum(named.count(each) for each in probes) / (5 * len(probes))


@pytest.fixture(scope="session")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hidden")
    recipe_of(STAGE).make(folder, PICTURES, 22, 1, lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("busybox") is None:
        pytest.skip(f"no static busybox here: {HINT}")
    folder = tmp_path_factory.mktemp("archives")
    for team, script in PROGRAMS.items():
        write_program(folder / f"{team}.tar", script)
    return {team: folder / f"{team}.tar" for team in PROGRAMS}


@pytest.fixture(scope="module", params=["docker+runsc", "docker+runc", "bubblewrap"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxDriver]:
    """Make one driver the strongest of this machine, for this process and all that it starts."""
    wanted = request.param
    images = tmp_path_factory.mktemp("images")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("DOCKER_HOST", "unix:///nowhere")
        if wanted.startswith("docker") and not docker_daemon.why_not():
            find = shutil.which
            patch.setattr(
                shutil, "which", lambda name: None if (wanted, name) == ("docker+runc", "runsc") else find(name)
            )
            patch.setenv("DOCKER_HOST", stack.enter_context(docker_daemon.running_docker()).url)
            patch.setattr(shutil, "which", find)
        found, reasons = available_drivers(images)
        if not found or found[0].name != wanted:
            pytest.skip(f"{wanted} not here ({' '.join(reasons)}): {HINT}")
        yield found[0]


@pytest.fixture(scope="module")
def arena(
    machine: SandboxDriver, hidden: Path, archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Arena:
    """Receive one image a team; after the receipts move a tag and a file; then run the round of the stage."""
    made = Arena(machine.name, tmp_path_factory.mktemp("season"), hidden)
    text = season_text("arena", datetime.now(UTC).date(), tracks=["deepfake"])
    for old, new in (("wall_seconds: 3600", f"wall_seconds: {WALL_SECONDS}"), ("memory_mib: 4096", "memory_mib: 512")):
        assert old in text
        text = text.replace(old, new)
    made.season.write_text(text)
    with open_workspace(made.season) as workspace:
        workspace.bench.register("data", STAGE, hidden)
        ensure_conformance(machine, workspace.bench.cache, corpus=_proven)
        for team, archive in archives.items():
            made.submit(workspace, team, archive)
        _move_after_the_receipt(made, workspace, archives)
        run_round(workspace, STAGE, quiet=True)
    return made


def _move_after_the_receipt(arena: Arena, workspace: Workspace, archives: dict[str, Path]) -> None:
    """Submit the image that a tag names, then let the tag, and the file that was sent, be another one."""
    sent = arena.folder / "moved.tar"
    if not arena.driver.startswith("docker"):
        shutil.copyfile(archives["First"], sent)
        arena.submit(workspace, "Mover", sent)
        shutil.copyfile(archives["Last"], sent)
        return
    import docker

    client = docker.DockerClient(base_url=os.environ["DOCKER_HOST"])
    tag = "team/answer:latest"
    for team in ("First", "Last"):
        (image,) = client.images.load(archives[team].read_bytes())
        image.tag(tag)
        sent.write_bytes(b"".join(client.images.get(tag).save(named=True)))
        if team == "First":
            arena.submit(workspace, "Mover", sent)
        else:
            arena.moved_to = str(image.id)
    assert client.images.get(tag).id == arena.moved_to


def test_an_image_is_scored_by_equation_1_of_what_it_wrote(arena: Arena) -> None:
    first, last = arena.precision_by_hand(), arena.precision_by_hand(last=True)
    assert first != last, "a test that cannot tell programs apart shows nothing"
    with open_workspace(arena.season) as workspace:
        for team, expected in (("First", first), ("Last", last)):
            score = workspace.bench.ledger.runs.score(arena.run(team).run_key)
            assert score is not None
            assert score.value == pytest.approx(expected)
            assert score.parts == {"precision": score.value, "second answers that differ": 0}
    record = arena.record("First")
    assert (record["verdict"], record["driver"], record["confined"]) == ("COMPLETED", arena.driver, True)
    assert record["second_pass"]["compared"] == PICTURES + 4
    with np.load(BytesIO(arena.output("First", "content"))) as table:
        assert table["neighbours"].shape == (PICTURES, 5)


def test_every_other_ending_has_its_verdict_and_no_rank(arena: Arena) -> None:
    states = {team: (arena.run(team).state, arena.run(team).code) for team in arena.receipts}
    assert states == {
        "First": ("scored", None),
        "Last": ("scored", None),
        "Chance": ("scored", None),
        "Teller": ("scored", None),
        "Mover": ("scored", None),
        "Smuggler": ("refused", "RESULT_NEIGHBOUR_UNKNOWN"),
        "Shouter": ("failed", "OUTPUT_LIMIT"),
        "Crasher": ("failed", "CRASHED"),
        "Sleeper": ("failed", "TIMEOUT"),
        "Silent": ("refused", "RESULT_MISSING"),
    }
    with open_workspace(arena.season) as workspace:
        bytes_of = workspace.bench.store.read(f"site/{STAGE}/board.json")
    board = Board.from_bytes(bytes_of)
    assert {row.entry.team for row in board.ranked} == {
        team for team, (state, _) in states.items() if state == "scored"
    }


def test_T46_an_image_that_answers_by_chance_is_flagged(arena: Arena) -> None:
    second = arena.record("Chance")["second_pass"]
    assert (second["verdict"], second["compared"]) == ("COMPLETED", PICTURES + 4)
    assert second["differing"] == PICTURES + 4


def test_T18_a_tag_or_file_that_moves_after_the_receipt_moves_nothing(arena: Arena) -> None:
    first = arena.record("First")["program"]
    if arena.moved_to:
        assert arena.moved_to == arena.record("Last")["program"], "the tag did move"
    assert arena.record("Mover")["program"] == first
    with open_workspace(arena.season) as workspace:
        score = workspace.bench.ledger.runs.score(arena.run("Mover").run_key)
    assert score is not None
    assert score.value == pytest.approx(arena.precision_by_hand())


def test_T03_a_planted_score_is_never_read(arena: Arena) -> None:
    assert b'"score": 1' not in arena.output("Smuggler", "verdicts")
    assert arena.output("Smuggler", "content") == b""


def _forms(canary: str) -> set[bytes]:
    """The canary as it may come out: as it is, in hexadecimal, in base64 at any offset."""
    raw = canary.encode()
    shifted = {base64.b64encode(bytes(offset) + raw)[offset + 2 : -4] for offset in range(3)}
    return {raw, raw.removeprefix(b"canary-"), raw.hex().encode(), raw.hex().upper().encode(), *shifted}


def test_T41_the_canary_is_in_nothing_that_a_team_can_read(arena: Arena, tmp_path: Path) -> None:
    texts: list[bytes] = []
    season = ["--season", str(arena.season)]
    for words in (["status"], ["status", "--json"], ["leaderboard", "show", STAGE], ["runs", "list"]):
        done = CliRunner().invoke(app, [*words, *season])
        assert done.exit_code == 0, done.output
        texts.append(done.output.encode())
    for team, receipt in arena.receipts.items():
        done = CliRunner().invoke(app, ["results", receipt.id, "--to", str(tmp_path / team), *season])
        assert done.exit_code == 0, done.output
        texts += [done.output.encode(), *(path.read_bytes() for path in (tmp_path / team).iterdir())]
    store = arena.folder / "artifacts"
    for name in ("site", "results", "boards"):
        found = [path.read_bytes() for path in (store / name).rglob("*") if path.is_file()]
        assert found
        texts += found
    read = b"\n".join(texts)
    assert b"Teller" in read
    assert [form for form in _forms(arena.canary) if form in read] == []
    log = "\n".join(arena.record("Teller")["log"])
    for form in (arena.canary, arena.canary.encode().hex(), base64.b64encode(arena.canary.encode()).decode()):
        assert form in log, "it did tell, and organizers can see that"
    assert arena.canary in "\n".join(arena.record("Crasher")["log"])


def test_inputs_lie_there_once_and_images_too(arena: Arena) -> None:
    cache = arena.folder / "cache"
    assert len(list(cache.glob("inputs-*"))) == 1
    assert not any((cache / "scratch").iterdir())
    digests = {arena.record(team)["program"] for team in arena.receipts}
    assert len(list((cache / "images" / "checked").iterdir())) == len(digests) == len(PROGRAMS)


def _why_no_build() -> str:
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        return f"no debootstrap: {HINT}"
    return "" if shutil.which("docker") else f"no docker client: {HINT}"


def test_the_starter_kit_s_own_image_is_built_and_scores_like_the_starter(
    arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Slow: builds Debian with Python, and the kit on top of it (minutes); once, on Docker's usual runtime."""
    if arena.driver != "docker+runc":
        pytest.skip("built once, with docker+runc")
    if why := _why_no_build():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("kit")
    surroundings = os.environ | {"PYTHON": sys.executable, "WHEELHOUSE": str(folder / "site")}
    kit = REPOSITORY / "images"
    for command in (
        ["sh", str(kit / "sandbox" / "build_base.sh"), "python"],
        ["sh", str(kit / "starters" / "deepfake" / "build_image.sh"), "random", str(folder / "random.tar")],
    ):
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
        if done.returncode != 0 and ("getting" in done.stderr or "retriev" in done.stderr.lower()):
            pytest.skip(f"{command[1]} reaches no mirror: set DEBIAN_MIRROR or PIP_INDEX_URL. {done.stderr[-300:]}")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    starter = json.dumps({"format": "aisc.starter/1", "track": "deepfake", "name": "random"})
    (folder / "starter.json").write_text(starter)
    with open_workspace(arena.season) as workspace:
        arena.submit(workspace, "Built", folder / "random.tar")
        arena.submit(workspace, "Named", folder / "starter.json")
        run_round(workspace, STAGE, quiet=True)
        scores = [workspace.bench.ledger.runs.score(arena.run(team).run_key) for team in ("Built", "Named")]
    assert [arena.run(team).code for team in ("Built", "Named")] == [None, None]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[0].value == scores[1].value, "the same program answers the same, inside and outside"
    assert "outside a sandbox" in scores[1].parts
    assert "outside a sandbox" not in scores[0].parts
    assert arena.record("Built")["second_pass"]["differing"] == 0
