"""Names of teams: what may be one, and which two are the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisc.errors import UsageError
from aisc.ledger import Ledger, open_ledger
from aisc.ledger.teams import checked_name


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Iterator[Ledger]:
    shutil.copy(template, tmp_path / "ledger.db")
    opened = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", ["A", "Patch Adams", "Ämter & Söhne", "五号队", "team_7.b+c-d", "O'Neill", "x" * 64])
def test_names_of_any_script_are_taken(ledger: Ledger, name: str) -> None:
    assert ledger.teams.add(name).name == name
    assert ledger.teams.find(name).name == name


WRONG = [
    "", " ", "a ", " a", "a  b", "x" * 65, "<b>x</b>", 'a"b', "a\nb", "a\tb", "a\x00b", "a/b", "a\\b", "=1+1", "-a",
    "+a", "@a", "a;b", "a\u202eb", "a\u200bb", "a\n", "{{x}}", "a,b", "\ud800", "..", "a%s", "a`b`",
]  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_T51_what_a_page_a_table_or_a_path_could_misread_is_no_name(ledger: Ledger, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        ledger.teams.add(name)
    assert caught.value.code == "TEAM_NAME"
    assert ledger.teams.all() == []


@given(st.text(max_size=70))
def test_T51_whatever_is_taken_is_inert(name: str) -> None:
    try:
        taken = checked_name(name)
    except UsageError:
        return
    assert 1 <= len(taken) <= 64
    assert not set(taken) & set('<>"/\\;,{}%`\n\r\t\x00|$()[]#@*?!:=')
    assert taken == taken.strip()
    assert taken[0].isalnum() or taken[0] == "_"


@pytest.mark.parametrize("other", ["patch adams", "PATCH ADAMS", "\N{FULLWIDTH LATIN CAPITAL LETTER P}atch Adams"])
def test_T25_names_that_look_alike_are_one_team(ledger: Ledger, other: str) -> None:
    team = ledger.teams.add("Patch Adams")
    with pytest.raises(UsageError, match=r"^TEAM_EXISTS"):
        ledger.teams.add(other)
    assert ledger.teams.find(other) == team


def test_T25_composed_and_decomposed_letters_are_one_team(ledger: Ledger) -> None:
    ledger.teams.add("Ärzte")
    with pytest.raises(UsageError, match=r"^TEAM_EXISTS"):
        ledger.teams.add("A\N{COMBINING DIAERESIS}rzte")
    ledger.teams.add("straße")
    assert ledger.teams.find("STRASSE").name == "straße"


def test_one_address_one_team(ledger: Ledger) -> None:
    assert ledger.teams.add("A", " A@Example.org ").email == "a@example.org"
    with pytest.raises(UsageError, match=r"^TEAM_EXISTS"):
        ledger.teams.add("B", "a@example.org")
    for email in ("nobody", "a@b@c", "a b@c", "<a@b>", "@"):
        with pytest.raises(UsageError, match=r"^TEAM_EMAIL"):
            ledger.teams.add("C", email)
    ledger.teams.add("D")
    ledger.teams.add("E")
    assert [team.name for team in ledger.teams.all()] == ["A", "D", "E"]


def test_an_unknown_team_is_told_without_the_names_of_others(ledger: Ledger) -> None:
    ledger.teams.add("Patch Adams")
    with pytest.raises(UsageError, match=r"^TEAM_UNKNOWN") as caught:
        ledger.teams.find("A")
    assert "Patch Adams" not in str(caught.value)
