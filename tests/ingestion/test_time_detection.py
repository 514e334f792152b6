from datetime import UTC, datetime, timedelta

import pytest

from bazar.errors import InputError
from bazar.ingestion.time_detection import AmbiguousTimesError, detect_time_format
from bazar.ingestion.times import parse_timestamp
from tests.ingestion.test_parsing import texts, values

MOMENTS = [datetime(2023, 11, 28, 23, 59, 5) + timedelta(days=day, hours=day) for day in range(20)]
NOW = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp() * 1000)
TEN_YEARS_LATER = int(datetime(2034, 6, 1, tzinfo=UTC).timestamp() * 1000)
EPOCH = datetime(1970, 1, 1)


def detect(*rows: str | None, now: int = NOW) -> str:
    return detect_time_format(texts(*rows), "text", now, "interactions.shop")


WRITTEN = [
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d", "%Y/%m/%d",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%y %H:%M:%S", "%d/%m/%Y %H:%M:%S.%f", "%d-%m-%Y",
    "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%y", "%m-%d-%y %I:%M%p", "%m/%d/%Y, %H:%M:%S",
    "%Y-%m-%d %I:%M %p", "%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d %H:%M:%S", "%m %d, %Y",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y %I:%M %p", "%B %d, %Y at %I:%M %p", "%d. %B %Y",
    "%d %b %Y %H:%M:%S UTC", "%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S +0000",
    "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S +0000", "%d de %B de %Y",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_written_format_is_found(written: str) -> None:
    rows = [moment.strftime(written) for moment in MOMENTS]
    found = detect(*rows, None, " ")
    times = values(parse_timestamp(texts(*rows).text, found, "UTC"))
    unit = timedelta(**{
        "seconds" if "%S" in written else "minutes" if "%M" in written else "days": 1
    })  # fmt: skip
    expected = [EPOCH + (moment - EPOCH) // unit * unit for moment in MOMENTS]
    assert [EPOCH + time * timedelta(milliseconds=1) for time in times] == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["1709288460", "1709288460.5"], "s"),
        (["1.70928846e12", "1709288461000"], "ms"),
        (["1709288460000000"], "us"),
        (["1709288460000000000"], "ns"),
        (["45352", "45352.43125"], "excel"),
        (["20240301", "2024-03-01", "2024-03-01 10:21"], "iso"),
        ([None, "", " "], "iso"),
        # pandas writes midnight without a time of day.
        (["13.03.2024 10:21:00", "14.03.2024"], "%d.%m.%Y[ %H:%M[:%S]]"),
        # Both readings of each value are equal.
        (["01.01.2024", "02.02.2024 10:21"], "%d.%m.%Y[ %H:%M[:%S]]"),
        # The 12th month of 2024 is in the future.
        (["3/12/2024", "4/12/2024"], "%m/%d/%Y[ %H:%M[:%S]]"),
        # One value decides, and invalid values do not matter.
        (["1/2/2024"] * 50 + ["13/2/2024", "n/a", "0/0/0000"], "%d/%m/%Y[ %H:%M[:%S]]"),
        (["1/2/2024"] * 50 + ["2/13/2024"], "%m/%d/%Y[ %H:%M[:%S]]"),
        # Most values decide.
        (["2/13/2024"] * 3 + ["13/2/2024"] * 2, "%m/%d/%Y[ %H:%M[:%S]]"),
    ],
)
def test_format_of_most_values_is_found(rows: list[str | None], expected: str) -> None:
    assert detect(*rows) == expected


def test_ambiguous_times_are_rejected_with_both_readings() -> None:
    with pytest.raises(AmbiguousTimesError) as caught:
        detect("1/1/2024", "3/4/2024 10:21", "5/6/2023", "x")
    assert caught.value.formats == ["%d/%m/%Y[ %H:%M[:%S]]", "%m/%d/%Y[ %H:%M[:%S]]"]
    assert str(caught.value).splitlines() == [
        "interactions.shop.timestamp_format: 2 formats fit the times equally well, and no value of "
        "the column shows which one is right. For example, '3/4/2024 10:21' is",
        '  3 April 2024 with timestamp_format: "%d/%m/%Y[ %H:%M[:%S]]"',
        '  4 March 2024 with timestamp_format: "%m/%d/%Y[ %H:%M[:%S]]"',
        "Set interactions.shop.timestamp_format in globals.yml to the right one.",
    ]


def test_short_years_may_be_first() -> None:
    with pytest.raises(AmbiguousTimesError, match="3 formats") as caught:
        detect("01-02-03")
    assert [found[:8] for found in caught.value.formats] == ["%d-%m-%y", "%m-%d-%y", "%y-%m-%d"]
    assert detect("24-02-28", "24-02-29").startswith("%y-%m-%d")


def test_equal_numbers_of_days_and_months_first_that_no_value_shares_are_not_ambiguous() -> None:
    assert detect("31/01/2024", "01/31/2024") == "%d/%m/%Y[ %H:%M[:%S]]"
    with pytest.raises(AmbiguousTimesError):
        detect("31/01/2024", "01/31/2024", "01/02/2024")


def test_unknown_format_is_rejected_with_examples() -> None:
    with pytest.raises(InputError) as caught:
        detect("yesterday", "yesterday", "week 9", "Q1", "2024-03-01")
    message = str(caught.value)
    assert message.startswith(
        "interactions.shop.timestamp_format: the format of the times is unknown"
    )
    assert "'yesterday'" in message
    assert message.count("'") == 6
    assert 'such as "%d.%m.%Y %H:%M:%S"' in message
    with pytest.raises(InputError, match="unknown, for example '1', '12'"):
        detect("1", "2", "12")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-01 10:00 PST", datetime(2024, 1, 1, 18)),
        ("01/13/2024 10:00 EST", datetime(2024, 1, 13, 15)),
        ("Jul 12, 2023 11:59:58 PM PDT", datetime(2023, 7, 13, 6, 59, 58)),
        ("13.01.2024 10:00:30 CET", datetime(2024, 1, 13, 9, 0, 30)),
        ("Fri Jan 05 10:21:05 MST 2024", datetime(2024, 1, 5, 17, 21, 5)),
    ],
)
def test_abbreviations_of_zones_are_read(text: str, utc: datetime) -> None:
    found = detect(text)
    [time] = values(parse_timestamp(texts(text).text, found, "Asia/Tokyo"))
    assert EPOCH + time * timedelta(milliseconds=1) == utc


def test_other_abbreviations_of_zones_are_explained() -> None:
    with pytest.raises(InputError, match=r"only EST, .* are read\. Write an offset such as"):
        detect("2024-01-01 10:00 IST")
    with pytest.raises(InputError) as caught:
        detect("noon at 12 PM")
    assert "abbreviations" not in str(caught.value)


def test_times_after_now_are_no_times() -> None:
    assert detect("3000000000000", now=TEN_YEARS_LATER * 2) == "ms"
    with pytest.raises(InputError, match="3000000000000"):
        detect("3000000000000")
