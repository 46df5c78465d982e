from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisc.leaderboard.board import Measure
from aisc.leaderboard.drawing import SPARK_HEIGHT, SPARK_WIDTH, Axis, SparkFrame, score_axis
from aisc.leaderboard.entry import Interval, Past


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), max_size=6))
def test_everything_lies_on_the_axis(values: list[float]) -> None:
    axis = Axis.over(values)
    assert axis.low < axis.high
    assert all(0 <= axis.percent(value) <= 100 for value in values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 9
    assert all(0 <= float(tick.at) <= 100 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.05, 0.65, ["0.2", "0.4", "0.6"]),
        (0.0, 100.0, ["0", "20", "40", "60", "80", "100"]),
        (-0.011, 0.011, ["-0.010", "-0.005", "0.000", "0.005", "0.010"]),
    ],
)
def test_ticks_are_round(low: float, high: float, labels: list[str]) -> None:
    assert [tick.label for tick in Axis(low, high).ticks()] == labels


def test_a_whisker_lies_where_its_interval_is(board: Any, entry: Any) -> None:
    made = board([entry("a", 0.5, interval=Interval(0.4, 0.6)), entry("b", 0.0), entry("c", 1.0)])
    axis = score_axis(made)
    marks = {row.entry.team: axis.whisker(row.entry) for row in made.ranked}
    assert (float(marks["a"].at), float(marks["a"].low) + float(marks["a"].high)) == (50.0, 100.0)
    assert float(marks["b"].width) == 0.0
    assert float(marks["b"].at) < float(marks["a"].low) < float(marks["a"].high) < float(marks["c"].at)


@pytest.mark.parametrize("higher", [True, False])
def test_a_history_that_gets_better_rises(board: Any, entry: Any, noon: Any, higher: bool) -> None:
    worse = 0.1 if higher else 0.9
    history = (Past(noon - timedelta(hours=1), 0.4), Past(noon - timedelta(hours=2), worse))
    made = board([entry("a", 0.5, history=history)], measure=Measure(name="s", higher_is_better=higher))
    spark = SparkFrame.of(made).draw(made.ranked[0].entry)
    points = [tuple(map(float, point.split(","))) for point in spark.points.split()]
    assert len(points) == 3
    assert points == sorted(points)
    assert (points[0][1] > points[-1][1]) is True
    assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in points)
    assert spark.words.startswith("3 scored submissions, oldest first: 0.")


def test_the_dot_marks_the_submission_that_counts(board: Any, entry: Any, noon: Any) -> None:
    history = (Past(noon - timedelta(hours=1), 0.4), Past(noon + timedelta(hours=1), 0.2))
    made = board([entry("a", 0.5, history=history)])
    spark = SparkFrame.of(made).draw(made.ranked[0].entry)
    assert f"{spark.x},{spark.y}" == spark.points.split()[1]


def test_a_team_with_one_score_has_no_history(board: Any, entry: Any) -> None:
    assert SparkFrame.of(board([entry("a", 0.5)])) is None
