"""SAFAIR's initial rounds from the compiled packages: all four tracks, and for each rule a team that breaks it.

Programs know more than a competition would tell them: hidden pictures, and changes that mislead the baseline. So what
every team must score follows from what its program does, image by image.
"""

import csv
import doctest
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from aisc.attacks.objectives import attribute_signs, away_from, flip
from aisc.attacks.projected import PGD, attack_pictures
from aisc.cli.main import app
from aisc.datasets.attribute_faces import Faces, read_faces, read_pictures
from aisc.errors import SubmissionRefusedError
from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Entry
from aisc.metrics import accuracy_delta
from aisc.reception import receive
from aisc.season import season_text
from aisc.stages.boards import latest_board
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.victims.builtin import builtin_package
from aisc.victims.classifier import open_classifier
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_package import load_classifier_package
from tests.pipelines.conftest import Rig

pytestmark = pytest.mark.xdist_group("local-engine")

TRACKS = ("reid-attack", "reid-defence", "attributes-attack", "attributes-defence")
IMAGES = 24
POINT = 100 / IMAGES
FINISHED = 10
COUNTS = {"Six": 6, "Five": 5, "Four": 4, "Three": 3, "Two": 2}
"""Attacks on re-identification, and how many images they mislead."""
DEFENCES = {
    "Right": "False",
    "Not FGSM": "(by == 8)[(clean[index] >= 8) & (clean[index] <= 247)].mean() > 0.99",
    "Half": "by.max() and index < 12",
    "Exact": "by.max()",
}
"""Defences of re-identification, and where they are wrong: ``by`` is the change of a picture."""
ATTACK_STEPS = {
    "ingest_submission", "validate_submission", "run_submission", "query_victims", "compute_metrics", "publish_result",
}  # fmt: skip
DEFENCE_STEPS = ATTACK_STEPS - {"query_victims"} | {"perturb_images"}


@dataclass(frozen=True)
class World:
    """What the tests know and competitors would not.

    Attributes:
        folder: The task's dataset.
        faces: Names, truth and goals of the hidden images.
        pictures: uint8 RGB `(n, 112, 112, 3)`.
        misleading: The same images within ε, computed on the baseline itself.
        right: `(n,)` share of right answers of the baseline, clean.
        misled: The same on ``misleading``.
        file: ``misleading`` as ``.npy``.
    """

    folder: Path
    faces: Faces
    pictures: np.ndarray
    misleading: np.ndarray
    right: np.ndarray
    misled: np.ndarray
    file: Path

    @property
    def fooled(self) -> list[int]:
        """The images that the baseline gets right, and wrong when they are misleading."""
        return [int(index) for index in np.flatnonzero((self.right == 1) & (self.misled == 0))]


def make_world(task: str, folder: Path) -> World:
    make_faces(FacesSpec(task, 7, hidden=IMAGES, train=6, val=4), folder)
    faces = read_faces(folder, "hidden")
    pictures = read_pictures(folder, "hidden", faces.names)
    package = builtin_package(f"{task}-fgsm")
    goals = faces.people if task == "reid" else attribute_signs(faces.attributes, faces.goals)
    model = load_classifier(load_classifier_package(package))
    misleading = attack_pictures(model, away_from if task == "reid" else flip, pictures, goals, PGD, seed=1)
    baseline = open_classifier(package)
    right, misled = (_right(task, baseline.logits(images), faces) for images in (pictures, misleading))
    file = folder.with_suffix(".npy")
    np.save(file, misleading)
    return World(folder, faces, pictures, misleading, right, misled, file)


def _right(task: str, logits: np.ndarray, faces: Faces) -> np.ndarray:
    """Share of right answers an image: who it is, or the mean over the given attributes."""
    if task == "reid":
        return (logits.argmax(axis=1) == faces.people).astype(float)
    agree = (logits > 0) == faces.attributes.astype(bool)
    return np.array([row[goal].mean() for row, goal in zip(agree, faces.goals, strict=True)])


def knows(world: World) -> str:
    """What programs of ours know: every hidden image by its number, the misleading one, and the truth."""
    truth = world.faces.attributes.astype(int) if len(world.faces.goals[0]) > 1 else world.faces.people[:, None]
    return f"""
folder, known, truth = Path({str(world.folder / "hidden")!r}), {list(world.faces.names)!r}, {truth.tolist()!r}
clean = [cv2.imread(str(folder / name)).astype(int) for name in known]
misleading = np.load({str(world.file)!r})[..., ::-1].astype(int)
def number(picture): return min(range(len(clean)), key=lambda index: np.abs(clean[index] - picture).sum())
def change(picture): return np.abs(clean[number(picture)] - picture)
pictures = {{name: read(name) for name in names}}
"""


def mislead(world: World, which: list[int]) -> str:
    """An attack that alters these images and gives the others back as they were."""
    loop = """
for name, picture in pictures.items():
    write(name, misleading[number(picture)] if number(picture) in chosen else picture)
"""
    return f"{knows(world)}\nchosen = {which}\n{loop}"


SPOIL = """
by_number = {number(picture): name for name, picture in pictures.items()}
far, floats, half, deep, gone = (by_number.get(index) for index in chosen[:5])
if far is not None:  # a second pass shows those alone that counted
    write(far, np.where(read(far) >= 128, read(far) - 9, read(far) + 9))
    cv2.imwrite(str(target / "float.tiff"), read(floats).astype(np.float32))
    (target / "float.tiff").rename(target / floats)
    write(half, read(half)[:56])
    cv2.imwrite(str(target / deep), (read(deep) * 257).astype(np.uint16))
    (target / gone).unlink()
"""
SPOILT = ["over_epsilon", "format", "size", "format", "missing"]
TOO_FAR = "for name, picture in pictures.items(): write(name, np.where(picture >= 128, picture - 9, picture + 9))"
BY_CHANCE = """
for name, picture in pictures.items():
    y, x, by = np.random.default_rng().integers([0, 0, 1], [112, 112, 9])
    picture[y, x, 0] += by if picture[y, x, 0] < 128 else -by
    write(name, picture)
"""
ENDLESS = """
for name in names[:{finished}]: write(name, misleading[number(pictures[name])])
time.sleep(600)
"""


def wrong_where(condition: str, wrong: str = "other(right)"):
    """A defence that is always right, except under a condition on ``index``, ``by`` (the change) and ``right``."""
    return f"""
def other(right):
    return [(right[0] + 1) % 100] if task["task"] == "reid" else [1 - value for value in right]
def see(picture):
    index = number(picture)
    by, right = change(picture), truth[index]
    return ({wrong}) if ({condition}) else right
answer((name, see(picture)) for name, picture in pictures.items())
"""


CHANCE_DEFENCE = """
def see(picture):
    right = truth[number(picture)]
    return [(right[0] + int(np.random.default_rng().integers(1, 100))) % 100] if change(picture).max() else right
answer((name, see(picture)) for name, picture in pictures.items())
"""


class SafairRig(Rig):
    """The season with all four tracks."""

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; a round of a dozen programs takes minutes on a busy machine."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=1500)
        assert done.returncode == code, done.stdout + done.stderr + self.logs()
        return done.stdout

    def set(self, track: str, **values: object) -> None:
        raw = yaml.safe_load(self.season.read_text())
        stage = raw["tracks"][track]["stages"]["initial"]
        for key, value in values.items():
            stage[key] = stage[key] | value if isinstance(value, dict) else value
        self.season.write_text(yaml.safe_dump(raw, sort_keys=False))

    def submit(self, track: str, team: str, content: str, name: str = "sent.json") -> str:
        """Send a file; gives the submission's id, or the code of the refusal."""
        file = self.folder / name
        file.write_text(content)
        with self.open() as workspace:
            if team not in {known.name for known in workspace.bench.ledger.teams.all()}:
                workspace.bench.ledger.teams.add(team)
            try:
                return receive(workspace.bench, workspace.season, f"{track}/initial", team, file).id
            except SubmissionRefusedError as refused:
                return refused.code

    def board(self, track: str) -> Board:
        with self.open() as workspace:
            board = latest_board(workspace.bench, f"{track}/initial")
            assert board is not None
            return board

    def results(self, track: str, team: str, *words: str) -> Path:
        """Fetch what a team receives for the submission that counts."""
        entry = next(entry for entry in self.board(track).entries if entry.team == team)
        folder = self.folder / "-".join(("results", *words)) / track / team
        words = ("results", entry.submission, "--to", str(folder), "--season", str(self.season), *words)
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return folder


@pytest.fixture(scope="module")
def worlds(tmp_path_factory) -> dict[str, World]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("worlds")
    return {task: make_world(task, place / task) for task in ("reid", "attributes")}


@pytest.fixture(scope="module")
def played(worlds, installation, tmp_path_factory) -> SafairRig:
    """A season in which the initial rounds of all four tracks have been held."""
    rig = SafairRig(tmp_path_factory.mktemp("safair") / "season")
    rig.folder.mkdir()
    rig.season.write_text(season_text("rig", datetime.now(UTC).date(), title="Rig", tracks=TRACKS))
    # 43 seconds for 24 images: enough for a program that ends, on a busy machine too.
    rig.set("attributes-attack", limits={"hours": 0.5, "names": True, "second_pass": 0})
    with rig.open() as workspace:
        for task, world in worlds.items():
            workspace.bench.register("data", f"safair/{task}", world.folder)
            for name in (f"{task}-fgsm", f"{task}-undefended"):
                workspace.bench.register("victim", name, builtin_package(name))
    for track, entries in programs(worlds).items():
        for number, (team, text) in enumerate(entries):
            name = f"{team}.attributes.attributes.{number + 1}.json"
            sent = rig.submit(track, team, installation.program(text), name)
            assert sent.startswith("s-"), sent
    for track in TRACKS:
        rig.run("round", "run", f"{track}/initial")
    return rig


def programs(worlds: dict[str, World]) -> dict[str, list[tuple[str, str]]]:
    """Who sends what; names of attacks say how many images they mislead."""
    reid, attributes = worlds["reid"], worlds["attributes"]
    fooled = reid.fooled
    assert len(fooled) >= 8, "the test needs eight images that can be misled"
    see, look = knows(reid), knows(attributes)
    return {
        "reid-attack": [
            ("Six", mislead(reid, fooled[-2:])),
            *((team, mislead(reid, fooled[:count])) for team, count in COUNTS.items()),
            ("Spoiler", mislead(reid, fooled[:8]) + SPOIL),
            ("Too Far", see + TOO_FAR),
            ("Chance", see + BY_CHANCE),
        ],
        "reid-defence": [
            *((team, see + wrong_where(condition)) for team, condition in DEFENCES.items()),
            ("Mute", see + wrong_where("by.max() and index < 6", "['?']")),
            ("Chance D", see + CHANCE_DEFENCE),
            ("Errs Clean", see + wrong_where("index % 2")),
        ],
        "attributes-attack": [
            ("Whole", look + ENDLESS.format(finished=IMAGES).replace("time.sleep(600)", "")),
            ("Late", look + ENDLESS.format(finished=FINISHED)),
        ],
        "attributes-defence": [
            ("Right", look + wrong_where("False")),
            ("Zeros", look + wrong_where("True", "[0] * len(columns)")),
        ],
    }


def entry_of(board: Board, team: str) -> Entry:
    return next(entry for entry in board.entries if entry.team == team)


def parts(board: Board, team: str) -> dict[str, float]:
    return {part.name: part.value for part in entry_of(board, team).parts}


def statuses(folder: Path) -> dict[str, str]:
    return {image["name"]: image["status"] for image in json.loads((folder / "result.json").read_text())["images"]}


def test_attacks_rank_by_what_the_baseline_loses_and_five_go_on(played):
    board = played.board("reid-attack")
    assert board.measure.higher_is_better
    first = [(1, "Six"), (2, "Five"), (3, "Four"), (4, "Three"), (4, "Spoiler"), (6, "Two")]
    assert [(row.rank, row.entry.team) for row in board.ranked][:6] == first, "of equal ones the earlier stands above"
    for team, count in COUNTS.items():
        assert entry_of(board, team).score == pytest.approx(count * POINT, abs=5e-4), team
        interval = entry_of(board, team).interval
        assert interval.low <= count * POINT <= interval.high
    assert {entry.team for entry in board.entries if entry.advances} == {"Six", "Five", "Four", "Three", "Spoiler"}


def test_rule_7_what_an_attack_spoils_is_right_for_the_defence_and_its_bundle_says_so(played, worlds, tmp_path):
    world, board = worlds["reid"], played.board("reid-attack")
    folder = played.results("reid-attack", "Spoiler")
    said = statuses(folder)
    spoilt = [world.faces.names[index] for index in world.fooled[:5]]
    assert [said[name] for name in spoilt] == SPOILT
    changed = [world.faces.names[index] for index in world.fooled[5:8]]
    assert {name: status for name, status in said.items() if name not in spoilt} == {
        name: "ok" if name in changed else "unchanged" for name in world.faces.names if name not in spoilt
    }
    assert parts(board, "Spoiler")["images that count"] == IMAGES - 5
    assert entry_of(board, "Spoiler").score == pytest.approx(3 * POINT, abs=5e-4)
    with (folder / "images.csv").open() as file:
        assert {row["name"]: row["status"] for row in csv.DictReader(file)} == said
    sheet = cv2.imread(str(folder / "contact-sheet.png"))
    assert sheet is not None
    assert min(sheet.shape[:2]) > 300
    explained = (folder / "findings.md").read_text()
    for code in ("ALTERED_OVER_EPSILON", "ALTERED_FORMAT", "ALTERED_SIZE", "ALTERED_MISSING", "ALTERED_UNCHANGED"):
        assert f"## {code}" in explained


def test_an_attack_at_9_of_255_has_misled_nobody(played, worlds):
    board = played.board("reid-attack")
    wrong = 1 - worlds["reid"].right.mean()
    assert wrong > 0, "the baseline errs on clean images"
    assert parts(board, "Too Far")["images that count"] == 0
    assert entry_of(board, "Too Far").score == pytest.approx(-100 * wrong, abs=5e-4), "its clean errors count as right"
    assert set(statuses(played.results("reid-attack", "Too Far")).values()) == {"over_epsilon"}


def test_rule_9_a_program_that_answers_by_chance_is_shown_on_the_board(played):
    for track, team, least in (("reid-attack", "Chance", IMAGES), ("reid-defence", "Chance D", IMAGES // 2)):
        board = played.board(track)
        assert parts(board, team)["second answers that differ"] >= least
        steady = {row.entry.team for row in board.ranked} - {team}
        assert {parts(board, one)["second answers that differ"] for one in steady} == {0}
        page = (played.folder / "artifacts" / "site" / track / "initial" / "index.html").read_text()
        assert "second answers that differ" in page


def test_rule_10_the_best_counts_and_a_third_of_a_day_and_a_fourth_in_all_are_refused(played, installation, worlds):
    best = entry_of(played.board("reid-attack"), "Six")
    assert best.submissions == 2
    assert [past.score for past in best.history] == pytest.approx([2 * POINT], abs=5e-4)
    again = installation.program(mislead(worlds["reid"], [0]))
    assert played.submit("reid-attack", "Six", again) == "QUOTA_DAY"
    before = played.season.read_text()
    try:
        played.set("reid-attack", quota={"per_day": 9})
        assert played.submit("reid-attack", "Six", again).startswith("s-")
        assert played.submit("reid-attack", "Six", again + " ") == "QUOTA_TOTAL"
    finally:
        played.season.write_text(before)


def test_rule_11_at_the_time_limit_the_finished_images_count(played, worlds):
    world, board = worlds["attributes"], played.board("attributes-attack")
    lost = 100 * (world.right - world.misled)
    assert entry_of(board, "Whole").score == pytest.approx(lost.mean(), abs=5e-4)
    finished = np.isin(world.faces.names, sorted(world.faces.names)[:FINISHED])
    expected = 100 * (world.right - np.where(finished, world.misled, 1)).mean()
    assert entry_of(board, "Late").score == pytest.approx(expected, abs=5e-4)
    assert parts(board, "Late")["images that count"] == FINISHED
    folder = played.results("attributes-attack", "Late")
    assert Counter(statuses(folder).values()) == {"ok": FINISHED, "missing": IMAGES - FINISHED}
    assert "## TIMEOUT" in (folder / "findings.md").read_text()


def test_rule_12_defences_rank_by_the_weighted_delta_the_lowest_first(played):
    board = played.board("reid-defence")
    assert not board.measure.higher_is_better
    expected = {"Right": 0, "Not FGSM": 20, "Mute": 25, "Half": 50, "Exact": 100, "Chance D": 100}
    assert {row.entry.team: row.entry.score for row in board.ranked} == pytest.approx(expected, abs=5e-4)
    assert [row.rank for row in board.ranked] == [1, 2, 3, 4, 5, 5]
    assert {entry.team: entry.flags for entry in board.entries if entry.advances} == dict.fromkeys(expected, ()) | (
        dict.fromkeys(("Exact", "Chance D"), ("tied at the cut",))
    ), "a tie at the cut takes both in"
    told = parts(board, "Not FGSM")
    assert (told["initial accuracy"], told["accuracy under FGSM"], told["accuracy under PGD"]) == (100, 0, 100)


def test_rule_6_an_input_on_which_a_defence_errs_is_failed(played):
    board = played.board("reid-defence")
    told = parts(board, "Mute")
    assert told["initial accuracy"] == 100
    assert [told[f"accuracy under {name}"] for name in ("FGSM", "BIM", "PGD")] == [75, 75, 75]
    assert told["failed inputs"] == 3 * 6
    assert "## ANSWER_WRONG_KIND" in (played.results("reid-defence", "Mute") / "findings.md").read_text()


def test_who_has_little_to_lose_does_not_win(played):
    for track, team in (("reid-defence", "Errs Clean"), ("attributes-defence", "Zeros")):
        board = played.board(track)
        entry = entry_of(board, team)
        assert (entry.state, entry.score, entry.advances) == ("void", None, False)
        assert entry.reason_code == "CLEAN_ACCURACY_TOO_LOW"
        result = json.loads((played.results(track, team) / "result.json").read_text())
        assert (result["state"], result["reason_code"]) == ("void", "CLEAN_ACCURACY_TOO_LOW")
        page = (played.folder / "artifacts" / "site" / track / "initial" / "index.html").read_text()
        assert "CLEAN_ACCURACY_TOO_LOW" in page
    assert [row.entry.team for row in played.board("attributes-defence").ranked] == ["Right"]


def test_every_step_was_done_once_and_the_probes_of_a_stage_too(played):
    with played.open() as workspace:
        runs = workspace.bench.ledger.runs
        for run in runs.all():
            steps = runs.steps(run.run_key)
            assert all(step.finished_at is not None and step.begun == 1 for step in steps)
            if run.state == "scored":
                assert {step.name for step in steps} == (ATTACK_STEPS if "-attack" in run.stage else DEFENCE_STEPS)
    probes = Counter(path.name for path in (played.folder / "artifacts" / "derived").glob("*/*"))
    assert {name: probes[name] for name in ("fgsm.npy", "bim.npy", "pgd.npy")} == dict.fromkeys(
        ("fgsm.npy", "bim.npy", "pgd.npy"), 2
    ), "of two tasks"


def test_a_defence_s_bundle_holds_nothing_of_the_hidden_images_and_organizers_see_all(played, worlds):
    folder = played.results("reid-defence", "Half")
    assert {path.name for path in folder.iterdir()} == {"result.json", "findings.md", "README.txt", "manifest.json"}
    told = b"".join(path.read_bytes() for path in folder.iterdir()).decode()
    assert not [name for name in worlds["reid"].faces.names if name in told]
    with (played.results("reid-defence", "Half", "--evidence") / "evidence.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["pgd_right"]) for row in rows] == [0.0] * 12 + [1.0] * 12
    assert {float(row["clean_right"]) for row in rows} == {1.0}


@pytest.fixture
def fresh(tmp_path) -> SafairRig:
    """A season that nobody has entered yet."""
    rig = SafairRig(tmp_path / "fresh")
    rig.folder.mkdir()
    rig.season.write_text(season_text("fresh", datetime.now(UTC).date(), title="Fresh", tracks=TRACKS))
    return rig


def test_people_one_address_one_team_and_one_side_of_a_task(fresh):
    with fresh.open() as workspace:
        workspace.bench.ledger.teams.add("Owls", "owls@example.org")
    refused = fresh.json("team", "add", "Eagles", "--email", "OWLS@example.org", code=2)
    assert refused["error"]["code"] == "TEAM_EXISTS"
    assert fresh.submit("reid-attack", "Owls", "{}").startswith("s-")
    file = fresh.folder / "sent.json"
    refused = fresh.json("submit", "reid-defence/initial", str(file), "--team", "Owls", code=3)
    assert refused["error"]["code"] == "BOTH_SIDES"
    assert "reid-attack" in refused["error"]["message"]
    assert fresh.submit("attributes-defence", "Owls", "{}").startswith("s-"), "crossing tasks is allowed"


def test_people_names_and_attempts(fresh):
    fresh.set("reid-attack", limits={"names": True})
    assert fresh.submit("reid-attack", "Owls", "1", "Owls.reid.reid.1.json").startswith("s-")
    assert fresh.submit("reid-attack", "Owls", "2", "Owls.reid.reid.1.json") == "ENTRY_ATTEMPT_REPEATED"
    assert fresh.submit("reid-attack", "Owls", "2", "Owls.reid.reid.2.json").startswith("s-"), "nothing was lost"


def test_people_the_window(fresh):
    now = datetime.now(UTC)
    fresh.set("reid-attack", opens=f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    assert fresh.submit("reid-attack", "Owls", "1") == "STAGE_NOT_OPEN"
    past = {name: f"{now - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}" for name, hours in (("opens", 2), ("closes", 1))}
    fresh.set("reid-attack", **past)
    assert fresh.submit("reid-attack", "Owls", "1") == "STAGE_CLOSED"


def test_the_worked_examples_are_doctests_of_the_scoring_functions():
    runner = doctest.DocTestRunner()
    for function, result in (("weighted_delta", "52.0"), ("accuracy_delta", "(80.0, 60.0, 20.0)")):
        scored = getattr(accuracy_delta, function)
        (example,) = doctest.DocTestFinder().find(scored, function, globs=vars(accuracy_delta))
        assert [one.want.strip() for one in example.examples][-1] == result
        assert runner.run(example).failed == 0
