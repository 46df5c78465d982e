"""Deadlines to the microsecond, and days that daylight saving time makes longer, shorter or odd (T48)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisc.season import Season, Stage
from aisc.season.clock import day_window, start_of_day

OPENS = datetime(2022, 3, 1, tzinfo=UTC)
CLOSES = datetime(2022, 5, 1, 12, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("instant", "is_open"),
    [
        (OPENS - TICK, False),
        (OPENS, True),
        (OPENS + TICK, True),
        (CLOSES - TICK, True),
        (CLOSES, False),
        (CLOSES + TICK, False),
        (CLOSES.astimezone(ZoneInfo("Asia/Shanghai")) - TICK, True),
        (CLOSES.astimezone(ZoneInfo("Asia/Shanghai")), False),
    ],
)
def test_T48_a_stage_is_open_from_opening_up_to_but_not_at_closing(instant: datetime, is_open: bool) -> None:
    assert Stage(opens=OPENS, closes=CLOSES).is_open(instant) is is_open


def test_T48_a_stage_that_follows_another_is_never_open_for_uploads() -> None:
    assert not Stage(opens=OPENS, closes=CLOSES, after="preliminary").is_open(OPENS)


@pytest.mark.parametrize(
    ("zone", "instant", "start", "hours"),
    [
        ("UTC", "2022-03-01T12:00:00Z", "2022-03-01T00:00:00Z", 24),
        ("UTC", "2022-03-01T00:00:00Z", "2022-03-01T00:00:00Z", 24),
        ("UTC", "2022-03-01T23:59:59.999999Z", "2022-03-01T00:00:00Z", 24),
        ("Asia/Shanghai", "2022-03-01T16:00:00Z", "2022-03-01T16:00:00Z", 24),
        ("Asia/Shanghai", "2022-03-01T15:59:59.999999Z", "2022-02-28T16:00:00Z", 24),
        ("Europe/Berlin", "2022-03-27T12:00:00Z", "2022-03-26T23:00:00Z", 23),
        ("Europe/Berlin", "2022-10-30T12:00:00Z", "2022-10-29T22:00:00Z", 25),
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", 23),  # clocks jump over midnight
        ("America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-17T02:00:00Z", 25),  # 23:00 to 24:00 happens twice
        ("America/Havana", "2022-11-06T12:00:00Z", "2022-11-06T04:00:00Z", 25),  # midnight happens twice
        ("Pacific/Apia", "2011-12-30T09:59:00Z", "2011-12-29T10:00:00Z", 24),  # the 30th was left out
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", 24),
        ("Australia/Lord_Howe", "2022-04-02T20:00:00Z", "2022-04-02T13:00:00Z", 24.5),
    ],
)
def test_T48_a_day_is_as_long_as_the_clocks_make_it(zone: str, instant: str, start: str, hours: float) -> None:
    begins, ends = day_window(datetime.fromisoformat(instant), ZoneInfo(zone))
    assert begins == datetime.fromisoformat(start)
    assert ends - begins == timedelta(hours=hours)


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "Pacific/Apia",
    "America/Goose_Bay",
    "Asia/Beirut",
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_T48_days_hold_their_instant_and_follow_each_other(zone_name: str, instant: datetime) -> None:
    zone = ZoneInfo(zone_name)
    start, end = day_window(instant, zone)
    assert start <= instant < end
    assert day_window(start, zone) == (start, end)
    assert day_window(end - TICK, zone) == (start, end)
    assert day_window(end, zone)[0] == end


@pytest.mark.parametrize("zone_name", ["America/Sao_Paulo", "America/Goose_Bay", "Pacific/Apia", "Asia/Beirut"])
def test_T48_a_day_starts_at_the_first_second_that_shows_its_date(zone_name: str) -> None:
    """Walk every half hour of the years and a minute of seconds around each start."""
    zone = ZoneInfo(zone_name)
    for offset in range(0, 365 * 3, 1):
        day = date(2009, 1, 1) + timedelta(days=offset)
        start = start_of_day(day, zone)
        assert start.astimezone(zone).date() >= day
        assert (start - timedelta(seconds=1)).astimezone(zone).date() < day


def test_T48_a_season_counts_days_in_its_own_timezone() -> None:
    stage = {"opens": OPENS, "closes": CLOSES, "data": "d", "victims": ["v"]}
    season = Season.model_validate(
        {
            "season": "s",
            "timezone": "Asia/Shanghai",
            "store": "a",
            "ledger": "sqlite:///l.db",
            "tracks": {"face": {"rules": "face-verification-patch", "stages": {"preliminary": stage}}},
        }
    )
    start, end = season.day_window(datetime(2022, 3, 5, 17, tzinfo=UTC))
    assert (start, end) == (datetime(2022, 3, 5, 16, tzinfo=UTC), datetime(2022, 3, 6, 16, tzinfo=UTC))
