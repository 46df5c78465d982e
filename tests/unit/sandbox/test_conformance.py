"""No round without a fresh proof; an exception passes, and is written down."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aisc.errors import PlatformError
from aisc.sandbox import conformance
from aisc.sandbox.attacks import Attack
from aisc.sandbox.conformance import Record, ensure_conformance
from aisc.sandbox.contract import SandboxDriver, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus import Attempt, CorpusReport
from aisc.sandbox.kept_image import CheckedImage

GOT_OUT = ("GAINED root",)


class Driver:
    name = "driver+x"

    def __init__(self, version: str = "1") -> None:
        self.version = version

    def versions(self) -> Mapping[str, str]:
        return {"x": self.version}

    def admit(self, image: CheckedImage) -> None:
        raise AssertionError("the corpus of these tests needs no image")

    def run(self, request: SandboxRequest) -> SandboxResult:
        raise AssertionError("the corpus of these tests runs nothing")


class Corpus:
    """Counts how often it is asked, and reports what it is told to."""

    def __init__(self, *failures: str, missing: bool = False) -> None:
        self.failures = failures
        self.missing = missing
        self.asked = 0

    def __call__(self, driver: SandboxDriver) -> CorpusReport:
        self.asked += 1
        good, bad = (Attack(name, Path("x.sh"), "x", ("T01",), Verdict.COMPLETED) for name in ("T01_a", "T04_b"))
        attempts = (Attempt(good, Verdict.COMPLETED, (), 0.1), Attempt(bad, Verdict.COMPLETED, self.failures, 0.1))
        return CorpusReport(driver.name, attempts, (("T14_c", "no C compiler"),) if self.missing else ())


def test_a_fresh_record_spares_the_corpus(tmp_path: Path) -> None:
    corpus = Corpus()
    first = ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert ensure_conformance(Driver(), tmp_path, corpus=corpus) == first
    assert corpus.asked == 1
    assert (first.tried, first.blocked, first.failures, first.exception) == (2, 2, (), "")
    assert first.versions["x"] == "1"
    assert {"machine", "kernel"} <= set(first.versions)
    assert first.aloud == "sandbox driver+x: 2 attacks tried, 2 blocked"


def test_another_version_kernel_or_code_needs_its_own_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus()
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    ensure_conformance(Driver("2"), tmp_path, corpus=corpus)
    assert corpus.asked == 2
    monkeypatch.setattr(conformance, "code_digest", lambda: "other code")
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert corpus.asked == 3
    monkeypatch.setattr(conformance.platform, "release", lambda: "other kernel")
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert corpus.asked == 4


@pytest.mark.parametrize(
    ("age", "asked"), [(timedelta(hours=23), 1), (timedelta(hours=25), 2), (-timedelta(hours=1), 2)]
)
def test_a_record_counts_for_a_day(tmp_path: Path, age: timedelta, asked: int) -> None:
    corpus = Corpus()
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    (path,) = (tmp_path / "conformance").iterdir()
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "tested": (datetime.now(UTC) - age).isoformat()}))
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert corpus.asked == asked


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"passed": true}', '{"passed": true, "failures": 5}'])
def test_a_damaged_record_proves_nothing(tmp_path: Path, damage: str) -> None:
    corpus = Corpus()
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    (path,) = (tmp_path / "conformance").iterdir()
    path.write_text(damage)
    ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert corpus.asked == 2


def test_a_driver_that_fails_is_refused_and_the_failures_are_named(tmp_path: Path) -> None:
    corpus = Corpus(*GOT_OUT)
    for _ in range(2):  # and it is looked at again each time
        with pytest.raises(PlatformError, match=r"SANDBOX_NOT_CONFORMANT.*1 of 2.*T04_b: GAINED root"):
            ensure_conformance(Driver(), tmp_path, corpus=corpus)
    assert corpus.asked == 2
    with pytest.raises(PlatformError, match="T14_c: not tried, no C compiler"):
        ensure_conformance(Driver(), tmp_path, corpus=Corpus(missing=True))


def test_an_exception_lets_it_pass_and_is_written_down(tmp_path: Path) -> None:
    corpus = Corpus(*GOT_OUT)
    record = ensure_conformance(Driver(), tmp_path, "known, see ticket 7", corpus)
    assert not record.passed
    assert record.exception == "known, see ticket 7"
    assert "exception: known, see ticket 7" in record.aloud
    (path,) = (tmp_path / "conformance").iterdir()
    written = json.loads(path.read_text())
    assert (written["exception"], written["failures"]) == ("known, see ticket 7", ["T04_b: GAINED root"])
    assert ensure_conformance(Driver(), tmp_path, "known, see ticket 7", corpus) == record
    assert corpus.asked == 1
    with pytest.raises(PlatformError, match="SANDBOX_NOT_CONFORMANT"):  # taken back: the old record does not help
        ensure_conformance(Driver(), tmp_path, None, corpus)


def test_an_exception_that_nobody_needs_is_not_written(tmp_path: Path) -> None:
    assert ensure_conformance(Driver(), tmp_path, "just in case", Corpus()).exception == ""


def test_a_record_is_plain_json(tmp_path: Path) -> None:
    record = ensure_conformance(Driver(), tmp_path, corpus=Corpus())
    assert isinstance(record, Record)
    assert json.loads(json.dumps(record.as_json()))["passed"] is True
