"""The experts' empty table, and the share of a team's code that a known solution holds too."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aisc.cli.review_form import compare, fingerprints, measure_teams, review_form
from aisc.cli.reviews import read_reviews
from aisc.cli.workspace import open_workspace
from aisc.errors import UsageError
from aisc.ledger.competition import Entry
from aisc.reception import receive
from aisc.season import season_text

STAGE = "driving/judgment"
KNOWN = '''
import numpy as np


def total_variation(image):
    """Give the mean difference of neighbours."""
    rows = np.abs(image[1:] - image[:-1]).mean()
    columns = np.abs(image[:, 1:] - image[:, :-1]).mean()
    return rows + columns


def attack(frames, model, steps=450, rate=0.02):
    patch = np.full((24, 53, 3), 0.5)
    momentum = np.zeros_like(patch)
    for step in range(steps):
        gradient = model.gradient(place(patch, frames[step % len(frames)]))
        momentum = 0.9 * momentum + gradient / np.abs(gradient).mean()
        patch = np.clip(patch - rate * np.sign(momentum), 0, 1)
        if step % 50 == 0:
            print(step, total_variation(patch), model.loss(patch))
    return patch
'''
RENAMED = (
    KNOWN.replace("momentum", "velocity").replace("gradient", "slope").replace("patch", "sticker")
    .replace("frames", "movie").replace("Give the mean difference of neighbours.", "Something else entirely.")
)  # fmt: skip
UNRELATED = """
class Evolution:
    def __init__(self, population, seed):
        self.generator = random.Random(seed)
        self.members = [self.generator.sample(range(256), 12) for _ in range(population)]

    def select(self, fitness):
        ranked = sorted(self.members, key=fitness, reverse=True)
        survivors = ranked[: len(ranked) // 4] or ranked
        self.members = [self.cross(*self.generator.choices(survivors, k=2)) for _ in ranked]
        return ranked[0]

    def cross(self, mother, father):
        cut = self.generator.randrange(1, len(mother))
        child = mother[:cut] + father[cut:]
        child[self.generator.randrange(len(child))] = self.generator.randrange(256)
        return child
"""


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Teams' code and known solutions."""
    code, known = tmp_path / "code", tmp_path / "known"
    for team, text in {"Same": KNOWN, "Renamed": RENAMED, "Own": UNRELATED, "Half": KNOWN + UNRELATED}.items():
        (code / team / "src").mkdir(parents=True)
        (code / team / "src" / "attack.py").write_text(text)
        (code / team / "README.md").write_text(KNOWN)
    (code / "Words" / "docs").mkdir(parents=True)
    (code / "Words" / "docs" / "notes.md").write_text(KNOWN)
    (known / "momentum").mkdir(parents=True)
    middle = KNOWN.index("def attack")
    # One known solution in two files: what counts is what the solution holds, not a file of it.
    (known / "momentum" / "loss.py").write_text(KNOWN[:middle])
    (known / "momentum" / "attack.py").write_text(KNOWN[middle:])
    (known / "other.c").write_text('int main(void) { for (int i = 0; i < 10; i++) printf("%d\\n", i * i); return 0; }')
    return code, known


def test_a_copy_is_found_whatever_its_names_are_and_own_work_is_not(folders):
    found = measure_teams(["Same", "Renamed", "Own", "Half", "Words", "Nobody"], *folders)
    assert found["Same"].share == pytest.approx(1, abs=0.03)
    assert found["Renamed"].share == pytest.approx(found["Same"].share)
    assert found["Same"].solution == found["Renamed"].solution == "momentum"
    assert found["Own"].share is not None
    assert found["Own"].share < 0.1
    assert 0.4 < found["Half"].share < 0.8
    assert found["Words"] == found["Nobody"] == (None, ""), "what is no code has no likeness, which is not 0"


def test_a_name_of_a_team_is_no_path(folders):
    code, known = folders
    (code.parent / "elsewhere").mkdir()
    (code.parent / "elsewhere" / "attack.py").write_text(KNOWN)
    (code / "Linked").mkdir()
    (code / "Linked" / "attack.py").symlink_to(code.parent / "elsewhere" / "attack.py")
    found = measure_teams(["../elsewhere", "Linked"], code, known)
    assert [one.share for one in found.values()] == [None, None]


def test_a_notebook_is_compared_by_its_code_cells(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# How it works\n"]},
        {"cell_type": "code", "source": RENAMED.splitlines(keepends=True), "outputs": [{"text": "x" * 5000}]},
    ]
    path = tmp_path / "work.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    (found,) = fingerprints(path)
    (plain,) = fingerprints(_written(tmp_path / "work.py", RENAMED))
    assert set(found.hashes) == set(plain.hashes)


def test_strange_files_are_read_and_say_nothing(tmp_path):
    for name, data in {"a.py": b"", "b.py": b"\xff\xfe\x00", "c.ipynb": b"[]", "d.py": b"x" * (2 << 20)}.items():
        (tmp_path / name).write_bytes(data)
    assert compare(list(fingerprints(tmp_path)), []) == (None, "")


def test_no_known_code_is_an_error_and_not_a_likeness_of_nothing(folders):
    code, known = folders
    for path in (known / "other.c", known / "momentum" / "loss.py", known / "momentum" / "attack.py"):
        path.unlink()
    with pytest.raises(UsageError) as caught:
        measure_teams(["Same"], code, known)
    assert caught.value.code == "KNOWN_SOLUTIONS_EMPTY"


@pytest.fixture
def season(tmp_path) -> Path:
    """A season whose judgment three teams have entered."""
    file = tmp_path / "season.yaml"
    file.write_text(season_text("forms", datetime.now(UTC).date(), tracks=["face", "driving"]))
    with open_workspace(file) as workspace:
        ledger = workspace.bench.ledger
        entries = []
        for team in ("Same", "Own", "Nobody"):
            ledger.teams.add(team)
            sent = _written(tmp_path / "sent.zip", team)
            receipt = receive(workspace.bench, workspace.season, "driving/preliminary", team, sent)
            entries.append(Entry(team, receipt.id, 1))
        ledger.stages.enter(STAGE, entries)
    return file


def run(season: Path, *words: str):
    app = typer.Typer()
    app.command()(review_form)
    return CliRunner().invoke(app, [*words, "--season", str(season)])


def test_the_form_has_a_row_a_team_and_is_read_back_once_filled(season, tmp_path):
    form = tmp_path / "form.csv"
    done = run(season, STAGE, "--to", str(form))
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(form.read_text().splitlines()))
    assert [row["team"] for row in rows] == ["Same", "Own", "Nobody"]
    assert list(rows[0]) == ["team", "verdict", "mark", "similarity", "note"]
    assert {value for row in rows for key, value in row.items() if key != "team"} == {""}
    entries = {"Same": "s-1", "Own": "s-2", "Nobody": "s-3"}
    with open_workspace(season) as workspace:
        ref = workspace.season.stage(STAGE)
        with pytest.raises(UsageError, match="verdict"):
            read_reviews(form, ref, entries)  # an empty form decides nothing
        for row in rows:
            row["verdict"] = "pass"
        with form.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        assert {content["verdict"] for content in read_reviews(form, ref, entries).values()} == {"pass"}


def test_similarity_is_filled_in_and_a_missing_folder_is_said_aloud(season, folders, tmp_path):
    code, known = folders
    form = tmp_path / "form.csv"
    done = run(season, STAGE, "--to", str(form), "--code", str(code), "--known", str(known))
    assert done.exit_code == 0, done.output
    cells = {row["team"]: row["similarity"] for row in csv.DictReader(form.read_text().splitlines())}
    assert float(cells["Same"]) > 0.95
    assert float(cells["Own"]) < 0.1
    assert cells["Nobody"] == ""
    assert "Nobody: no code" in done.output
    assert "momentum" in done.output
    assert {row["verdict"] for row in csv.DictReader(form.read_text().splitlines())} == {""}, "it decides nothing"


def test_a_form_at_which_experts_work_is_never_written_over(season, tmp_path):
    form = _written(tmp_path / "form.csv", "team,verdict\nSame,pass\n")
    assert run(season, STAGE, "--to", str(form)).exception.code == "REVIEW_FORM_EXISTS"
    assert form.read_text() == "team,verdict\nSame,pass\n"


@pytest.mark.parametrize(
    ("stage", "words", "code"),
    [
        ("driving/final", (), "REVIEW_FORM_EMPTY"),
        (STAGE, ("--code", "."), "REVIEW_FORM_FOLDERS"),
        (STAGE, ("--code", "nowhere", "--known", "nowhere"), "FOLDER_MISSING"),
    ],
)
def test_wrong_use_is_named_and_writes_nothing(season, tmp_path, stage, words, code):
    form = tmp_path / "form.csv"
    assert run(season, stage, "--to", str(form), *words).exception.code == code
    assert not form.exists()


def test_experts_who_are_not_asked_about_code_get_no_similarity(season, tmp_path):
    with open_workspace(season) as workspace:
        entry = workspace.bench.ledger.stages.entries(STAGE)[0]
        workspace.bench.ledger.stages.enter("face/evaluation", [entry])
    words = ("face/evaluation", "--to", str(tmp_path / "form.csv"), "--code", str(tmp_path), "--known", str(tmp_path))
    assert run(season, *words).exception.code == "REVIEW_FORM_WITHOUT_CODE"
    assert run(season, *words[:3]).exit_code == 0
    assert (tmp_path / "form.csv").read_text() == "team,verdict,note\nSame,,\n"


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
