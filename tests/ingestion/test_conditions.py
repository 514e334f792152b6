from typing import Any

import ibis
import pytest
from pydantic import ValidationError

from bazar.config.sources import Condition
from bazar.ingestion.conditions import list_failed_conditions, satisfies, satisfies_all
from tests.ingestion.raw_rows import raw_table, source

TEXTS = ["paid", " paid ", "Paid", "refunded", "", None, "3", "3.0", "-1.5", "true"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"in": ["paid", "refunded"]}, ["paid", " paid ", "refunded"]),
        ({"not_in": ["paid"]}, ["Paid", "refunded", "", None, "3", "3.0", "-1.5", "true"]),
        ({"in": [3]}, ["3", "3.0"]),
        ({"in": [True]}, ["true"]),
        ({"in": ["3"]}, ["3"]),
        ({"min": 0}, ["3", "3.0"]),
        ({"max": 0}, ["-1.5"]),
        ({"min": -2, "max": 3}, ["3", "3.0", "-1.5"]),
        ({"matches": "^[Pp]aid$"}, ["paid", " paid ", "Paid"]),
        ({"matches": "un"}, ["refunded"]),
        ({"missing": True}, ["", None]),
        ({"missing": False, "not_in": ["paid", "Paid"]}, ["refunded", "3", "3.0", "-1.5", "true"]),
    ],
)
def test_condition_selects_rows(condition: dict[str, Any], expected: list[str | None]) -> None:
    table = ibis.memtable({"n": range(len(TEXTS)), "text": TEXTS})
    satisfied = satisfies(table.text, Condition.model_validate(condition))
    found = table.mutate(ok=satisfied).order_by("n").ok.to_pyarrow().to_pylist()
    assert [text for text, ok in zip(TEXTS, found, strict=True) if ok] == expected
    assert None not in found


def test_conditions_of_several_columns_are_combined() -> None:
    shop = source(
        where={"status": {"in": ["paid"]}, "country": {"not_in": ["X"]}},
        returns={"where": {"status": {"in": ["refunded"]}, "note": {"missing": False}}},
    )
    assert shop.condition_columns == ["status", "country", "note"]
    rows = [
        {"status": "paid", "country": "Y"}, {"status": "paid", "country": "X"},
        {"status": "refunded", "country": "X", "note": "broken"},
        {"status": "refunded", "country": "Y"},
    ]  # fmt: skip
    raw = raw_table(rows, shop)
    checks = {reason: failed for failed, reason in list_failed_conditions(raw, shop)}
    columns = raw.mutate(**checks, is_return=satisfies_all(raw, shop, shop.returns.where))
    found = columns.order_by("row_number").to_pyarrow().to_pylist()
    assert [row["where: status"] for row in found] == [False, False, True, True]
    assert [row["where: country"] for row in found] == [False, True, True, False]
    assert [row["is_return"] for row in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, "at least one of in, not_in"),
        ({"matches": "("}, "regular expression"),
        ({"matches": "(?=a)"}, "look-around"),
        ({"in": []}, "at least 1 item"),
        ({"is": ["paid"]}, "Extra inputs"),
    ],
)
def test_impossible_condition_is_rejected(condition: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Condition.model_validate(condition)
