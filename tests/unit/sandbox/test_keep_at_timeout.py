"""Outputs at the time limit: collected where the request says so, and nowhere else."""

from pathlib import Path

import pytest

from aisc.sandbox import starters
from aisc.sandbox.contract import MIB, Limits, SandboxRequest, Verdict
from aisc.sandbox.starters import run_starter

PROGRAM = """
import os, pathlib, time
pathlib.Path(os.environ["AISC_OUTPUT"], "one").write_text("done")
{end}
"""


def run(place: Path, monkeypatch: pytest.MonkeyPatch, end: str, *, keep: bool, log: int = 1 << 16):
    for folder in ("input", "output", "kit"):
        (place / folder).mkdir()
    (place / "kit" / "run.py").write_text(PROGRAM.format(end=end))
    monkeypatch.setattr(starters, "starter_folder", lambda track: place / "kit")
    limits = Limits(
        wall_seconds=4, memory_bytes=512 * MIB, tmp_bytes=MIB, shm_bytes=MIB, output_bytes=MIB, log_bytes=log
    )
    request = SandboxRequest(
        "sha256:" + "0" * 64, (), place / "input", place / "output", ("one", "two"), limits, keep_at_timeout=keep
    )
    return run_starter("track", "plain", request)


@pytest.mark.parametrize("keep", [True, False])
def test_at_the_time_limit_finished_files_are_kept_where_asked(tmp_path, monkeypatch, keep):
    result = run(tmp_path, monkeypatch, "time.sleep(60)", keep=keep)
    assert result.verdict is Verdict.TIMEOUT
    assert result.outputs == (("one",) if keep else ())
    assert [path.name for path in (tmp_path / "output").iterdir()] == list(result.outputs)


def test_a_crash_keeps_nothing(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "raise SystemExit(3)", keep=True)
    assert (result.verdict, result.outputs) == (Verdict.CRASHED, ())
    assert not list((tmp_path / "output").iterdir())
