"""Result tables: right ones are read, forged ones are refused with their rows, in bounded memory (T35, T36, T37)."""

import io
import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet_files
import pytest

from aisc.errors import UsageError
from aisc.submission.result_tables import RESULT_RULES, Expected, read_lines, read_result, team_findings

CANARY = "canary-0123456789abcdef0123456789abcdef"


def ids(count, seed):
    return sorted(_ids(count, seed))


def _ids(count, seed):
    digits = np.random.default_rng(seed).bytes(8 * count).hex()
    return [digits[16 * k : 16 * k + 16] for k in range(count)]


PROBES, GALLERY = ids(6, 1), ids(20, 2)
TASK, FINAL = Expected(PROBES, GALLERY), Expected(PROBES, GALLERY, novelty=True)


def frame(expected, seed=3):
    rng = np.random.default_rng(seed)
    n, m, k = len(expected.probes), len(expected.gallery), expected.neighbours
    near = np.stack([rng.choice(m, k, replace=False) for _ in range(n)])
    similar = -np.sort(-rng.normal(size=(n, k)), axis=1)
    columns = {"probe": list(expected.probes)}
    columns |= {f"g{j + 1}": [expected.gallery[place] for place in near[:, j]] for j in range(k)}
    columns |= {f"s{j + 1}": similar[:, j] for j in range(k)}
    columns |= {"novelty": rng.random(n)} if expected.novelty else {}
    return pd.DataFrame(columns), near, similar


def lines_of(expected):
    return frame(expected)[0].to_csv(index=False).splitlines()


def read(lines, expected=TASK, tail="\n"):
    return read_lines(io.BytesIO(("\n".join(lines) + tail).encode()), "result.csv", expected)


def with_cell(line, column, cell, expected=TASK):
    cells = line.split(",")
    cells[expected.columns.index(column)] = cell
    return ",".join(cells)


def found(report):
    assert report.findings.refused is (report.table is None)
    return {(finding.code, finding.where) for finding in report.findings.listed}


def at(code, *lines: int):
    return {(code, f"result.csv, line {line}") for line in lines}


@pytest.mark.parametrize("expected", [TASK, FINAL, Expected(PROBES, GALLERY, 1), Expected(PROBES, GALLERY, 20)])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_right_table_in_any_order_is_read_to_the_bit_in_the_order_of_the_task(tmp_path, expected, suffix):
    table, near, similar = frame(expected)
    shuffled, path = table.sample(frac=1, random_state=4), tmp_path / f"result.{suffix}"
    shuffled.to_csv(path, index=False) if suffix == "csv" else shuffled.to_parquet(path, index=False)
    report = read_result(path, expected)
    assert not report.findings.listed
    np.testing.assert_array_equal(report.table.neighbours, near)
    np.testing.assert_array_equal(report.table.similarities, similar)
    if expected.novelty:
        np.testing.assert_array_equal(report.table.novelty, table["novelty"])
    else:
        assert report.table.novelty is None


@pytest.mark.parametrize(("separator", "tail"), [("\n", "\n"), ("\n", ""), ("\r\n", "\r\n")])
def test_line_ends_of_every_system_are_read(separator, tail):
    text = separator.join(lines_of(TASK)) + tail
    assert read_lines(io.BytesIO(text.encode()), "result.csv", TASK).table is not None


@pytest.mark.parametrize("cell", ["1", "-1", "0", "-0.0", "0.25", "1e-05", "1E5", "-2.5e+3", "12345678901234567890"])
def test_plain_decimal_numbers_are_read_as_python_reads_them(cell):
    lines = lines_of(Expected(PROBES, GALLERY, 1))
    expected = Expected(PROBES, GALLERY, 1)
    lines[1] = with_cell(lines[1], "s1", cell, expected)
    assert read(lines, expected).table.similarities[0, 0] == float(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "True", "true", "None", "", " ", "0x10",
        "0x1p-3", "1_000", "1,5e", "0.5 ", " 0.5", "+0.5", ".5", "5.", "1e", "--1", "0.5f", "1d3", '"0.5"', "'0.5'",
        "\u0660.\u0665", "00.5", "\x00", "0.5\x00", "1" * 30, "0." + "1" * 60, "=1+1", "1e00005",
    ],
)  # fmt: skip
def test_T35_what_is_no_finite_plain_number_is_refused_with_its_row(cell):
    lines = lines_of(TASK)
    lines[4] = with_cell(lines[4], "s3", cell)
    code = "RESULT_CELLS" if "," in cell else "RESULT_NUMBER"
    assert at(code, 5) == {row for row in found(read(lines)) if row[0] != "RESULT_PROBE_MISSING"}


@pytest.mark.parametrize(("cell", "code"), [("1.01", "NOVELTY_RANGE"), ("-0.1", "NOVELTY_RANGE"), ("nan", "NUMBER")])
def test_T35_novelty_is_a_probability(cell, code):
    lines = lines_of(FINAL)
    lines[2] = with_cell(lines[2], "novelty", cell, FINAL)
    assert found(read(lines, FINAL)) == at(f"RESULT_{code}", 3)


def test_similarities_may_stay_equal_but_not_rise():
    lines = lines_of(TASK)
    for column in ("s1", "s2", "s3", "s4", "s5"):
        lines[1] = with_cell(lines[1], column, "0.5")
    assert read(lines).table is not None
    lines[1] = with_cell(lines[1], "s4", "0.6")
    assert found(read(lines)) == at("RESULT_ORDER", 2)


def test_T36_probes_twice_unknown_or_missing_are_named():
    lines = lines_of(TASK)
    lines[3] = with_cell(lines[3], "probe", PROBES[0])
    lines[5] = with_cell(lines[5], "probe", GALLERY[0])
    report = read(lines)
    assert found(report) == {
        *at("RESULT_PROBE_REPEATED", 4), *at("RESULT_PROBE_UNKNOWN", 6), ("RESULT_PROBE_MISSING", "result.csv"),
    }  # fmt: skip
    missing = {f.message for f in report.findings.listed if f.code == "RESULT_PROBE_MISSING"}
    assert missing == {f"Probe {PROBES[place]} has no row." for place in (2, 4)}
    assert "line 2" in next(f.message for f in report.findings.listed if f.code == "RESULT_PROBE_REPEATED")


@pytest.mark.parametrize(
    "stranger", ["f" * 16, PROBES[0], "", GALLERY[0].upper(), GALLERY[0] + ".png", " " + GALLERY[0]]
)
def test_T36_neighbours_outside_the_gallery_are_named(stranger):
    lines = lines_of(TASK)
    lines[2] = with_cell(lines[2], "g4", stranger)
    report = read(lines)
    assert found(report) == at("RESULT_NEIGHBOUR_UNKNOWN", 3)
    assert "g4" in report.findings.listed[0].message


def test_T36_a_neighbour_counts_once_in_a_row():
    lines = lines_of(TASK)
    lines[2] = with_cell(lines[2], "g5", lines[2].split(",")[1])
    assert found(read(lines)) == at("RESULT_NEIGHBOUR_REPEATED", 3)


@pytest.mark.parametrize("change", [lambda line: line + ",0.1", lambda line: line.rpartition(",")[0], lambda _: ""])
def test_T36_a_row_has_as_many_cells_as_columns(change):
    lines = lines_of(TASK)
    lines[2] = change(lines[2])
    assert at("RESULT_CELLS", 3) <= found(read(lines))


def test_T36_six_neighbours_or_a_column_nobody_asked_for_are_refused_at_once():
    six = frame(Expected(PROBES, GALLERY, 6))[0].to_csv(index=False).splitlines()
    assert found(read(six)) == at("RESULT_COLUMNS", 1)
    assert found(read(lines_of(FINAL), TASK)) == at("RESULT_COLUMNS", 1)
    assert found(read(lines_of(TASK), FINAL)) == at("RESULT_COLUMNS", 1)
    assert found(read(["\ufeff" + lines_of(TASK)[0], *lines_of(TASK)[1:]])) == at("RESULT_COLUMNS", 1)
    assert found(read([""])) == at("RESULT_COLUMNS", 1)


def test_everything_wrong_is_said_at_once_and_long_lists_are_capped():
    expected = Expected(ids(500, 7), GALLERY)
    lines = lines_of(expected)
    report = read([lines[0], *(with_cell(line, "s1", "nan") for line in lines[1:])], expected)
    assert report.findings.counts == {"RESULT_NUMBER": 500}
    assert len(report.findings.listed) == 20
    assert report.findings.listed[-1].where == "result.csv, line 21"


class Endless(io.RawIOBase):
    """A header and a billion rows, or one row without end; counts what was read of it."""

    def __init__(self, header, row) -> None:
        self.row, self.buffer, self.taken = row, header, 0

    def readable(self):
        return True

    def readinto(self, target):
        while len(self.buffer) < len(target):
            self.buffer += self.row
        piece, self.buffer = self.buffer[: len(target)], self.buffer[len(target) :]
        target[:] = piece
        self.taken += len(target)
        return len(target)


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("row", "code", "line"), [
    (lines_of(TASK)[1].encode() + b"\n", "RESULT_TOO_MANY_ROWS", 8),
    (b"\n", "RESULT_TOO_MANY_ROWS", 8),
    (b"0", "RESULT_LINE_TOO_LONG", 2),
    (b"\x00" * 4096, "RESULT_LINE_TOO_LONG", 2),
    (b"," * 4096, "RESULT_LINE_TOO_LONG", 2),
])  # fmt: skip
def test_T37_a_billion_rows_or_an_endless_row_end_early_in_little_memory(row, code, line):
    raw = Endless(",".join(TASK.columns).encode() + b"\n", row)
    reports = []
    peak = peak_of(lambda: reports.append(read_lines(io.BufferedReader(raw, 8192), "result.csv", TASK)))
    assert at(code, line) <= found(reports[0])
    assert raw.taken < 64 << 10
    assert peak < 1 << 20


def test_T37_a_sparse_giant_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "result.csv"
    with path.open("wb") as file:
        file.write(",".join(TASK.columns).encode() + b"\n")
        file.truncate(1 << 40)
    reports = []
    assert peak_of(lambda: reports.append(read_result(path, TASK))) < 1 << 20
    assert found(reports[0]) == at("RESULT_LINE_TOO_LONG", 2)


def parquet(tmp_path, table):
    path = tmp_path / "result.parquet"
    table.to_parquet(path, index=False)
    return path


def test_T35_parquet_numbers_are_as_strict_and_rows_are_counted_from_1(tmp_path):
    table = frame(FINAL)[0]
    table.loc[1, "s2"], table.loc[2, "s1"], table.loc[4, "novelty"] = np.nan, np.inf, 1.5
    table.loc[5, "g1"] = None
    assert found(read_result(parquet(tmp_path, table), FINAL)) == {
        ("RESULT_NUMBER", "result.parquet, row 2"), ("RESULT_NUMBER", "result.parquet, row 3"),
        ("RESULT_NOVELTY_RANGE", "result.parquet, row 5"), ("RESULT_NEIGHBOUR_UNKNOWN", "result.parquet, row 6"),
    }  # fmt: skip


@pytest.mark.parametrize("change", [
    {"s1": True}, {"s1": "0.5"}, {"probe": 1.0}, {"g1": b"0123456789abcdef"}, {"s5": 1},
])  # fmt: skip
def test_T35_parquet_columns_have_the_types_of_their_place(tmp_path, change):
    assert found(read_result(parquet(tmp_path, frame(TASK)[0].assign(**change)), TASK)) == {
        ("RESULT_PARQUET_TYPE", "result.parquet")
    }


def test_T36_parquet_has_the_columns_asked_for(tmp_path):
    table = frame(TASK)[0]
    for wrong in (table.assign(g6="x"), table[list(reversed(table.columns))], table.drop(columns="s5")):
        assert found(read_result(parquet(tmp_path, wrong), TASK)) == {("RESULT_COLUMNS", "result.parquet")}


def test_T37_parquet_of_many_rows_ends_after_the_row_too_many(tmp_path):
    table = frame(TASK)[0]
    path = parquet(tmp_path, table.loc[np.arange(100_000) % len(table)])
    assert ("RESULT_TOO_MANY_ROWS", "result.parquet, row 7") in found(read_result(path, TASK))


def test_T37_a_small_parquet_that_unfolds_to_gigabytes_is_refused_in_bounded_memory(tmp_path):
    """A thousand rows share one dictionary entry of 16 MiB, which itself shrinks to a few KiB."""
    expected = Expected(ids(1000, 7), GALLERY)
    table = pyarrow.Table.from_pandas(frame(expected)[0], preserve_index=False)
    long = pyarrow.DictionaryArray.from_arrays(np.zeros(1000, np.int32), pyarrow.array(["0" * (16 << 20)]))
    path = tmp_path / "result.parquet"
    parquet_files.write_table(table.set_column(1, "g1", long), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1 << 20
    reports = []
    assert peak_of(lambda: reports.append(read_result(path, expected))) < 4 << 20
    ((code, where),) = found(reports[0])
    assert code in {"RESULT_PARQUET_COST", "RESULT_PARQUET"}
    assert where == "result.parquet"
    # In a process of its own: the figure is that of the largest child that a process ever had.
    script = (
        "import resource, sys; from pathlib import Path; from aisc.submission.parquet_rows import *;"
        "from aisc.submission.result_tables import Expected, read_result;"
        f"read_result(Path(sys.argv[1]), Expected({expected.probes!r}, {expected.gallery!r}));"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 1200 << 10, "kibibytes"


@pytest.mark.parametrize("damage", ["cut", "garbage", "magic alone", "footer length", "footer"])
def test_T37_a_damaged_parquet_is_refused(tmp_path, damage):
    path = parquet(tmp_path, frame(TASK)[0])
    data = bytearray(path.read_bytes())
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "garbage":
        data[8:footer] = np.random.default_rng(1).bytes(footer - 8)
    elif damage == "magic alone":
        data = data[:4]
    elif damage == "footer length":
        data[-8:-4] = b"\xff\xff\xff\x7f"
    else:
        data[footer : footer + 40] = b"\xff" * 40
    path.write_bytes(data)
    ((code, _),) = found(read_result(path, TASK))
    assert code in {"RESULT_PARQUET", "RESULT_PARQUET_COST", "RESULT_COLUMNS"}


def test_T41_a_table_cannot_carry_what_the_program_read_into_a_report(tmp_path):
    lines = lines_of(TASK)
    forged = [
        [lines[0], *(with_cell(line, column, CANARY) for line in lines[1:])] for column in ("probe", "g2", "s2")
    ] + [[CANARY], [lines[0], CANARY], [*lines, CANARY], [*lines[:3], CANARY * 50]]
    told = [json.dumps(read(lines).findings.as_json()) for lines in forged]
    table = frame(TASK)[0].assign(probe=CANARY)
    path = parquet(tmp_path, table)
    told.append(json.dumps(read_result(path, TASK).findings.as_json()))
    told.append(
        json.dumps(read_result(parquet(tmp_path, table.rename(columns={"s1": CANARY})), TASK).findings.as_json())
    )
    assert all("canary" not in text and CANARY.encode().hex() not in text for text in told)


def test_T43_a_team_learns_which_rules_a_hidden_table_breaks_and_not_where():
    lines = lines_of(TASK)
    reports = [
        team_findings(read([*lines[:row], with_cell(lines[row], "s2", "nan"), *lines[row + 1 :]]).findings).as_json()
        for row in (1, 3, 5)
    ]
    assert reports[0] == reports[1] == reports[2]
    assert reports[0]["counts"] == {"RESULT_NUMBER": 1}
    assert reports[0]["refused"] is True


def test_a_folder_or_nothing_is_no_table(tmp_path):
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(UsageError) as caught:
            read_result(path, TASK)
        assert caught.value.code == "RESULT_FILE"


def test_the_page_for_participants_lists_exactly_the_codes_with_their_remedies():
    page = Path(__file__).parents[3] / "docs" / "formats" / "deepfake-submission.md"
    rows = re.findall(r"^\| `(RESULT_[A-Z_]+)` \| [^|]+ \| ([^|]+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {code: rule.remedy for code, rule in RESULT_RULES.items()}
    assert len(rows) == len(RESULT_RULES)
