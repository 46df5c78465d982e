from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from aisc.errors import UsageError
from aisc.leaderboard.entry import Entry, State
from aisc.leaderboard.ranking import TIED_AT_CUT, advance, rank

START = datetime(2022, 4, 1, tzinfo=UTC)


@st.composite
def fields(draw: st.DrawFn) -> list[Entry]:
    """Up to a dozen teams, in all states, with many equal scores."""
    rows: list[Entry] = []
    for index in range(draw(st.integers(0, 12))):
        state = draw(st.sampled_from(get_args(State)))
        has_score = state == "scored" or (state == "awaiting-review" and draw(st.booleans()))
        rows.append(
            Entry(
                team=f"team {index}",
                submission=f"s{index}",
                state=state,
                submitted_at=START + timedelta(hours=draw(st.integers(0, 3))),
                score=draw(st.sampled_from([0.0, 0.25, 0.5, 1.2, -3.0])) if has_score else None,
                version="v" if has_score else "",
                reason_code="" if state == "scored" else "CODE",
            )
        )
    return rows


@given(fields(), st.booleans())
def test_T53_a_failed_entry_is_never_ranked(rows: list[Entry], higher: bool) -> None:
    ranked = rank(rows, higher_is_better=higher)
    assert {row.entry.team for row in ranked} == {entry.team for entry in rows if entry.state == "scored"}
    going = advance(ranked, top=1) if ranked else ()
    assert all(row.entry.state == "scored" for row in going if row.entry.advances)


@given(fields(), st.booleans())
def test_places_are_those_of_scipy(rows: list[Entry], higher: bool) -> None:
    ranked = rank(rows, higher_is_better=higher)
    scores = [row.entry.score for row in ranked]
    expected = rankdata([-s if higher else s for s in scores], method="min") if scores else []
    assert [row.rank for row in ranked] == [int(place) for place in expected]
    assert [row.tied for row in ranked] == [scores.count(score) > 1 for score in scores]
    assert [row.rank for row in ranked] == sorted(row.rank for row in ranked)


@given(fields(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(rows: list[Entry], shuffler: Any) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)
    assert rank(mixed) == rank(rows)


@given(fields(), st.integers(1, 12))
def test_everyone_with_fewer_than_top_better_teams_advances(rows: list[Entry], top: int) -> None:
    ranked = rank(rows)
    for row in advance(ranked, top=top):
        better = sum(other.entry.score > row.entry.score for other in ranked)
        assert row.entry.advances == (better < top)


def test_competition_ranking_skips_after_a_tie(entry: Any) -> None:
    ranked = rank([entry("d", 0.1), entry("b", 0.5), entry("c", 0.5), entry("a", 0.9)])
    assert [(row.rank, row.entry.team) for row in ranked] == [(1, "a"), (2, "b"), (2, "c"), (4, "d")]


def test_inside_a_tie_the_earlier_one_is_listed_first(entry: Any, noon: datetime) -> None:
    late, early = entry("a", 0.5, submitted_at=noon + timedelta(seconds=1)), entry("b", 0.5)
    assert [(row.rank, row.entry.team) for row in rank([late, early])] == [(1, "b"), (1, "a")]


def test_a_defence_wins_by_the_lowest_delta(entry: Any) -> None:
    ranked = rank([entry("a", 52.0), entry("b", 20.0)], higher_is_better=False)
    assert [row.entry.team for row in ranked] == ["b", "a"]


def test_scores_tie_at_the_declared_precision(entry: Any) -> None:
    rows = [entry("a", 0.1 + 0.2), entry("b", 0.3), entry("c", 0.3001)]
    assert [row.rank for row in rank(rows)] == [1, 2, 3]
    assert [(row.rank, row.entry.team) for row in rank(rows, digits=6)] == [(1, "c"), (2, "a"), (2, "b")]


def test_a_tie_at_the_cut_takes_all_of_them_in_and_says_so(entry: Any) -> None:
    ranked = rank([entry("a", 0.9), entry("b", 0.5), entry("c", 0.5), entry("d", 0.1)])
    going = advance(ranked, top=2)
    assert [row.entry.advances for row in going] == [True, True, True, False]
    assert [TIED_AT_CUT in row.entry.flags for row in going] == [False, True, True, False]


def test_a_tie_inside_the_cut_is_not_flagged(entry: Any) -> None:
    going = advance(rank([entry("a", 0.9), entry("b", 0.9), entry("c", 0.5)]), top=2)
    assert [(row.entry.advances, row.entry.flags) for row in going] == [(True, ()), (True, ()), (False, ())]


def test_the_report_s_two_teams_at_100_share_first_place(entry: Any) -> None:
    ranked = rank([entry("a", 100.0), entry("b", 100.0), entry("c", 80.0)])
    assert [row.rank for row in ranked] == [1, 1, 3]


def test_advancing_again_with_another_cut_forgets_the_first(entry: Any) -> None:
    ranked = rank([entry("a", 0.5), entry("b", 0.5), entry("c", 0.1)])
    assert advance(advance(ranked, top=1), top=3) == advance(ranked, top=3)


def test_a_cut_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="CUT_INVALID"):
        advance((), top=0)
