"""Verdicts from evidence, as a table (FAULTS F03)."""

from dataclasses import replace
from itertools import product

import pytest

from aisc.sandbox.contract import Evidence, Verdict
from aisc.sandbox.verdict import crossed_limit, decide

DONE = Evidence(exit_code=0, wall_seconds=1.0, log_bytes=10)

TABLE = [
    ("ended by itself", {}, Verdict.COMPLETED),
    ("exit status 1", {"exit_code": 1}, Verdict.CRASHED),
    ("segmentation fault", {"exit_code": 139}, Verdict.CRASHED),
    ("exit status 137 alone proves no lack of memory", {"exit_code": 137}, Verdict.CRASHED),
    ("killed for memory", {"exit_code": 137, "oom_events": 1}, Verdict.OUT_OF_MEMORY),
    ("a child killed for memory, the parent hangs", {"oom_events": 1, "wall_crossed": True}, Verdict.OUT_OF_MEMORY),
    ("a child killed for memory, the parent shrugs", {"oom_events": 1}, Verdict.OUT_OF_MEMORY),
    ("fork refused", {"exit_code": 2, "pids_events": 7}, Verdict.PROCESS_LIMIT),
    ("fork refused, parent gone", {"pids_events": 1}, Verdict.PROCESS_LIMIT),
    ("fork bomb that hangs", {"exit_code": 137, "pids_events": 9, "wall_crossed": True}, Verdict.PROCESS_LIMIT),
    ("no block left", {"exit_code": 1, "full_volumes": ("/output",)}, Verdict.DISK_LIMIT),
    ("no block left, ended well", {"full_volumes": ("/output",)}, Verdict.DISK_LIMIT),
    ("log over its cap", {"exit_code": 137, "log_crossed": True}, Verdict.OUTPUT_LIMIT),
    ("too many outputs", {"output_crossed": True}, Verdict.OUTPUT_LIMIT),
    ("too many outputs of a crashed program", {"exit_code": 1, "output_crossed": True}, Verdict.CRASHED),
    ("out of time", {"exit_code": 137, "wall_crossed": True}, Verdict.TIMEOUT),
    ("out of time, exit status 0 at the last moment", {"wall_crossed": True}, Verdict.TIMEOUT),
    ("never started", {"exit_code": None}, Verdict.PLATFORM_FAULT),
    ("the daemon was lost", {"exit_code": None, "platform": "gone"}, Verdict.PLATFORM_FAULT),
    ("a fault after a good end", {"platform": "gone"}, Verdict.PLATFORM_FAULT),
    ("refused image", {"exit_code": None, "image_codes": ("IMAGE_ENV",)}, Verdict.IMAGE_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("why", "changes", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_F03_table(why: str, changes: dict[str, object], expected: Verdict) -> None:
    assert decide(replace(DONE, **changes)) is expected  # type: ignore[arg-type]


def test_F03_every_verdict_is_in_the_table() -> None:
    assert {row[2] for row in TABLE} == set(Verdict)


def test_F03_every_combination_has_one_verdict_and_a_crossed_limit_settles_it() -> None:
    for exit_code, oom, pids, full, log, wall, output, platform in product(
        (None, 0, 1, 137), (0, 1), (0, 1), ((), ("/output",)), (False, True), (False, True), (False, True), ("", "x")
    ):
        evidence = Evidence(
            exit_code=exit_code,
            oom_events=oom,
            pids_events=pids,
            full_volumes=full,
            log_crossed=log,
            wall_crossed=wall,
            output_crossed=output,
            platform=platform,
        )
        verdict = decide(evidence)
        settled = crossed_limit(evidence)
        assert settled is None or verdict is settled
        if verdict is Verdict.COMPLETED:
            assert (exit_code, oom, pids, full, log, wall, output, platform) == (0, 0, 0, (), False, False, False, "")


def test_T07_a_memory_bomb_is_never_called_a_timeout() -> None:
    for exit_code, wall in product((None, 0, 1, 137), (False, True)):
        evidence = Evidence(exit_code=exit_code, oom_events=1, wall_crossed=wall)
        assert decide(evidence) is Verdict.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("code", "signal"), [(None, None), (0, None), (1, None), (128, None), (137, 9), (139, 11), (200, None)]
)
def test_signal_is_read_from_the_exit_status(code: int | None, signal: int | None) -> None:
    assert Evidence(exit_code=code).signal == signal
