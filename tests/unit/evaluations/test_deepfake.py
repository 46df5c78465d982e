"""The deepfake rulebook at work: what a program says, what becomes of it, and who learns what."""

import base64
import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from aisc.cli.main import app
from aisc.datasets import forgery_copies
from aisc.evaluations import deepfake
from aisc.evaluations.deepfake import DeepfakeEvaluation
from aisc.kit import STAGE_FILE
from aisc.leaderboard.board import Board
from aisc.ledger.runs import Score
from aisc.sandbox.contract import Evidence, SandboxRequest, SandboxResult, Verdict
from aisc.stages.evidence import evidence_table
from aisc.submission.findings import Finding

STAGE, FINAL = "deepfake/preliminary", "deepfake/final"
HEADER = "probe,g1,g2,g3,g4,g5,s1,s2,s3,s4,s5"


def colours(folder: Path) -> dict[str, float]:
    return {path.stem: float(cv2.imread(str(path)).mean()) for path in sorted(folder.iterdir())}


def rows_by_colour(place: Path, *, novelty: bool = False) -> list[str]:
    """Answer from the pictures alone: neighbours are of the nearest colour, a colour that nobody has is new."""
    probes, gallery = colours(place / "probe"), colours(place / "gallery")
    rows = []
    for probe, colour in probes.items():
        near = sorted(gallery, key=lambda name: (abs(gallery[name] - colour), gallery[name]))[:5]
        gaps = [abs(gallery[name] - colour) for name in near]
        cells = [probe, *near, *(f"{1 - gap / 1000:.6f}" for gap in gaps)]
        rows.append(",".join(cells + ([f"{min(1.0, gaps[0] / 60):.6f}"] if novelty else [])))
    return rows


def says(rows_of, name: str = "result.csv", log: bytes = b""):
    """Give a program that writes a table by a function of its input folder."""

    def answer(request: SandboxRequest) -> SandboxResult:
        asked = json.loads((request.input / "task.json").read_bytes())
        header = HEADER + (",novelty" if asked["novelty"] else "")
        (request.output / name).write_text("\n".join([header, *rows_of(request.input)]) + "\n")
        evidence = Evidence(exit_code=0, wall_seconds=3.0, peak_memory_bytes=9)
        return SandboxResult(Verdict.COMPLETED, evidence, "", (name,), log=log)

    return answer


def precision_by_hand(table: list[str], hidden: Path) -> float:
    """Equation 1 (AISC 2022 report, section 2): the share of named pictures that have the probe's label."""
    with (hidden / "truth.csv").open() as file:
        label = {row["id"]: row["label"] for row in csv.DictReader(file)}
    cells = [row.split(",") for row in table]
    return sum(label[name] == label[row[0]] for row in cells for name in row[1:6]) / (5 * len(cells))


def half_right(place: Path) -> list[str]:
    """Name one picture of the other label for every probe."""
    gallery = sorted(colours(place / "gallery").items(), key=lambda item: item[1])
    rows = []
    for row in rows_by_colour(place):
        cells = row.split(",")
        other = next(name for name, _ in gallery if name not in cells[1:6])
        rows.append(",".join([cells[0], *cells[1:5], other, *cells[6:]]))
    return rows


def test_the_score_is_equation_1_of_the_stored_table(contest, hidden_sets):
    contest.driver.answer = says(half_right)
    run = contest.evaluate(contest.submit(contest.image()))
    assert (run.state, run.code) == ("scored", None)
    score = contest.bench.ledger.runs.score(run.run_key)
    expected = precision_by_hand(half_right(hidden_sets[STAGE]), hidden_sets[STAGE])
    assert expected == 0.8
    assert score.value == pytest.approx(expected)
    assert score.parts == {"precision": score.value, "second answers that differ": 0}
    board = contest.publish()
    assert [row.entry.score for row in board.ranked] == [score.value]
    assert "outside a sandbox" not in {part.name for part in board.ranked[0].entry.parts}


def test_a_program_sees_pictures_and_task_and_canary_and_nothing_else(contest, hidden_sets):
    seen = []

    def look(request):
        files = [path for path in request.input.rglob("*") if path.is_file()]
        seen.append(({path.name for path in files} - {path.name for path in files if path.suffix == ".png"}, files))
        assert {path.stat().st_mtime for path in files} == {forgery_copies.TIME}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o644}
        return says(rows_by_colour)(request)

    contest.driver.answer = look
    assert contest.evaluate(contest.submit(contest.image())).state == "scored"
    (first, files), (second, again) = seen
    assert first == second == {"task.json", "canary.txt"}
    hidden = {path.stem for path in (hidden_sets[STAGE] / "probe").iterdir()}
    assert {path.stem for path in files if path.parent.name == "probe"} == hidden
    assert not hidden & {path.stem for path in again}, "the second pass shows other names"


def test_inputs_are_laid_out_once_a_round_and_never_copied(contest, monkeypatch):
    laid_out = []

    def counted(source, target):
        laid_out.append(target)
        return forgery_copies.write_inputs(source, target)

    monkeypatch.setattr(deepfake, "write_inputs", counted)
    contest.with_limits(second_pass=0)
    contest.driver.answer = says(rows_by_colour)
    for number in range(3):
        assert contest.evaluate(contest.submit(contest.image(f"p{number}"), f"Team {number}")).state == "scored"
    assert len(laid_out) == 1
    assert len({request.input for request in contest.driver.requests}) == 1
    assert len(contest.driver.requests) == 3


def test_T46_a_program_that_answers_by_chance_is_flagged_and_scored_all_the_same(contest):
    rng = np.random.default_rng(1)

    def by_chance(place):
        gallery = sorted(path.stem for path in (place / "gallery").iterdir())
        probes = sorted(path.stem for path in (place / "probe").iterdir())
        return [",".join([name, *rng.permutation(gallery)[:5], "5,4,3,2,1"]) for name in probes]

    contest.driver.answer = says(by_chance)
    run = contest.evaluate(contest.submit(contest.image()))
    second = contest.record(run)["second_pass"]
    assert run.state == "scored"
    assert second["compared"] == 16  # 12 probes and 4 of them again
    assert second["differing"] >= 15
    score = contest.bench.ledger.runs.score(run.run_key)
    assert score.parts["second answers that differ"] == second["differing"]


def test_T45_a_program_that_counts_is_flagged(contest):
    def by_place(place):
        return [row if number < 12 else row[:-8] + "0.000000" for number, row in enumerate(rows_by_colour(place))]

    contest.driver.answer = says(by_place)
    run = contest.evaluate(contest.submit(contest.image()))
    assert contest.record(run)["second_pass"]["differing"] == 4


def test_a_second_pass_that_fails_costs_no_score_and_is_noted(contest):
    answers = iter([says(rows_by_colour), lambda _: SandboxResult(Verdict.TIMEOUT, Evidence(), "")])
    contest.driver.answer = lambda request: next(answers)(request)
    run = contest.evaluate(contest.submit(contest.image()))
    second = contest.record(run)["second_pass"]
    assert run.state == "scored"
    assert (second["verdict"], second["differing"], second["compared"]) == ("TIMEOUT", 16, 16)


def forged(change):
    return says(lambda place: change(rows_by_colour(place)))


FORGED = {
    "RESULT_NUMBER": lambda rows: [rows[0].replace("0.9", "NaN", 1), *rows[1:]],
    "RESULT_PROBE_REPEATED": lambda rows: [*rows[:-1], rows[0]],
    "RESULT_NEIGHBOUR_REPEATED": lambda rows: [rows[0][:34] + rows[0][17:33] + rows[0][50:], *rows[1:]],
    "RESULT_PROBE_UNKNOWN": lambda rows: ["f" * 16 + rows[0][16:], *rows[1:]],
    "RESULT_NEIGHBOUR_UNKNOWN": lambda rows: [rows[0][:17] + "f" * 16 + rows[0][33:], *rows[1:]],
    "RESULT_CELLS": lambda rows: [rows[0] + ",0.1", *rows[1:]],  # a sixth neighbour's number
    "RESULT_PROBE_MISSING": lambda rows: rows[1:],
    "RESULT_ORDER": lambda rows: [rows[0][:-8] + "7.000000", *rows[1:]],
    "RESULT_TOO_MANY_ROWS": lambda rows: rows * 10_000,
    "RESULT_LINE_TOO_LONG": lambda rows: ["0" * 5000, *rows[1:]],
}


@pytest.mark.parametrize("code", FORGED)
def test_T35_T36_T37_a_forged_table_is_refused_rows_for_organizers_the_code_for_the_team(contest, code):
    contest.driver.answer = forged(FORGED[code])
    run = contest.evaluate(contest.submit(contest.image()))
    assert run.state == "refused"
    assert len(contest.driver.requests) == 1, "nothing is asked twice about a refused table"
    table = contest.record(run)["table"]
    assert code in table["counts"]
    listed = [finding for finding in table["findings"] if finding["code"] == code]
    assert code == "RESULT_PROBE_MISSING" or "line " in listed[0]["where"]
    told = json.loads(contest.files(run.run_key, "run")["findings"].read_text())
    assert set(told["counts"]) == set(table["counts"])
    assert set(told["counts"].values()) == {1}, "how often is the program's choice"
    assert {(finding["where"], finding["message"]) for finding in told["findings"]} == {
        ("", "The table that the program wrote breaks this rule.")
    }
    assert contest.publish().ranked == ()
    assert re.search(rb"line [0-9]", contest.team_can_read()) is None


def test_six_neighbours_are_another_table(contest):
    def six(request):
        (request.output / "result.csv").write_text("probe,g1,g2,g3,g4,g5,g6,s1,s2,s3,s4,s5,s6\n")
        return SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), "", ("result.csv",))

    contest.driver.answer = six
    run = contest.evaluate(contest.submit(contest.image()))
    assert (run.state, run.code) == ("refused", "RESULT_COLUMNS")


def test_a_program_that_writes_no_table_or_two_is_told_so(contest):
    run = contest.evaluate(contest.submit(contest.image("none")))
    assert (run.state, run.code) == ("refused", "RESULT_MISSING")
    assert "left no table" in run.message

    def two(request):
        for name in ("result.csv", "result.parquet"):
            (request.output / name).write_text("x")
        return SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), "", ("result.csv", "result.parquet"))

    contest.driver.answer = two
    run = contest.evaluate(contest.submit(contest.image("two"), "Blue"))
    assert (run.state, run.code) == ("refused", "RESULT_TWO_FILES")
    assert [entry.state for entry in contest.publish().unranked] == ["refused", "refused"]


@pytest.mark.parametrize("verdict", [Verdict.CRASHED, Verdict.TIMEOUT, Verdict.OUT_OF_MEMORY, Verdict.OUTPUT_LIMIT])
def test_T53_a_program_that_failed_is_failed_with_its_verdict_and_never_ranked(contest, verdict):
    contest.driver.answer = lambda _: SandboxResult(verdict, Evidence(exit_code=1), "")
    run = contest.evaluate(contest.submit(contest.image()))
    assert (run.state, run.code) == ("failed", verdict.value)
    board = contest.publish()
    assert board.ranked == ()
    assert [(entry.state, entry.reason_code) for entry in board.unranked] == [("failed", verdict.value)]


def test_an_organizers_exception_stands_in_the_published_limits(contest):
    contest.with_limits(sandbox_exception="gVisor's T14 is known, ticket 7")
    contest.driver.escapes = ("GAINED a flock",)
    contest.driver.answer = says(rows_by_colour)
    assert contest.evaluate(contest.submit(contest.image())).state == "scored"
    board = contest.publish()
    assert board.as_json()["version"]["limits"]["sandbox_exception"] == "gVisor's T14 is known, ticket 7"
    assert b"ticket 7" in (contest.folder / "store" / "site" / STAGE / "board.json").read_bytes()


def test_the_final_adds_the_area_and_the_experts_mark(contest, hidden_sets):
    contest.driver.answer = says(lambda place: rows_by_colour(place, novelty=True))
    run = contest.evaluate(contest.submit(contest.image(), stage=FINAL))
    assert run.state == "scored", run.message
    score = contest.bench.ledger.runs.score(run.run_key)
    assert score.value == pytest.approx(0.6 * 1.0 + 0.3 * 1.0)
    assert {name: score.parts[name] for name in ("precision", "novelty AUC", "mark weight")} == {
        "precision": 1.0, "novelty AUC": 1.0, "mark weight": 0.1,
    }  # fmt: skip
    board = contest.publish(FINAL)
    assert [(entry.state, entry.reason_code) for entry in board.unranked] == [("awaiting-review", "REVIEW_PENDING")]


def test_the_mark_moves_the_total_by_a_tenth_of_s_as_in_the_published_table():
    """AISC 2022 report, Table 1: P@5 0.9820, AUC 0.9944 and a full mark make 0.9875."""
    without = 0.6 * 0.9820 + 0.3 * 0.9944
    parts = {"precision": 0.9820, "novelty AUC": 0.9944, "mark weight": 0.1}
    judged = DeepfakeEvaluation().judge("final", Score(without, without - 0.01, without + 0.01, parts), {"mark": 1.0})
    assert round(judged.value, 4) == 0.9875
    assert judged.high - judged.low == pytest.approx(0.02)
    assert judged.parts == {"precision": 0.9820, "novelty AUC": 0.9944, "mark": 1.0}


def test_evidence_has_a_row_a_generator_and_says_where_it_ran(contest):
    contest.driver.answer = says(lambda place: rows_by_colour(place, novelty=True))
    run = contest.evaluate(contest.submit(contest.image(), stage=FINAL))
    table = evidence_table(contest.bench, run.run_key).set_index("method")
    assert list(table.index) == ["blend", "peaks", "residue"]
    assert table["probes"].tolist() == [6, 6, 6]
    assert table["group"].tolist() == ["labelled", "labelled", "new"]
    assert table.loc["blend", "precision"] == 1.0
    assert np.isnan(table.loc["residue", "precision"])
    assert table.loc["residue", "auc"] == 1.0
    assert set(table["driver"]) == {"driver+x"}
    assert set(table["second_pass_differing"]) == {0}


def shown(canary: str) -> set[bytes]:
    """The canary as it may come out: as it is, in hexadecimal, in base64 at any offset."""
    raw = canary.encode()
    shifted = {base64.b64encode(bytes(offset) + raw)[offset + 2 : -4] for offset in range(3)}
    return {raw, raw.removeprefix(b"canary-"), raw.hex().encode(), raw.hex().upper().encode(), *shifted}


def tells(rows_of, verdict=Verdict.COMPLETED):
    """Give a program that writes all it was given to its log, to a file of its own and into its table."""

    def answer(request):
        canary = (request.input / "canary.txt").read_text().strip()
        log = b"\n".join([canary.encode(), canary.encode().hex().encode(), base64.b64encode(canary.encode())])
        log += b"".join(path.read_bytes() for path in sorted(request.input.rglob("*.json")))
        result = says(lambda place: rows_of(place, canary), log=log)(request)
        leak = Finding("OUTPUT_LINK", canary, canary, "…", "refused")
        return SandboxResult(verdict, result.evidence, "", ("result.csv",), (leak,), log)

    return answer


def as_neighbour(place, canary):
    rows = rows_by_colour(place)
    return [f"{rows[0][:17]}{canary}{rows[0][33:]}", f"{canary},{rows[1][17:]}", *rows[2:]]


@pytest.mark.parametrize(
    ("rows_of", "verdict", "state"),
    [
        (lambda place, canary: rows_by_colour(place), Verdict.COMPLETED, "scored"),
        (as_neighbour, Verdict.COMPLETED, "refused"),
        (lambda place, canary: [canary], Verdict.COMPLETED, "refused"),
        (lambda place, canary: [canary.encode().hex() * 30], Verdict.COMPLETED, "refused"),
        (lambda place, canary: rows_by_colour(place), Verdict.CRASHED, "failed"),
        (lambda place, canary: rows_by_colour(place), Verdict.OUTPUT_LIMIT, "failed"),
    ],
)
def test_T41_what_a_program_saw_reaches_nothing_that_a_team_can_read(contest, hidden_sets, rows_of, verdict, state):
    canary = (hidden_sets[STAGE] / "canary.txt").read_text().strip()
    contest.driver.answer = tells(rows_of, verdict)
    run = contest.evaluate(contest.submit(contest.image()))
    assert run.state == state
    assert isinstance(contest.publish(), Board)
    read = contest.team_can_read()
    assert run.submission.encode() in read, "there is something to look through"
    assert [form for form in shown(canary) if form in read] == []
    assert canary in json.dumps(contest.record(run)), "organizers keep the log"


def test_T41_a_fault_of_ours_repeats_nothing_of_the_inputs(contest, hidden_sets):
    canary = (hidden_sets[STAGE] / "canary.txt").read_text().strip()

    def stumbles(request):
        raise RuntimeError((request.input / "canary.txt").read_text())

    contest.driver.answer = stumbles
    receipt = contest.submit(contest.image())
    with pytest.raises(RuntimeError):
        contest.evaluate(receipt)
    (run,) = contest.bench.ledger.runs.all()
    contest.bench.ledger.runs.end_attempt(run.run_key, run.attempt)
    (run,) = contest.bench.ledger.runs.all()
    assert run.state == "quarantined"
    contest.publish()
    files = (contest.folder / "store" / "site").rglob("*")
    read = b"".join(path.read_bytes() for path in files if path.is_file())
    assert run.submission.encode() in read
    assert [form for form in shown(canary) if form in read] == []


@pytest.fixture
def kit(tmp_path):
    """A participants' kit: 40 labelled pictures of two labels, the stage's description."""
    images = tmp_path / "kit" / "training" / "train" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(3)
    rows = ["id,label"]
    for number in range(40):
        name = rng.bytes(8).hex()
        picture = rng.integers(0, 8, (112, 112, 3)) + 60 * (number // 2 % 2)
        cv2.imwrite(str(images / f"{name}.png"), picture.astype(np.uint8))
        rows.append(f"{name},{('blend', 'peaks')[number // 2 % 2]}")
    (images.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    stage = {"stage": STAGE, "rules": "source-identification", "limits": {}}
    (tmp_path / "kit" / STAGE_FILE).write_text(json.dumps(stage))
    DeepfakeEvaluation().add_to_kit("preliminary", tmp_path / "kit")
    return tmp_path / "kit"


def check(kit: Path, file: Path):
    return CliRunner().invoke(app, ["check", STAGE, str(file), "--kit", str(kit), "--json"])


def test_a_table_is_checked_offline_with_its_rows_named(kit, tmp_path):
    table = tmp_path / "result.csv"
    rows = rows_by_colour(kit / "practice")
    table.write_text("\n".join([HEADER, *rows]) + "\n")
    done = check(kit, table)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == {"probes": len(rows)}
    assert precision_by_hand(rows, kit / "practice") == 1.0, "a participant can score a practice table alone"
    table.write_text("\n".join([HEADER, *FORGED["RESULT_NUMBER"](rows)]) + "\n")
    done = check(kit, table)
    assert done.exit_code == 3
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["code"], finding["where"]) == ("RESULT_NUMBER", "result.csv, line 2")


def test_an_archive_is_checked_offline_by_the_rules_of_the_round(kit, tmp_path, contest):
    archive = tmp_path / "image.tar"
    archive.write_bytes(contest.image())
    assert check(kit, archive).exit_code == 0
    archive.write_bytes(contest.image(Env=["LD_PRELOAD=/x.so"]))
    done = check(kit, archive)
    assert done.exit_code == 3
    assert list(json.loads(done.stdout)["counts"]) == ["IMAGE_ENV"]
