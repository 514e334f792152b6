from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.times import parse_timestamp
from tests.ingestion.test_parsing import texts, values

EPOCH = datetime(1970, 1, 1)
ZONES = sorted(
    zone
    for zone in available_timezones()
    if "/" in zone and not zone.startswith(("posix", "right"))
)
LOCAL_TIMES = {
    "Europe/London": {
        "2024-03-31 00:59": "2024-03-31 00:59:00",
        "2024-03-31 01:30": "2024-03-31 01:30:00",
        "2024-03-31 02:00": "2024-03-31 01:00:00",
        "2024-10-27 00:59": "2024-10-26 23:59:00",
        "2024-10-27 01:30": "2024-10-27 00:30:00",
        "2024-10-27 02:00": "2024-10-27 02:00:00",
        "2010-12-01 08:26": "2010-12-01 08:26:00",
        "2024-07-01 00:00Z": "2024-07-01 00:00:00",
        "2024-07-01 00:00+02:00": "2024-06-30 22:00:00",
    },
    "America/New_York": {
        "2024-03-10 01:59": "2024-03-10 06:59:00",
        "2024-03-10 02:30": "2024-03-10 07:30:00",
        "2024-11-03 01:30": "2024-11-03 05:30:00",
        "2006-04-01 12:00": "2006-04-01 17:00:00",
    },
    "Australia/Lord_Howe": {
        "2024-04-07 01:45": "2024-04-06 14:45:00",
        "2024-04-07 02:00": "2024-04-06 15:30:00",
        "2024-10-06 02:15": "2024-10-05 15:45:00",
    },
    "Asia/Kolkata": {
        "2024-03-01": "2024-02-29 18:30:00",
    },
    "UTC": {
        "2024-03-01": "2024-03-01 00:00:00",
    },
}


@pytest.mark.parametrize("zone", LOCAL_TIMES)
def test_local_time_is_converted_to_utc(zone: str) -> None:
    expected = {local: datetime.fromisoformat(utc) for local, utc in LOCAL_TIMES[zone].items()}
    found = values(parse_timestamp(texts(*expected).text, "iso", zone))
    assert [EPOCH + time * timedelta(milliseconds=1) for time in found] == [*expected.values()]


@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(datetime(1990, 1, 2), datetime(2027, 1, 1)), min_size=20, max_size=20),
    st.data(),
)
@settings(max_examples=15, deadline=None)
def test_zones_agree_with_python(zone: str, moments: list[datetime], data: Any) -> None:
    rules = ZoneInfo(zone)
    # Around the changes of the clock as well.
    year = data.draw(st.integers(1991, 2026))
    days = [datetime(year, 1, 1) + timedelta(days=day) for day in range(365)]
    changes = [
        day + timedelta(minutes=minutes)
        for day, next_day in pairwise(days)
        if rules.utcoffset(day) != rules.utcoffset(next_day)
        for minutes in range(-120, 1600, 15)
    ]
    local = [moment.replace(microsecond=0) for moment in [*moments, *changes]]
    expected = [int(moment.replace(tzinfo=rules).timestamp()) * 1000 for moment in local]
    table = texts(*map(str, local))
    assert values(parse_timestamp(table.text, "iso", zone)) == expected
