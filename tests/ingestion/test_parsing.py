from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.parsing import parse_number, parse_time, round_number, strip


def texts(*rows: str | None) -> ir.Table:
    return ibis.memtable([{"text": row} for row in rows], schema={"text": "string"})


def values(column: ir.Column) -> list[Any]:
    return column.to_pyarrow().to_pylist()


def test_ascii_white_space_is_stripped() -> None:
    white = " \t\n\r\x0b\x0c"
    table = texts(f"{white}v f{white}", white, "", None, "\xa0v\u2003", "a\n\nb")
    assert values(strip(table.text)) == ["v f", "", "", None, "\xa0v\u2003", "a\n\nb"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0), ("+12", 12.0), ("-.5", -0.5), ("1.", 1.0), ("1.6e12", 1.6e12),
        ("1E-3", 0.001), ("7", 7.0), ("007", 7.0), ("1e-400", 0.0),
        ("1e400", None), ("1e100", None), ("9" * 400, None), (" 7\n", 7.0), ("\t 7", 7.0),
        ("nan", None), ("inf", None), ("-Infinity", None),
        ("1_000", None), ("1,000", None), ("12d", None), ("12f", None), ("0x1p3", None),
        ("1e", None), ("e5", None), (".", None), ("--1", None), ("1 2", None), ("\u0967", None),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_only_plain_decimal_numbers_are_parsed(text: str | None, number: float | None) -> None:
    assert values(parse_number(texts(text).text)) == [number]


@given(st.floats(-1e99, 1e99))
@settings(max_examples=50, deadline=None)
def test_number_is_parsed_to_the_value_that_was_written(number: float) -> None:
    assert values(parse_number(texts(repr(number)).text)) == [number]


def test_numbers_are_rounded_to_the_nearest_integer() -> None:
    numbers = [0.49, 0.5, 1.5, 2.5, -0.5, -0.51, 1e300, -1e300, None]
    table = ibis.memtable([{"number": number} for number in numbers], schema={"number": "float64"})
    assert values(round_number(table.number)) == [
        0, 1, 2, 3, 0, -1, 9 * 10**18, -9 * 10**18, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2020-09-13T12:26:40", 1_600_000_000_000),
        ("2020-09-13 12:26:40.9999", 1_600_000_000_999),
        ("2020-09-13 12:26:40,5", 1_600_000_000_500),
        ("2020-09-13 12:26:40 UTC", 1_600_000_000_000),
        ("2020-09-13t12:26:40z", 1_600_000_000_000),
        (" 2020-9-13  12:26:40\n", 1_600_000_000_000),
        ("2020/09/13 12:26:40", 1_600_000_000_000),
        ("2020-09-13 12:26", 1_599_999_960_000),
        ("2020-09-13", 1_599_955_200_000),
        ("1950-01-01 00:00:00.25", -631_151_999_750),
        ("2020-02-29", 1_582_934_400_000),
        ("2019-02-29", None), ("2020-13-01", None), ("2020-09-13 25:00", None),
        ("2020-09-13 12:60", None), ("2020-09-13 12:26:60", None), ("2020-09-13T", None),
        ("2020-09-13 12:26:40 Europe/Paris", None), ("2020-09-13+02:00", None),
        ("13.09.20", None), ("1600000000", None), ("epoch", None), ("infinity", None),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_iso_time_is_parsed_to_utc_milliseconds(text: str | None, milliseconds: int | None) -> None:
    assert values(parse_time(texts(text).text)) == [milliseconds]


@given(
    st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
    st.sampled_from(["milliseconds", "microseconds", "seconds"]),
)
@settings(max_examples=50, deadline=None)
def test_time_with_offset_is_converted_to_utc(
    moment: datetime, offset: int, separator: str, precision: str
) -> None:
    there = moment.replace(tzinfo=UTC) + timedelta(minutes=offset)
    hours, minutes = divmod(abs(offset), 60)
    local = there.replace(tzinfo=None).isoformat(separator, precision)
    text = f"{local}{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"
    unit = timedelta(seconds=1) if precision == "seconds" else timedelta(milliseconds=1)
    expected = (moment - datetime(1970, 1, 1)) // unit * (unit // timedelta(milliseconds=1))
    assert values(parse_time(texts(text).text)) == [expected]
