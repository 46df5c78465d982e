"""What a participant reads: a report without empty tables, and a bundle as files."""

from pathlib import Path

import pytest

from aisc.adapters.store import open_store
from aisc.cli.competing import _show_report, fetch_bundle
from aisc.evaluations.contract import Checkup
from aisc.ledger import open_ledger
from aisc.submission.findings import Findings, Rule
from aisc.workbench import MANIFEST, Workbench, pack


def test_a_report_on_nothing_countable_has_no_table_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    findings = Findings()
    findings.add(Rule("ZIP_BROKEN", "refused", "Pack it again.").broken("", "The archive ends early."))
    _show_report(Path("a.zip"), Checkup(findings, {"images": 0}, ""), [])
    said = capsys.readouterr().out
    assert "ZIP_BROKEN, 1 time: refuses the submission" in said
    assert "REFUSED: a.zip" in said
    assert "Items" not in said


def test_a_report_counts_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    _show_report(Path("a.zip"), Checkup(Findings(), {"images": 3, "failed": 0}, "3 images are evaluated."), [])
    said = capsys.readouterr().out
    assert "Items" in said
    assert "images" in said
    assert "failed" not in said
    assert "ACCEPTED: 3 images are evaluated." in said


def test_a_bundle_is_unpacked_where_no_folder_was(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "result.json").write_text("{}")
    pack(tmp_path / "made", tmp_path / "bundle.tar")
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", create=True)
    bench = Workbench(ledger, open_store(str(tmp_path / "store")), tmp_path / "cache")
    bench.store.put("results/bundle.tar", tmp_path / "bundle.tar")
    fetch_bundle(bench, "results/bundle.tar", tmp_path / "to" / "team")
    ledger.close()
    assert {path.name for path in (tmp_path / "to" / "team").iterdir()} == {"result.json", MANIFEST}
    assert list((tmp_path / "cache" / "scratch").iterdir()) == []
