"""What a team may learn from a run (T41, T43, T44)."""

import base64
import json
import math
import unicodedata

from aisc.sandbox.contract import Evidence, SandboxResult, Verdict
from aisc.sandbox.disclosure import printable_log, team_report, time_bucket
from aisc.submission.findings import Finding

CANARY = "canary-5f3a9c"


def result(verdict: Verdict = Verdict.CRASHED, **evidence: object) -> SandboxResult:
    leaks = (CANARY, CANARY.encode().hex(), base64.b64encode(CANARY.encode()).decode())
    return SandboxResult(
        verdict,
        Evidence(platform=CANARY, **evidence),  # type: ignore[arg-type]
        "docker+runsc",
        outputs=(),
        findings=(Finding("OUTPUT_MISSING", "result.csv", f"The program said {CANARY}.", "", "refused"),),
        log=" ".join(leaks).encode(),
    )


def test_T41_the_canary_is_in_nothing_that_a_team_reads() -> None:
    said = json.dumps(team_report(result(wall_seconds=3.0)).as_json())
    for leak in (CANARY, CANARY.encode().hex(), base64.b64encode(CANARY.encode()).decode()):
        assert leak not in said


def test_T43_exit_status_memory_and_exact_time_do_not_show() -> None:
    reports = {
        team_report(result(exit_code=code, wall_seconds=wall, cpu_seconds=wall / 3, peak_memory_bytes=code * 1000))
        for code in range(1, 128)
        for wall in (8.1, 9.0, 12.345, 16.0)
    }
    assert len(reports) == 1


def test_T43_a_run_carries_few_bits() -> None:
    buckets = {time_bucket(second / 10) for second in range(36_000)}
    assert len(buckets) == 10
    assert math.log2(len(buckets) * len(Verdict) * 2**5) < 12


def test_T43_every_verdict_has_one_reason() -> None:
    reasons = {team_report(result(verdict)).reason for verdict in Verdict}
    assert len(reasons) == len(Verdict)


def test_T44_a_log_cannot_move_colour_or_forge_lines() -> None:
    hostile = (
        b'ok\x1b[2J\x07\r{"event": "verdict"}\x85x\xe2\x80\xa8y\xe2\x80\xaez\xff\x00\n'
        + "\u2029".encode()
        + b"end\ttab"
    )
    lines = printable_log(hostile)
    assert len(lines) == 2
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Zl", "Zp"} or c == "\t" for line in lines for c in line)
    assert all(len(line.splitlines()) == 1 for line in lines)
    assert lines[1].endswith("end\ttab")
