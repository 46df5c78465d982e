"""Names of entries, and the side that a team takes."""

import pytest

from aisc.season.names import STAGES
from aisc.tracks.safair_teams import EntryName, Place, check_entry_name, check_side, parse_entry_name, side_of

PLACE = Place("owls", "reid", "celeba")


def codes(text, earlier=()):
    return [finding.code for finding in check_entry_name(text, PLACE, earlier)]


def test_a_name_says_team_task_dataset_and_attempt():
    name = parse_entry_name("night_owls-7.attributes.celeba.12")
    assert name == EntryName("night_owls-7", "attributes", "celeba", 12)
    assert str(name) == "night_owls-7.attributes.celeba.12"


@pytest.mark.parametrize(
    "text",
    [
        "owls.reid.celeba", "owls.reid.celeba.1.2", "owls.reid.celeba.0", "owls.reid.celeba.01", "owls.reid.celeba.-1",
        "owls..celeba.1", "../owls.reid.celeba.1", "owls.reid.celeba.1\n", "owls reid celeba 1", "",
        "owls.reid.celeba.\u0661",
    ],
)  # fmt: skip
def test_any_other_form_is_refused(text):
    assert parse_entry_name(text) is None
    assert codes(text) == ["ENTRY_NAME"]


def test_a_name_fits_where_it_is_sent():
    assert codes("owls.reid.celeba.1") == []
    assert codes("Owls.reid.CelebA.1") == []
    assert codes("hawks.attributes.lfw.1") == ["ENTRY_TEAM", "ENTRY_TASK", "ENTRY_DATASET"]


def test_a_repeated_attempt_is_refused_and_costs_nothing():
    earlier = ["owls.reid.celeba.1", "no name", "owls.reid.celeba.3"]
    assert codes("owls.reid.celeba.3", earlier) == ["ENTRY_ATTEMPT_REPEATED"]
    assert codes("owls.reid.celeba.2", earlier) == []
    (finding,) = check_entry_name("owls.reid.celeba.1", PLACE, earlier)
    assert "cost no attempt" in finding.remedy


SAFAIR = [track for track in STAGES if track.endswith(("-attack", "-defence"))]


def test_rule_4_one_side_within_a_task_and_any_across_tasks():
    assert len(SAFAIR) == 4
    for track in SAFAIR:
        for other in SAFAIR:
            same_task = side_of(track)[0] == side_of(other)[0]
            forbidden = same_task and track != other
            assert [finding.code for finding in check_side(track, [other])] == (["BOTH_SIDES"] if forbidden else [])


def test_rule_4_says_nothing_about_other_competitions():
    assert check_side("reid-attack", ["face", "driving", "deepfake"]) == []


@pytest.mark.parametrize("track", ["face", "reid", "reid-", "-attack", "reid-observer"])
def test_a_track_of_another_competition_has_no_side(track):
    with pytest.raises(ValueError, match="no track of SAFAIR"):
        side_of(track)
