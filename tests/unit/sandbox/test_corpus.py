"""The corpus itself: complete headers, every row of the threat table, only tools that its image has."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from aisc.sandbox.attacks import Attack, corpus_limits, read_attack, read_corpus
from aisc.sandbox.contract import Evidence, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus import Attempt, Bench, CorpusReport
from aisc.sandbox.corpus_report import attempts_table, summary_table
from aisc.sandbox.corpus_witness import Witness
from aisc.sandbox.kept_image import CheckedImage

ROWS = {f"T{number:02d}" for number in (1, 2, 3, 4, *range(6, 16), 20, 39, 40)} | {"F03"}
SHELL = {
    *("cd", "echo", "exit", "set", "trap", "wait", "exec", "read", "export", "shift", "case", "esac", "if", "then"),
    *("else", "fi", "for", "while", "do", "done", "in", "bomb", "printf", "kill", "true", "test", "unset", "return"),
}  # fmt: skip


def test_every_row_has_an_attack() -> None:
    covered = {threat for attack in read_corpus() for threat in attack.threats}
    assert covered >= ROWS


def test_the_verdicts_of_a_running_program_are_all_expected_somewhere() -> None:
    never = {Verdict.IMAGE_REFUSED, Verdict.PLATFORM_FAULT}  # no program can earn these
    assert {attack.expect for attack in read_corpus()} == set(Verdict) - never


def test_names_begin_with_their_row_and_are_unique() -> None:
    corpus = read_corpus()
    assert len({attack.name for attack in corpus}) == len(corpus)
    for attack in corpus:
        assert attack.name.split("_")[0] in attack.threats
        assert attack.attack


def test_a_program_says_that_it_tries() -> None:
    for attack in read_corpus():
        assert "TRIED" in attack.source.read_text(), attack.name


@pytest.mark.parametrize("header", ["", "# attack: x\n# threat: T01\n", "# attack: x\n# threat: T01\n# expect: FINE\n"])
def test_an_incomplete_header_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "T01_x.sh").write_text("#!/bin/sh\n" + header)
    with pytest.raises(ValueError, match=r"header|FINE"):
        read_attack(tmp_path / "T01_x.sh")


def test_the_shell_programs_use_only_what_busybox_has() -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox missing: run 'sudo tests/services/install_sandbox.sh'")
    applets = set(subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split())
    words = re.compile(
        r"(?:^|[;&|(]|\$\(|\bdo\b|\bthen\b|\btimeout \d+|\bsetsid)\s*([a-z][a-z0-9_]*)(?=[\s;)]|$)", re.M
    )
    for attack in read_corpus():
        if attack.source.suffix == ".sh":
            text = "\n".join(line for line in attack.source.read_text().splitlines() if not line.startswith("#"))
            text = re.sub(r"\"[^\"$]*\"|'[^']*'", "x", text).replace("\\\n", " ")
            used = {word for word in words.findall(text) if not re.search(rf"\b{word}=", text)}
            assert used <= applets | SHELL, (attack.name, used - applets - SHELL)


def attempt(*failures: str) -> Attempt:
    attack = Attack("T01_x", Path("x.sh"), "x", ("T01",), Verdict.COMPLETED)
    return Attempt(attack, Verdict.COMPLETED, failures, 0.5)


def test_a_driver_passes_only_if_everything_was_tried_and_blocked() -> None:
    assert CorpusReport("d", (attempt(),), ()).passed
    assert not CorpusReport("d", (attempt(), attempt("GAINED root")), ()).passed
    assert not CorpusReport("d", (attempt(),), (("T14_x", "no C compiler"),)).passed
    assert not CorpusReport("d", (), ()).passed


def test_the_tables_count_tried_and_blocked() -> None:
    report = CorpusReport("docker+runc", (attempt(), attempt("GAINED root")), (("T14_x", "no C compiler"),))
    table = attempts_table(report)
    assert table.title == "docker+runc: 2 attacks tried, 1 blocked"
    assert table.row_count == 3
    assert summary_table([report], ["bubblewrap: not installed"]).row_count == 2


def test_the_limits_of_the_corpus_are_small() -> None:
    assert corpus_limits(2.0).wall_seconds == 2.0
    assert SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), "d").outputs == ()


class Talker:
    """A driver whose programs say what they are told to, one word list a meeting."""

    name = "talker"

    def __init__(self, *meetings: str) -> None:
        self.meetings = list(meetings)
        self.asked: dict[str, list[str]] = {}

    def versions(self) -> Mapping[str, str]:
        return {}

    def admit(self, image: CheckedImage) -> None:
        raise AssertionError("nothing to admit")

    def run(self, request: SandboxRequest) -> SandboxResult:
        roles = self.asked.setdefault(request.environment["AISC_MEET"], [])
        roles.append(request.command[1])
        said = self.meetings[min(len(self.asked), len(self.meetings)) - 1]
        return SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), self.name, log=f"TRIED\n{said}\n".encode())


@pytest.mark.parametrize(
    ("meetings", "failures", "asked"),
    [
        (("",), (), 1),
        (("LATE", "LATE", ""), (), 3),
        (("GAINED a note",), ("GAINED a note", "GAINED a note"), 1),
        (("LATE\nGAINED a note", ""), ("GAINED a note", "GAINED a note"), 2),
        (("LATE",), ("the two never met on this busy machine",), 4),
    ],
)
def test_T14_a_pair_that_missed_each_other_meets_later(
    tmp_path: Path, meetings: tuple[str, ...], failures: tuple[str, ...], asked: int
) -> None:
    attack = Attack("T14_x", Path("x.sh"), "x", ("T14",), Verdict.COMPLETED, pair=True)
    driver = Talker(*meetings)
    bench = Bench(driver, f"sha256:{0:064x}", tmp_path, Witness(tmp_path, "no such mark", "no such secret"), (), 1.0)
    assert bench.attempt(attack).failures == failures
    assert len(driver.asked) == asked
    assert all(sorted(roles) == ["reader", "writer"] for roles in driver.asked.values())
