from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.parsing import bind, parse_amount, parse_number, round_number, strip


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


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("(4.00)", ".", -4.0), ("$(1,234.50)", ".", -1234.5), ("($ 4)", ".", -4.0),
        ("-$5.00", ".", -5.0), ("-\u20ac 5,00", ",", -5.0), ("5.00-", ".", -5.0),
        ("1.234,50-", ",", -1234.5), ("1e-2", ".", 0.01), ("-4", ".", -4.0), ("(-4)", ".", None),
        ("-$-4", ".", None), ("()", ".", None), ("4-5", ".", None), (None, ".", None),
    ],
)  # fmt: skip
def test_signs_of_amounts(text: str | None, decimal: str, number: float | None) -> None:
    assert values(parse_amount(texts(text).text, decimal)) == [number]


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


def test_bound_value_is_computed_once() -> None:
    table = texts("2", "3", None)

    def square_and_add(number: ir.IntegerValue) -> ir.IntegerValue:
        return bind(number + 1, lambda next_number: next_number * next_number + number)

    bound = bind(table.text.length() + 1, square_and_add)
    assert values(bound) == [11, 11, None]
    assert ibis.to_sql(bound).count("LENGTH") == 1
