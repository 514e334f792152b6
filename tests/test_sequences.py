from typing import Any

import ibis
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.sequences import index_items, order_interactions

SCHEMA = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "source_order": "int64",
}  # fmt: skip


def order(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    table = ibis.memtable([dict(zip(SCHEMA, row, strict=True)) for row in rows], schema=SCHEMA)
    index = index_items(table.select("item_id").distinct())
    ordered = order_interactions(table, index)
    return ordered.order_by("user_id", "position").to_pyarrow().to_pylist()


def test_items_are_numbered_from_one_by_their_id() -> None:
    table = ibis.memtable({"item_id": ["b", "0205616461", "a"]})
    index = index_items(table).order_by("item_index").to_pyarrow()
    assert index.to_pylist() == [
        {"item_id": "0205616461", "item_index": 1},
        {"item_id": "a", "item_index": 2},
        {"item_id": "b", "item_index": 3},
    ]
    assert str(index.schema.field("item_index").type) == "int32"


def test_the_clock_decides_then_the_source() -> None:
    ordered = order(
        [
            ("u", "late", 9, None, 0),
            ("u", "z", 5, None, 1),
            ("u", "a", 5, None, 2),
            ("v", "second", None, 2, 3),
            ("v", "tenth", None, 10, 4),
            ("v", "first", None, 1, 5),
        ]
    )
    assert [(row["user_id"], row["position"], row["item_id"]) for row in ordered] == [
        ("u", 1, "z"), ("u", 2, "a"), ("u", 3, "late"),
        ("v", 1, "first"), ("v", 2, "second"), ("v", 3, "tenth"),
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("uv"), st.sampled_from("abc"), st.integers(0, 5)),
        min_size=1,
        max_size=20,
    )
)
def test_sequences_are_in_time_order_and_whole(rows: list[tuple[str, str, int]]) -> None:
    ordered = order([(*row, None, place) for place, row in enumerate(rows)])
    for user in "uv":
        own = [row for row in ordered if row["user_id"] == user]
        times = [row["timestamp"] for row in own]
        assert times == sorted(times)
        assert [row["position"] for row in own] == list(range(1, len(own) + 1))
        expected = sorted((row for row in rows if row[0] == user), key=lambda row: row[2])
        assert [row["item_id"] for row in own] == [item for _, item, _ in expected]
