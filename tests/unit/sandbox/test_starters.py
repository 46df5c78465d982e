"""Starters as plain processes: only our packaged code, nothing of ours in its environment, nothing left."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from aisc.errors import UsageError
from aisc.sandbox import starters
from aisc.sandbox.contract import MIB, Limits, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.starters import StarterName, named_starter, run_starter
from aisc.submission.findings import RuleBrokenError

SMALL = Limits(wall_seconds=60, memory_bytes=512 * MIB, output_bytes=MIB, tmp_bytes=MIB, shm_bytes=MIB)
GOOD = {"format": "aisc.starter/1", "track": "deepfake", "name": "fused-novelty"}


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kits" / "deepfake"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text("")
    monkeypatch.setattr(starters, "starter_folder", lambda track: tmp_path / "kits" / track)
    return folder


def run(kit: Path, program: str, limits: Limits = SMALL) -> SandboxResult:
    (kit / "run.py").write_text(program)
    place = kit.parents[1]
    for folder in ("input", "output"):
        (place / folder).mkdir()
    request = SandboxRequest(
        "sha256:" + "0" * 64, (), place / "input", place / "output", ("result.csv",), limits, {"AISC_STAGE": "final"}
    )
    return run_starter("deepfake", "fused-novelty", request)


def written(place: Path, value: object) -> Path:
    path = place / "submission"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_submission_may_name_a_starter(kit: Path, tmp_path: Path) -> None:
    assert named_starter(written(tmp_path, GOOD)) == StarterName("deepfake", "fused-novelty")


@pytest.mark.parametrize(
    "other",
    [
        "",
        "[" * 4000,
        "[1]",
        '{"format": "aisc.starter/2"}',
        json.dumps({**GOOD, "name": "x" * 5000}),
        "manifest.json\0" + "0" * 500,
    ],
)
def test_anything_else_is_no_starter(kit: Path, tmp_path: Path, other: str) -> None:
    assert named_starter(written(tmp_path, other)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"track": "../../outside"},
        {"track": "face"},
        {"name": "--method"},
        {"name": "a b"},
        {"name": 5},
        {"name": None},
        {"code": "print()"},
    ],
)
def test_a_starter_that_is_not_ours_is_refused(kit: Path, tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(RuleBrokenError, match="STARTER_UNKNOWN"):
        named_starter(written(tmp_path, {**GOOD, **change}))


def test_a_kit_that_is_not_here_does_not_run(kit: Path, tmp_path: Path) -> None:
    request = SandboxRequest("sha256:" + "0" * 64, (), tmp_path, tmp_path, (), SMALL)
    for track in ("face", "../kits/deepfake"):
        with pytest.raises(UsageError, match="STARTER_MISSING"):
            run_starter(track, "fused-novelty", request)


def test_the_digest_names_the_method_and_the_code(kit: Path) -> None:
    first = StarterName("deepfake", "random").digest
    assert first == StarterName("deepfake", "random").digest
    assert first != StarterName("deepfake", "untrained").digest
    (kit / "__pycache__").mkdir()
    (kit / "__pycache__" / "run.pyc").write_bytes(b"x")
    assert first == StarterName("deepfake", "random").digest
    (kit / "run.py").write_text("pass")
    assert first != StarterName("deepfake", "random").digest


def test_T02_no_credentials_reach_a_starter(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AISC_DATABASE", "postgresql://user:very-secret@host/db")
    program = "import os, json, pathlib; pathlib.Path(os.environ['AISC_OUTPUT'], 'result.csv').write_text(json.dumps("
    result = run(kit, program + "{**os.environ, 'here': os.getcwd()}))")
    assert (result.verdict, result.driver) == (Verdict.COMPLETED, "process")
    seen = json.loads((tmp_path / "output" / "result.csv").read_text())
    assert "very-secret" not in json.dumps(seen)
    assert set(seen) == {
        *("HOME", "HOSTNAME", "LANG", "PATH", "TMPDIR", "OMP_NUM_THREADS", "here"),
        *("AISC_STAGE", "AISC_INPUT", "AISC_OUTPUT"),
    }
    assert seen["here"] == seen["HOME"] == seen["TMPDIR"]
    assert not Path(seen["here"]).exists()  # the scratch folder is gone


def test_T09_children_of_a_starter_end_with_it(kit: Path) -> None:
    sleeper = f"sleep {100_000 + os.getpid()}"
    result = run(kit, f"import subprocess; subprocess.Popen({sleeper.split()!r}, stdout=subprocess.DEVNULL)")
    assert result.verdict is Verdict.COMPLETED
    deadline = time.monotonic() + 10
    while left := [p for p in psutil.process_iter(["cmdline"]) if " ".join(p.info["cmdline"] or []) == sleeper]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_F03_a_starter_reports_signals_memory_and_time(kit: Path) -> None:
    result = run(kit, "import os, signal; x = bytearray(64 << 20); os.kill(os.getpid(), signal.SIGSEGV)")
    assert (result.verdict, result.evidence.exit_code) == (Verdict.CRASHED, 139)
    # No upper bound: until a child starts its program, the kernel counts the pages of whoever started it.
    assert result.evidence.peak_memory_bytes > 64 * MIB
    assert result.evidence.cpu_seconds > 0


def test_F03_a_starter_cannot_take_more_memory_than_it_may(kit: Path) -> None:
    result = run(kit, "bytearray(700 << 20)")
    assert result.verdict is Verdict.CRASHED
    assert b"MemoryError" in result.log


def test_a_starter_gets_the_cores_that_it_may_use(kit: Path, tmp_path: Path) -> None:
    program = "import os, time; time.sleep(0.3); open(os.environ['AISC_OUTPUT'] + '/result.csv', 'w').write("
    run(kit, program + "str(len(os.sched_getaffinity(0))))", replace(SMALL, cpus=0.5))
    assert (tmp_path / "output" / "result.csv").read_text() == "1"


def test_T39_a_starters_outputs_go_through_the_same_collector(kit: Path, tmp_path: Path) -> None:
    result = run(kit, "import os; os.symlink('/etc/passwd', os.environ['AISC_OUTPUT'] + '/result.csv')")
    assert [finding.code for finding in result.findings] == ["OUTPUT_NOT_REGULAR"]
    assert list((tmp_path / "output").iterdir()) == []
