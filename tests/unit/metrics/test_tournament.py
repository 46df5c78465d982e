import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, rankdata

from aisc.metrics.tournament import hold_tournament, shared_ranks

ATTACKS, DEFENCES = ("a", "b", "c"), ("x", "y")


def cells(table, images=50):
    return {
        (attack, defence): np.full(images, float(value))
        for attack, row in zip(ATTACKS, table, strict=True)
        for defence, value in zip(DEFENCES, row, strict=True)
        if value is not None
    }


def by_name(standings):
    return {standing.name: standing for standing in standings}


def test_attacks_are_judged_by_rows_and_defences_by_columns():
    held = hold_tournament(ATTACKS, DEFENCES, cells([(60, 20), (40, 0), (50, 10)]))
    assert held.deltas.tolist() == [[60, 20], [40, 0], [50, 10]]
    assert [(one.name, one.rank, one.mean.mean) for one in held.attacks] == [("a", 1, 40), ("c", 2, 30), ("b", 3, 20)]
    assert [(one.name, one.rank, one.mean.mean) for one in held.defences] == [("y", 1, 10), ("x", 2, 50)]
    assert held.finished
    assert held.winners() == (("a",), ("y",))


def test_equal_means_share_a_rank_and_win_together():
    held = hold_tournament(ATTACKS, DEFENCES, cells([(30, 30), (40, 20), (0, 0)]))
    assert [(one.name, one.rank) for one in held.attacks] == [("a", 1), ("b", 1), ("c", 3)]
    assert held.winners()[0] == ("a", "b")


def test_a_missing_cell_leaves_its_row_and_column_unfinished_and_nobody_wins():
    held = hold_tournament(ATTACKS, DEFENCES, cells([(60, 20), (40, None), (50, 10)]))
    assert np.isnan(held.deltas[1, 1])
    assert not held.finished
    assert held.winners() == ((), ())
    attacks, defences = by_name(held.attacks), by_name(held.defences)
    assert (attacks["b"].finished, attacks["b"].cells, attacks["b"].complete) == (1, 2, False)
    assert attacks["b"].rank is attacks["b"].mean is attacks["b"].behind is None
    assert [one.name for one in held.attacks] == ["a", "c", "b"]
    assert [one.rank for one in held.attacks] == [1, 2, None]
    assert defences["y"].rank is None
    assert defences["x"].rank == 1


def test_a_tournament_that_has_not_begun_has_no_places():
    held = hold_tournament(ATTACKS, DEFENCES, {})
    assert {one.rank for one in held.attacks + held.defences} == {None}


def test_the_distance_to_the_best_is_paired_over_images():
    rng = np.random.default_rng(1)
    hard = 100 * rng.integers(0, 2, 400).astype(float)  # what is hard for one is hard for all
    better, worse = hard + 5, hard
    held = by_name(hold_tournament("ab", "x", {("a", "x"): better, ("b", "x"): worse}).attacks)
    assert held["b"].behind.low == held["b"].behind.high == pytest.approx(5)
    assert held["a"].behind.mean == 0
    assert held["a"].mean.low < held["b"].mean.high  # apart from each other the intervals overlap


def test_intervals_equal_scipys_paired_bootstrap():
    rng = np.random.default_rng(2)
    x, y = (100 * rng.integers(0, 2, (3, 300)).astype(float) for _ in range(2))
    drops = {(attack, "x"): x[k] for k, attack in enumerate(ATTACKS)} | {
        (attack, "y"): y[k] for k, attack in enumerate(ATTACKS)
    }
    held = hold_tournament(ATTACKS, DEFENCES, drops)
    best, last = held.attacks[0], held.attacks[-1]
    rows = {attack: (x[k] + y[k]) / 2 for k, attack in enumerate(ATTACKS)}
    expected = bootstrap(
        (rows[best.name], rows[last.name]), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True, vectorized=True, n_resamples=10_000, method="percentile", rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert last.behind.low == pytest.approx(expected.low, abs=0.5)
    assert last.behind.high == pytest.approx(expected.high, abs=0.5)


def test_the_order_in_which_cells_arrive_changes_nothing():
    rng = np.random.default_rng(4)
    drops = {(a, d): 100 * rng.integers(-1, 2, 60).astype(float) for a in ATTACKS for d in DEFENCES}
    forth, back = (
        hold_tournament(ATTACKS, DEFENCES, drops),
        hold_tournament(ATTACKS, DEFENCES, dict(reversed(drops.items()))),
    )
    assert (forth.attacks, forth.defences) == (back.attacks, back.defences)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.booleans())
def test_ranks_equal_scipys_competition_ranking(values, higher):
    expected = rankdata([-value if higher else value for value in values], method="min")
    assert shared_ranks(values, higher_is_better=higher) == expected.tolist()


@pytest.mark.parametrize(
    ("attacks", "defences", "drops"),
    [
        (("a", "a"), ("x",), {}),
        ((), ("x",), {}),
        (("a",), ("x",), {("b", "x"): np.ones(3)}),
        (("a", "b"), ("x",), {("a", "x"): np.ones(3), ("b", "x"): np.ones(4)}),
        (("a",), ("x",), {("a", "x"): np.ones((3, 1))}),
    ],
    ids=["twice", "nobody", "stranger", "other images", "shape"],
)
def test_cells_that_do_not_fit_are_refused(attacks, defences, drops):
    with pytest.raises(ValueError, match=r"competitors|nobody|images"):
        hold_tournament(attacks, defences, drops)
