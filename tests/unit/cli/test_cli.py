"""What a person types and reads: help with an example each, exit codes, JSON everywhere, clear errors."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from aisc.cli.main import app

ROOT_COMMAND = typer.main.get_command(app)


def leaves(command, path=()):
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))
    else:
        yield path, command


COMMANDS = list(leaves(ROOT_COMMAND))


def aisc(*words: str, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aisc", *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=120
    )


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_gives_an_example_and_speaks_json(path, command):
    assert f"Example: aisc {' '.join(path)}" in command.help
    assert any("--json" in parameter.opts for parameter in command.params)


def test_help_is_found_by_both_names():
    for word in ("-h", "--help"):
        done = CliRunner().invoke(app, [word])
        assert done.exit_code == 0
        assert "leaderboard" in done.stdout


def test_a_season_is_made_checked_and_shown(tmp_path):
    words = ("season", "init", "season.yaml", "--start", "2026-03-01", "--track", "face")
    assert aisc(*words, cwd=tmp_path).returncode == 0
    checked = aisc("season", "check", "season.yaml", "--json", cwd=tmp_path)
    assert json.loads(checked.stdout)["stages"] == ["face/preliminary", "face/evaluation", "face/final"]
    shown = aisc("season", "show", cwd=tmp_path)
    assert "2026-03-01 00:00:00" in shown.stdout
    again = aisc("season", "init", "season.yaml", cwd=tmp_path)
    assert again.returncode == 2
    assert "SEASON_EXISTS" in again.stderr


def test_a_wrong_season_names_line_and_remedy_and_ends_with_2(tmp_path):
    (tmp_path / "season.yaml").write_text("season: x\ntimezone: Mars/Olympus\nstore: ./a\nledger: sqlite:///l.db\n")
    done = aisc("season", "check", "season.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "season.yaml:2:" in done.stderr
    assert "tracks" in done.stderr


def test_an_error_as_json_has_code_message_remedy_and_party(tmp_path):
    done = aisc("team", "list", "--json", cwd=tmp_path)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "SEASON_UNREADABLE"
    assert error["party"] == "operator"
    assert "aisc season init" in error["remedy"]


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    assert aisc("season", "init", cwd=tmp_path).returncode == 0
    command = f"{sys.executable} -m aisc season show --schema | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, cwd=tmp_path)  # noqa: S602
    assert done.stdout.startswith("{")
    assert "Traceback" not in done.stderr


def test_wrong_use_as_json_has_a_code_too(tmp_path):
    for words, named in (
        (("round", "run", "--json"), "TRACK/STAGE"),
        (("round", "run", "face/x", "--engine", "steam", "--json"), "--engine"),
        (("round", "walk", "--json"), "walk"),
    ):
        done = aisc(*words, cwd=tmp_path)
        assert done.returncode == 2
        error = json.loads(done.stdout)["error"]
        assert (error["code"], error["party"]) == ("USAGE", "operator")
        assert named in error["message"]
        assert "--help" in error["remedy"]
    said = aisc("round", "run", cwd=tmp_path)
    assert said.returncode == 2
    assert "Usage: " in said.stderr
    assert said.stdout == ""


def test_help_asked_for_is_no_error_and_help_for_want_of_a_command_is(tmp_path):
    assert aisc("round", "--help", cwd=tmp_path).returncode == 0
    assert aisc("round", cwd=tmp_path).returncode == 2


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "aisc.cli.data":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from aisc.cli import main
main()
"""


def test_ctrl_c_while_loading_is_one_line():
    command = [sys.executable, "-c", INTERRUPTED_WHILE_LOADING]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


INTERRUPTED_AT_WORK = """
from aisc.cli import main, teams

def interrupted(season):
    raise KeyboardInterrupt

teams.open_workspace = interrupted
main()
"""


def test_ctrl_c_at_work_is_one_line_too():
    command = [sys.executable, "-c", INTERRUPTED_AT_WORK, "team", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_a_later_stage_that_takes_uploads_says_from_whom(tmp_path):
    assert aisc("season", "init", cwd=tmp_path).returncode == 0
    rows = {
        row.split("│")[1].strip(): row for row in aisc("season", "show", cwd=tmp_path).stdout.splitlines() if "│" in row
    }
    assert "uploads by teams of judgment" in rows["driving/final"]
    assert "entries of preliminary" in rows["face/evaluation"]
    assert "uploads by" not in rows["driving/preliminary"]
