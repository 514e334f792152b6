import logging
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.time_formats import MONTH_NAMES, compile_format
from bazar.ingestion.times import IMPOSSIBLE, convert_time_units, is_possible, parse_timestamp
from tests.ingestion.test_parsing import texts, values

NOW = 1_700_000_000_000
EPOCH = datetime(1970, 1, 1)
MILLISECOND = timedelta(milliseconds=1)


def parse(time_format: str, *rows: str | None, zone: str = "UTC") -> list[str | None]:
    """Parse the texts. The times are returned in UTC, such as 2024-03-01 10:21:00."""
    found = values(parse_timestamp(texts(*rows).text, time_format, zone))
    return [None if time is None else str(EPOCH + time * MILLISECOND) for time in found]


def to_ms(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def write_offset(minutes: int, separator: str = "") -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{separator}{rest:02d}"


# ISO 8601


def test_iso_time_is_parsed_to_utc_milliseconds() -> None:
    expected = {
        "2020-09-13T12:26:40": 1_600_000_000_000,
        "2020-09-13 12:26:40.9999": 1_600_000_000_999,
        "2020-09-13 12:26:40,5": 1_600_000_000_500,
        "2020-09-13 12:26:40 UTC": 1_600_000_000_000,
        "2020-09-13t12:26:40z": 1_600_000_000_000,
        " 2020-9-13  12:26:40\n": 1_600_000_000_000,
        "2020/09/13 12:26:40": 1_600_000_000_000,
        "2020-09-13 12:26": 1_599_999_960_000,
        "2020-09-13": 1_599_955_200_000,
        "1950-01-01 00:00:00.25": -631_151_999_750,
        "2020-02-29": 1_582_934_400_000,
        "2019-02-29": None, "2020-13-01": None, "2020-09-13 25:00": None,
        "2020-09-13 12:60": None, "2020-09-13 12:26:60": None, "2020-09-13T": None,
        "2020-09-13 12:26:40 Europe/Paris": None, "2020-09-13+02:00": None,
        "13.09.20": None, "1600000000": None, "epoch": None, "infinity": None,
        "": None, None: None,
    }  # fmt: skip
    assert values(parse_timestamp(texts(*expected).text, "iso", "UTC")) == [*expected.values()]


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)),
            st.integers(-14 * 60, 14 * 60),
        ),
        min_size=10,
        max_size=10,
    ),
    st.sampled_from(["T", " "]),
    st.sampled_from(["milliseconds", "microseconds", "seconds"]),
)
@settings(max_examples=10, deadline=None)
def test_time_with_offset_is_converted_to_utc(
    times: list[tuple[datetime, int]], separator: str, precision: str
) -> None:
    rows, expected = [], []
    unit = timedelta(seconds=1) if precision == "seconds" else MILLISECOND
    for moment, offset in times:
        there = moment + timedelta(minutes=offset)
        rows.append(there.isoformat(separator, precision) + write_offset(offset, ":"))
        expected.append(to_ms(EPOCH + (moment - EPOCH) // unit * unit))
    assert values(parse_timestamp(texts(*rows).text, "iso", "Asia/Tokyo")) == expected


def test_iso_times_as_programs_write_them() -> None:
    expected = {
        "2019-11-01 00:00:00 UTC": "2019-11-01 00:00:00",
        "2019-11-01 00:00:00 EST": "2019-11-01 05:00:00",
        "2019-11-01 00:00PDT": "2019-11-01 07:00:00",
        "2019-11-01 00:00:00 CEST": "2019-10-31 22:00:00",
        "2019-11-01 00:00:00 IST": None,
        "2019-11-01 00:00:00 est": None,
        "2024-03-01T10:21:00.123456789Z": "2024-03-01 10:21:00.123000",
        "2024-03-01 10:21:00 +0200": "2024-03-01 08:21:00",
        "2024-03-01T10:21:00+00:00": "2024-03-01 10:21:00",
        "2024-03-01T10:21:00-03:30": "2024-03-01 13:51:00",
        "2024-03-01 10:21 GMT": "2024-03-01 10:21:00",
        "20240301": None,
        "20240301T102100": None,
        "2024-03-01T10:21:00+99:99": None,
    }
    assert parse("iso", *expected) == [*expected.values()]


# Numbers


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [
        ("s", ["1600000000", "1600000000.0", "1.6e9", " 1600000000 "]),
        ("ms", ["1600000000000", "1600000000000.4", "1599999999999.5"]),
        ("us", ["1600000000000000", "1.6E15"]),
        ("ns", ["1600000000000000000", "1600000000000000123"]),
        ("excel", ["44087.51851851852", "4.408751851851852e4"]),
    ],
)
def test_numbers_of_every_unit_are_parsed(unit: str, numbers: list[str]) -> None:
    assert parse(unit, *numbers) == ["2020-09-13 12:26:40"] * len(numbers)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "excel"])
def test_texts_are_not_numbers(unit: str) -> None:
    assert parse(unit, "2024-03-01", "nan", "1_600_000", "", None) == [None] * 5


def test_excel_dates_are_days_of_the_local_clock() -> None:
    assert parse("excel", "45352", "45352.5", "45474") == [
        "2024-03-01 00:00:00", "2024-03-01 12:00:00", "2024-07-01 00:00:00",
    ]  # fmt: skip
    assert parse("excel", "45352.5", "45474", zone="Europe/Paris") == [
        "2024-03-01 11:00:00", "2024-06-30 22:00:00",
    ]  # fmt: skip


@given(st.lists(st.datetimes(datetime(1995, 1, 1), datetime(2026, 1, 1)), min_size=1))
@settings(max_examples=5, deadline=None)
def test_excel_number_is_parsed_to_the_millisecond(moments: list[datetime]) -> None:
    expected = [to_ms(moment) for moment in moments]
    days = [repr(25_569 + time / 86_400_000) for time in expected]
    assert values(parse_timestamp(texts(*days).text, "excel", "UTC")) == expected


# Formats with directives


FORMATS: dict[str, dict[str | None, str | None]] = {
    "%m/%d/%Y %H:%M": {
        "12/1/2010 8:26": "2010-12-01 08:26:00",
    },
    "%d.%m.%Y": {
        "01.12.2010": "2010-12-01 00:00:00",
        " 1.2.2010\n": "2010-02-01 00:00:00",
        "31.02.2010": None,
        "29.02.2024": "2024-02-29 00:00:00",
        "29.02.2023": None,
        "01.13.2010": None,
        "00.12.2010": None,
        "01.12.10": None,
        "01.12.2010 08:26": None,
        "01/12/2010": None,
        "x 01.12.2010": None,
        "": None,
        None: None,
    },
    "%d.%m.%Y %H:%M": {
        "01.12.2010": None,
        "01.12.2010 24:00": None,
        "01.12.2010 9:60": None,
    },
    "%Y%m%d": {
        "20240301": "2024-03-01 00:00:00",
        "2024031": None,
    },
    "%Y%m%d[%H%M[%S]]": {
        "202403011021": "2024-03-01 10:21:00",
        "20240301102105": "2024-03-01 10:21:05",
    },
    "%Y%m%dT%H%M%S%z": {
        "20240301T102100Z": "2024-03-01 10:21:00",
    },
    "%Y%m%d%H%M%S%f": {
        "20240301102105250": "2024-03-01 10:21:05.250000",
    },
    "%m/%d/%Y %I:%M %p": {
        "3/1/2024 12:21 AM": "2024-03-01 00:21:00",
        "3/1/2024 12:21 PM": "2024-03-01 12:21:00",
        "3/1/2024 1:21 p.m.": "2024-03-01 13:21:00",
        "3/1/2024 1:21\u202fa. m.": "2024-03-01 01:21:00",
        "3/1/2024 13:21 PM": None,
        "3/1/2024 1:21PM": None,
    },
    "%m/%d/%Y %I:%M[ ]%p": {
        "3/1/2024 1:21PM": "2024-03-01 13:21:00",
    },
    "%m/%d/%Y %H:%M %p": {
        "3/1/2024 13:21 PM": "2024-03-01 13:21:00",
    },
    "%d %b %Y": {
        "1 Mar 2024": "2024-03-01 00:00:00",
        "1 Mrz. 2024": "2024-03-01 00:00:00",
        "1 Foo 2024": None,
        "1 3 2024": None,
    },
    "%d-%b-%y": {
        "01-MAR-24": "2024-03-01 00:00:00",
    },
    "%d. %B %Y": {
        "1. MÄRZ 2024": "2024-03-01 00:00:00",
    },
    "%d %B %Y": {
        "15 août 2024": "2024-08-15 00:00:00",
    },
    "%d de %B de %Y": {
        "1 de março de 2024": "2024-03-01 00:00:00",
        "1 De setiembre DE 2024": "2024-09-01 00:00:00",
    },
    "%d%b%Y:%H:%M:%S": {
        "01MAR2024:10:21:05": "2024-03-01 10:21:05",
    },
    "%b %d, %Y %I:%M %p": {
        "Mar 1, 2024 10:21 PM": "2024-03-01 22:21:00",
    },
    "%d %b %Y %H:%M:%S %Z": {
        "Fri, 01 Mar 2024 10:21:00 GMT": "2024-03-01 10:21:00",
        "Fri, 01 Mar 2024 10:21:00 CET": "2024-03-01 09:21:00",
    },
    "%d %b %Y %H:%M:%S %z": {
        "Fri, 01 Mar 2024 10:21:00 MST": "2024-03-01 17:21:00",
        "Fri, 01 Mar 2024 10:21:00 -0500": "2024-03-01 15:21:00",
    },
    "%b %d %Y": {
        "vendredi Mar 01 2024": "2024-03-01 00:00:00",
        "about Mar 01 2024": None,
    },
    "%d/%b/%Y:%H:%M:%S %z": {
        "01/Mar/2024:10:21:00 +0530": "2024-03-01 04:51:00",
    },
    "%d.%m.%y": {
        "1.3.69": "1969-03-01 00:00:00",
        "1.3.68": "2068-03-01 00:00:00",
        "1.3.2024": None,
    },
    "100%% %Y年%m月%d日": {
        "100% 2024年3月1日": "2024-03-01 00:00:00",
    },
    "%Y-%m-%d (%H+%M)": {
        "2024-03-01 (10+21)": "2024-03-01 10:21:00",
    },
}


@pytest.mark.parametrize("time_format", FORMATS)
def test_format_is_parsed(time_format: str) -> None:
    expected = FORMATS[time_format]
    assert parse(time_format, *expected) == [*expected.values()]


def test_brackets_enclose_optional_parts() -> None:
    found = parse("%d.%m.%Y[ %H:%M[:%S[.%f]]][ %z]", *(f"01.03.2024{clock}" for clock in (
        "", " 10:21", " 10:21:05", " 10:21:05.5", " 10:21 +02:00", " UTC", " 10", " 10:21:",
    )), zone="Asia/Kolkata")  # fmt: skip
    assert found == [
        "2024-02-29 18:30:00", "2024-03-01 04:51:00", "2024-03-01 04:51:05",
        "2024-03-01 04:51:05.500000", "2024-03-01 08:21:00", "2024-03-01 00:00:00", None, None,
    ]  # fmt: skip


def test_no_month_name_has_two_meanings() -> None:
    names = [name for listed in MONTH_NAMES.values() for name in listed.split()]
    assert len(set(names)) == len(names)
    found = parse("%d %b %Y", *(f"1 {name.title()} 2024" for name in names))
    numbers = [number for number, listed in MONTH_NAMES.items() for _ in listed.split()]
    assert found == [f"2024-{number:02d}-01 00:00:00" for number in numbers]


def test_patterns_have_at_most_nine_groups() -> None:
    pattern = compile_format("%d %b %Y %I:%M:%S.%f %p %z")
    assert pattern.regex.replace("(?:", "").count("(") == len(pattern.groups) == 9


date_formats = st.sampled_from(
    [
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%Y-%m-%d",
        "%d %b %Y",
        "%B %d, %Y",
        "%a, %d %b %Y",
        "%y%m%d",
        "%Y%m%d",
    ]
)
clock_formats = st.sampled_from(
    [
        "",
        " %H:%M",
        "T%H%M%S",
        " %H:%M:%S.%f",
        " %I:%M %p",
        ", %I:%M:%S%p",
        " %H:%M:%S %z",
        "%H:%M%z",
    ]
)


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31)),
            st.integers(-14 * 60, 14 * 60),
        ),
        min_size=5,
        max_size=5,
    ),
    date_formats,
    clock_formats,
)
@settings(max_examples=25, deadline=None)
def test_written_time_is_parsed(times: list[tuple[datetime, int]], date: str, clock: str) -> None:
    rows, expected = [], []
    resolutions = {"%f": "milliseconds", "%S": "seconds", "%M": "minutes", "%d": "days"}
    name = next(name for letter, name in resolutions.items() if letter in date + clock)
    unit = timedelta(**{name: 1})
    for moment, offset in times:
        has_offset = "%z" in clock
        there = moment + timedelta(minutes=offset if has_offset else 0)
        rows.append(there.strftime((date + clock).replace("%z", write_offset(offset))))
        in_zone = timedelta() if has_offset else timedelta(hours=9)
        expected.append(to_ms(EPOCH + (moment - EPOCH) // unit * unit - in_zone))
    # Weekdays need no directive.
    time_format = (date + clock).replace("%a, ", "")
    assert values(parse_timestamp(texts(*rows).text, time_format, "Asia/Tokyo")) == expected


# Units of whole files


def typed_rows(unit: str, files: dict[str, list[str]]) -> ir.Table:
    rows = [
        {"source_file": name, "text": text, "raw": text}
        for name, rows in files.items()
        for text in rows
    ]
    table = ibis.memtable(rows, schema=dict.fromkeys(("source_file", "text", "raw"), "string"))
    table = table.mutate(
        timestamp=parse_timestamp(table.text, unit, "UTC"),
        timestamp_number=table.text.try_cast("float64"),
    )
    reason = is_possible(table.timestamp, NOW).ifelse(ibis.null("string"), IMPOSSIBLE)
    return table.mutate(reason=reason).drop("text")


TIMES = {
    "s": ["1600000000", "1600000001"],
    "ms": ["1600000000000", "1600000001000"],
    "us": ["1600000000000000", "1600000001000000"],
    "ns": ["1600000000000000000", "1600000001000000000"],
}


@pytest.mark.parametrize("expected", TIMES)
def test_files_in_any_unit_are_converted(expected: str, caplog: pytest.LogCaptureFixture) -> None:
    files = {f"{unit}.csv": [*times, "0"] for unit, times in TIMES.items()}
    with caplog.at_level(logging.WARNING, "bazar.ingestion.times"):
        result = convert_time_units(typed_rows(expected, files), expected, NOW)
    assert result.columns == ("source_file", "raw", "timestamp", "reason")
    rows = result.to_pyarrow().to_pylist()
    for unit in TIMES:
        kept = [row for row in rows if row["source_file"] == f"{unit}.csv" and not row["reason"]]
        assert [row["timestamp"] for row in kept] == [1_600_000_000_000, 1_600_000_001_000]
        warning = f"{unit}.csv: timestamps are in {unit}, but timestamp_format is {expected}."
        assert (warning in caplog.text) == (unit != expected)
    assert sum(row["reason"] == IMPOSSIBLE for row in rows) == 4


def test_file_with_some_possible_times_is_not_converted() -> None:
    mixed = {"mixed.csv": [TIMES["ms"][0], TIMES["s"][0]]}
    result = convert_time_units(typed_rows("ms", mixed), "ms", NOW)
    assert values(result.reason) == [None, IMPOSSIBLE]


def test_reasons_other_than_the_time_are_kept_in_converted_files() -> None:
    typed = typed_rows("ms", {"a.csv": TIMES["s"]})
    typed = typed.mutate(reason=(typed.raw == TIMES["s"][0]).ifelse("return", typed.reason))
    rows = convert_time_units(typed, "ms", NOW).to_pyarrow().to_pylist()
    assert [(row["timestamp"], row["reason"]) for row in rows] == [
        (1_600_000_000_000, "return"), (1_600_000_001_000, None),
    ]  # fmt: skip


def test_other_formats_have_no_units() -> None:
    typed = typed_rows("s", {"a.csv": ["2024-03-01"]}).drop("timestamp_number")
    assert convert_time_units(typed, "iso", NOW) is typed
