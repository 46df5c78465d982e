"""What an organizer is told to do when a stage is not ready: a command that works."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aisc.cli import next_step as module
from aisc.cli.main import app
from aisc.cli.next_step import next_step
from aisc.cli.workspace import open_workspace
from aisc.ledger.competition import Entry
from aisc.reception import receive
from aisc.season import season_text

OPEN = "'aisc round run face/preliminary'"
BOARDS: set[str] = set()


@pytest.fixture
def season(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A season whose boards are those that a test names: making real ones takes victims and minutes."""
    monkeypatch.setattr(module, "latest_board", lambda _, stage: stage if stage in BOARDS else None)
    BOARDS.clear()
    file = tmp_path / "season.yaml"
    file.write_text(season_text("unit", datetime.now(UTC).date() - timedelta(days=1), tracks=["face"]))
    return file


def told(season: Path, *words: str) -> tuple[str, str]:
    error = CliRunner().invoke(app, [*words, "--season", str(season)]).exception
    return error.code, error.remedy


def close(season: Path) -> None:
    text = season.read_text()
    closes = text.split("closes: ")[1].split("\n")[0]
    season.write_text(text.replace(closes, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"))


def test_while_teams_submit_every_way_leads_to_the_first_stage(season: Path, tmp_path: Path) -> None:
    for stage in ("face/preliminary", "face/evaluation"):
        code, remedy = told(season, "round", "advance", stage)
        assert code in ("STAGE_STILL_OPEN", "STAGE_NOT_PUBLISHED")
        assert "takes submissions until" in remedy
        assert remedy.endswith(f"then run {OPEN}.")
    for stage in ("face/evaluation", "face/final"):
        code, remedy = told(season, "review-form", stage, "--to", str(tmp_path / "form.csv"))
        assert code == "REVIEW_FORM_EMPTY"
        assert remedy.endswith(f"then run {OPEN}.")
    assert told(season, "review-form", "face/preliminary", "--to", str(tmp_path / "form.csv"))[1] == f"Run {OPEN}."


def test_after_the_close_the_first_stage_without_a_board_is_named(season: Path) -> None:
    close(season)
    assert told(season, "round", "advance", "face/evaluation") == ("STAGE_NOT_PUBLISHED", f"Run {OPEN}.")
    BOARDS.add("face/preliminary")
    with open_workspace(season) as workspace:
        final = workspace.season.stage("face/final")
        assert next_step(workspace, final) == "Run 'aisc round run face/evaluation'."
        BOARDS.add("face/evaluation")
        assert next_step(workspace, final) == "Run 'aisc round run face/final'."


def test_a_stage_that_teams_have_entered_is_run_whatever_came_before(season: Path, tmp_path: Path) -> None:
    with open_workspace(season) as workspace:
        workspace.bench.ledger.teams.add("A")
        (tmp_path / "a.zip").write_bytes(b"a")
        receipt = receive(workspace.bench, workspace.season, "face/preliminary", "A", tmp_path / "a.zip")
        workspace.bench.ledger.stages.enter("face/evaluation", [Entry("A", receipt.id, 1)])
    close(season)
    with open_workspace(season) as workspace:
        assert next_step(workspace, workspace.season.stage("face/final")) == "Run 'aisc round run face/evaluation'."
