"""Evaluate conditions of a source on raw columns, with Ibis expressions that run on any backend."""

from functools import reduce
from operator import and_

import ibis
import ibis.expr.types as ir

from bazar.config.sources import Condition, Conditions, InteractionSource, Scalar
from bazar.ingestion import parsing


def list_failed_conditions(
    raw: ir.Table, source: InteractionSource
) -> list[tuple[ir.BooleanValue, str]]:
    """List a check for each condition of ``where``: whether a row fails it, and the reason.

    Args:
        raw: the raw table with the columns ``condition_0``, ``condition_1`` and so on.
        source: the source.
    """
    return [
        (~satisfies(get_condition_column(raw, source, column), condition), f"where: {column}")
        for column, condition in source.where.items()
    ]


def satisfies_all(
    raw: ir.Table, source: InteractionSource, conditions: Conditions
) -> ir.BooleanValue:
    """Return whether each row satisfies all conditions. Without conditions, no row does."""
    satisfied = [
        satisfies(get_condition_column(raw, source, column), condition)
        for column, condition in conditions.items()
    ]
    return reduce(and_, satisfied) if satisfied else ibis.literal(False)


def get_condition_column(raw: ir.Table, source: InteractionSource, column: str) -> ir.StringColumn:
    """Return the column of the raw table with the texts of a column of the file."""
    return raw[f"condition_{source.condition_columns.index(column)}"]


def satisfies(text: ir.StringValue, condition: Condition) -> ir.BooleanValue:
    """Return whether a text satisfies a condition (never null)."""
    value = parsing.strip_text(text)
    number = parsing.parse_number(text)
    checks: list[ir.BooleanValue] = []
    if condition.is_in is not None:
        checks.append(_equals_any(value, condition.is_in))
    if condition.not_in is not None:
        checks.append(~_equals_any(value, condition.not_in))
    if condition.min is not None:
        checks.append((number >= condition.min).fill_null(False))
    if condition.max is not None:
        checks.append((number <= condition.max).fill_null(False))
    if condition.matches is not None:
        checks.append(value.re_search(condition.matches).fill_null(False))
    if condition.missing is not None:
        checks.append(value.isnull() if condition.missing else value.notnull())
    return reduce(and_, checks)


def _equals_any(value: ir.StringValue, allowed: list[Scalar]) -> ir.BooleanValue:
    # YAML reads true and 1 without quotes as a boolean and a number.
    texts = [one for one in allowed if isinstance(one, str)]
    truths = [str(one).lower() for one in allowed if isinstance(one, bool)]
    numbers = [one for one in allowed if isinstance(one, int | float) and not isinstance(one, bool)]
    found = ibis.literal(False)
    if texts:
        found |= value.isin(texts)
    if truths:
        found |= value.lower().isin(truths)
    if numbers:
        found |= parsing.parse_number(value).isin([float(number) for number in numbers])
    return found.fill_null(False)
