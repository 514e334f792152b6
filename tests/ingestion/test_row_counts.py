from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.ingestion.row_counts import collect_rejects, count_rows, select_accepted
from tests.ingestion.raw_rows import source
from tests.ingestion.test_typing_rules import type_rows

row_strategy = st.fixed_dictionaries(
    {
        "customer": st.sampled_from(["u", "", None, "0"]),
        "sku": st.sampled_from(["i", " ", None]),
        "time": st.sampled_from(["1600000000000", "0", "x", None, "-1", "nan"]),
        "pieces": st.sampled_from(["1", "-1", "0"]),
        "problem": st.sampled_from([None, None, "broken JSON"]),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(row_strategy, min_size=1, max_size=12))
def test_every_row_is_kept_excluded_or_rejected(rows: list[dict[str, Any]]) -> None:
    expected_kept = sum(
        bool(row["problem"] is None and row["customer"] and (row["sku"] or "").strip())
        and (row["time"], row["pieces"]) == ("1600000000000", "1")
        for row in rows
    )
    result = type_rows(rows, source())
    (counts,) = count_rows(result).to_pyarrow().to_pylist()
    assert counts["rows_read"] == len(rows)
    assert counts["rows_kept"] == expected_kept
    assert (
        counts["rows_kept"] + counts["rows_excluded"] + counts["rows_rejected"]
        == counts["rows_read"]
    )
    rejects = collect_rejects(result).to_pyarrow().to_pylist()
    for kind in ("excluded", "rejected"):
        counted = sum(row["count"] for row in rejects if row["kind"] == kind)
        assert counted == counts[f"rows_{kind}"]
    if expected_kept:
        accepted = select_accepted(result, 1.0).to_pyarrow().to_pylist()
        assert len(accepted) == expected_kept
        assert not {"reason", "is_excluded", "raw"} & set(accepted[0])


def test_the_first_twenty_rows_of_a_reason_are_examples() -> None:
    rows = [{"time": None}] * 30 + [{"customer": ""}] * 2
    found = collect_rejects(type_rows(rows, source())).to_pyarrow().to_pylist()
    assert [(row["kind"], row["reason"], row["count"], len(row["examples"])) for row in found] == [
        ("excluded", "guest", 2, 2), ("rejected", "missing timestamp", 30, 20),
    ]  # fmt: skip
    assert found[1]["examples"] == [f"row {number}" for number in range(1, 21)]


def test_too_many_rejects_raise_with_the_reasons() -> None:
    # Guests are excluded, not rejected: they are no sign of a wrong configuration.
    rows = [{}] * 18 + [{"sku": None}, {"time": "x"}] + [{"customer": None}] * 30
    result = type_rows(rows, source())
    assert select_accepted(result, 0.10).count().execute() == 18
    with pytest.raises(InputError) as error:
        select_accepted(result, 0.05)
    message = str(error.value)
    assert "shop.csv as orders: 2 of 20 rows (10.0%)" in message
    assert "ingestion.max_reject_share allows 5.0%" in message
    assert "1 x missing item_id, for example: row 19" in message
    assert "1 x timestamp is not a time, for example: row 20" in message
    assert "guest" not in message


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([{"sku": None}], ["none of the 1 rows", "1 x missing item_id"]),
        ([{"customer": None}] * 3, ["none of the 3 rows", "3 x guest", "rules of this source"]),
        (
            [{"pieces": "-1"}] * 2,
            ["none of the 2 rows", "2 x return", "Add the files of the purchases"],
        ),
    ],
)
def test_file_without_a_usable_row_raises(rows: list[dict[str, Any]], parts: list[str]) -> None:
    with pytest.raises(InputError) as error:
        select_accepted(type_rows(rows, source()), 1.0)
    for part in parts:
        assert part in str(error.value)


def test_most_frequent_reason_is_first_and_followed_by_advice() -> None:
    rows = [{"sku": None}] + [{"time": "13.09.20"}] * 3
    with pytest.raises(InputError) as error:
        select_accepted(type_rows(rows, source(timestamp_format="iso")), 0.5)
    message = str(error.value).splitlines()
    assert message[1].startswith("  3 x timestamp is not a time")
    assert message[2].startswith("  1 x missing item_id")
    assert "timestamp_format" in message[-1]


def test_a_file_of_excluded_rows_is_accepted_beside_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    returns = type_rows([{"pieces": "-1"}], source()).mutate(source_file=ibis.literal("day.csv"))
    both = ibis.union(type_rows([{}], source()), returns)
    assert select_accepted(both, 0.05).count().execute() == 1
    assert (
        "day.csv as orders: all rows are excluded, by the rules of the source in globals.yml or "
        "because their customers were deleted"
    ) in caplog.messages
