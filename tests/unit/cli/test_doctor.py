"""``aisc doctor --sandbox``: what was tried and blocked, each failure, the exit code, the record that rounds find."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aisc.cli import doctor
from aisc.sandbox.attacks import Attack
from aisc.sandbox.choose import Choice
from aisc.sandbox.conformance import ensure_conformance
from aisc.sandbox.contract import SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus import Attempt, CorpusReport
from aisc.sandbox.kept_image import CheckedImage

APP = typer.Typer()
APP.command()(doctor.doctor)


class Driver:
    name = "driver+x"

    def versions(self) -> Mapping[str, str]:
        return {"x": "1"}

    def admit(self, image: CheckedImage) -> None:
        raise AssertionError("the corpus of these tests needs no image")

    def run(self, request: SandboxRequest) -> SandboxResult:
        raise AssertionError("the corpus of these tests runs nothing")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Failures that the second of two attacks has."""
    failures: list[str] = []

    def corpus(driver: Driver, said: object) -> CorpusReport:
        attempts = []
        for name, why in (("T01_a", ()), ("T04_b", tuple(failures))):
            attack = Attack(name, Path("x.sh"), "an attack", (name[:3],), Verdict.COMPLETED)
            attempts.append(Attempt(attack, Verdict.COMPLETED, why, 0.1))
            said(attempts[-1])  # type: ignore[operator]
        return CorpusReport(driver.name, tuple(attempts), ())

    monkeypatch.setattr(doctor, "whole_corpus", corpus)
    monkeypatch.setattr(doctor, "machine_choice", lambda _: Choice(Driver(), ("docker+runsc: no daemon",)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    return failures


def test_all_blocked_is_said_and_recorded_for_the_rounds(tried: list[str], tmp_path: Path) -> None:
    (tmp_path / "season.yaml").write_text("season: x")
    done = CliRunner().invoke(APP, ["--sandbox"])
    assert done.exit_code == 0, done.output
    assert "attacks tried: 2, blocked: 2" in done.output
    assert "sandbox: driver+x (not docker+runsc: no daemon)" in done.output
    record = ensure_conformance(Driver(), tmp_path / "cache", corpus=lambda _: pytest.fail("tried again"))
    assert (record.tried, record.blocked) == (2, 2)


def test_an_attack_that_got_through_is_named_and_gives_exit_code_4(tried: list[str]) -> None:
    tried.append("GAINED root")
    done = CliRunner().invoke(APP, ["--sandbox"])
    assert done.exit_code == 4
    assert "attacks tried: 2, blocked: 1" in done.output
    assert "NOT BLOCKED T04_b: GAINED root" in done.output


def test_json_holds_every_attack(tried: list[str], tmp_path: Path) -> None:
    tried.append("GAINED root")
    done = CliRunner().invoke(APP, ["--sandbox", "--json"])
    assert done.exit_code == 4
    value = json.loads(done.stdout)
    assert (value["driver"], value["tried"], value["blocked"], value["passed"]) == ("driver+x", 2, 1, False)
    assert [attack["blocked"] for attack in value["attacks"]] == [True, False]
    assert value["attacks"][1]["failures"] == ["GAINED root"]
    assert (tmp_path / "user" / "aisc" / "conformance").is_dir()
