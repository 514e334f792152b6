import random
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.data.ordering import (
    count_windows,
    index_items,
    list_items,
    list_users,
    sort_interactions,
)
from bazar.data.sequences import read_sequences

SCHEMA = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "source_order": "int64", "source_file": "string", "order_id": "string",
}  # fmt: skip


def order(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Order rows of user, item, time, position, order in the source, file and id of the order.

    The file and the id of the order may be left out.
    """
    full = [(*row, *("f", None)[len(row) - 5 :]) for row in rows]
    table = ibis.memtable([dict(zip(SCHEMA, row, strict=True)) for row in full], schema=SCHEMA)
    index = index_items(table.select("item_id").distinct())
    ordered = sort_interactions(table.mutate(is_guest=ibis.literal(False)), index)
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


def test_interactions_are_ordered_by_time_then_by_position() -> None:
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


def test_interactions_at_one_time_are_ordered_by_file_then_by_row() -> None:
    ordered = order(
        [("u", "d", 5, None, 2, "b"), ("u", "c", 5, None, 1, "b"), ("u", "z", 5, None, 9, "a")]
    )
    assert [row["item_id"] for row in ordered] == ["z", "c", "d"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(0, 50)),
        min_size=1,
        max_size=20,
        unique_by=lambda row: (row[0], row[2]),
    ),
    st.randoms(),
)
def test_order_of_rows_does_not_matter(rows: list[tuple[str, str, int]], rng: Any) -> None:
    shuffled = list(rows)
    rng.shuffle(shuffled)

    def ordered(content: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
        return order([(*row, None, number) for number, row in enumerate(content)])

    assert ordered(rows) == ordered(shuffled)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("uv"), st.sampled_from("abc"), st.integers(0, 5)),
        min_size=1,
        max_size=20,
    )
)
def test_sequences_are_complete_and_in_time_order(rows: list[tuple[str, str, int]]) -> None:
    ordered = order([(*row, None, number) for number, row in enumerate(rows)])
    for user in "uv":
        own = [row for row in ordered if row["user_id"] == user]
        times = [row["timestamp"] for row in own]
        assert times == sorted(times)
        assert [row["position"] for row in own] == list(range(1, len(own) + 1))
        expected = sorted((row for row in rows if row[0] == user), key=lambda row: row[2])
        assert [row["item_id"] for row in own] == [item for _, item, _ in expected]


def test_a_user_with_an_unknown_time_is_ordered_by_position() -> None:
    ordered = order(
        [
            ("u", "c", None, 3, 0), ("u", "a", 90, 1, 1), ("u", "b", 90, 2, 2),
            ("u", "d", 95, 4, 3), ("v", "late", 9, 1, 4), ("v", "early", 5, 2, 5),
            ("w", "second", None, 2, 6), ("w", "first", None, 1, 7),
        ]
    )  # fmt: skip
    assert [(row["user_id"], row["item_id"], row["timestamp"]) for row in ordered] == [
        ("u", "a", 90), ("u", "b", 90), ("u", "c", None), ("u", "d", 95),
        # All times of this user are known. They come before the positions.
        ("v", "early", 5), ("v", "late", 9),
        ("w", "first", None), ("w", "second", None),
    ]  # fmt: skip


def test_positions_that_not_all_rows_have_do_not_replace_times() -> None:
    ordered = order([("u", "b", 50, None, 0), ("u", "a", 40, 9, 1), ("u", "untimed", None, 3, 2)])
    assert [row["item_id"] for row in ordered] == ["untimed", "a", "b"]


def test_an_order_has_the_earliest_known_time_of_its_lines() -> None:
    ordered = order(
        [
            ("u", "a", 30, 1, 0, "f", "A"), ("u", "b", None, 2, 1, "f", "A"),
            ("u", "c", 20, 3, 2, "f", "A"), ("u", "d", None, 4, 3, "f", "B"),
        ]
    )  # fmt: skip
    assert [(row["item_id"], row["order_number"], row["timestamp"]) for row in ordered] == [
        ("a", 1, 20), ("b", 1, 20), ("c", 1, 20), ("d", 2, None),
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9) | st.none(), min_size=1, max_size=12), st.randoms())
def test_positions_of_a_user_with_unknown_times_are_kept(times: list[int | None], rng: Any) -> None:
    rows = [("u", f"{number:02}", time, number, number) for number, time in enumerate(times)]
    shuffled = list(rows)
    rng.shuffle(shuffled)
    found = [(row["item_id"], row["timestamp"]) for row in order(shuffled)]
    expected = [(item, time) for _, item, time, *_ in rows]
    if None not in times:
        expected.sort(key=lambda row: row[1])
    assert found == expected


user_lists = st.dictionaries(
    st.text("aBé0 ~😀", min_size=1, max_size=3),
    st.lists(st.integers(1, 9), min_size=1, max_size=14),
    min_size=1,
    max_size=6,
)


def long_form(users: dict[str, list[int]], order: list[int] | None = None) -> ir.Table:
    rows = [
        {
            "user_id": user,
            "position": position,
            "item_index": item,
            "timestamp": 1_600_000_000_000 + 60_000 * (position - 1),
            "order_number": position,
            "tie_number": position,
        }
        for user, items in users.items()
        for position, item in enumerate(items, 1)
    ]
    schema = {
        "user_id": "string", "position": "int64", "item_index": "int32", "timestamp": "int64",
        "order_number": "int64", "tie_number": "int64",
    }  # fmt: skip
    table = ibis.memtable([rows[number] for number in order or range(len(rows))], schema=schema)
    return table.mutate(is_guest=table.user_id.startswith("guest"))


@settings(max_examples=30, deadline=None)
@given(user_lists, st.randoms(use_true_random=False))
def test_users_and_items_are_listed_in_the_same_order(
    users: dict[str, list[int]], random: random.Random
) -> None:
    order = list(range(sum(map(len, users.values()))))
    random.shuffle(order)
    table = long_form(users, order)
    sequences = read_sequences(
        list_users(table).to_pyarrow(), list_items(table).to_pyarrow_batches(chunk_size=4), 1
    )
    assert sequences.timestamps is not None
    ids = sequences.user_ids.to_pylist()
    parts = np.split(sequences.items, sequences.starts[1:-1])
    assert dict(zip(ids, (part.tolist() for part in parts), strict=True)) == users
    assert ids == sorted(users)
    # Each interaction is one minute after the one before it.
    times = np.split(sequences.timestamps, sequences.starts[1:-1])
    assert {user: own.tolist() for user, own in zip(ids, times, strict=True)} == {
        user: [1_600_000_000_000 + 60_000 * minute for minute in range(len(items))]
        for user, items in users.items()
    }


def test_items_without_timestamps_are_listed() -> None:
    table = long_form({"b": [3, 1], "a": [2]}).mutate(timestamp=ibis.null("int64"))
    sequences = read_sequences(
        list_users(table).to_pyarrow(), list_items(table).to_pyarrow_batches(), 1
    )
    assert sequences.items.tolist() == [2, 3, 1]
    assert sequences.timestamps is None


def test_guests_are_marked() -> None:
    table = long_form({"b": [3, 1], "guest order 1": [2, 2], "a": [2], "guest order 0": [4]})
    sequences = read_sequences(
        list_users(table).to_pyarrow(), list_items(table).to_pyarrow_batches(), 1
    )
    assert sequences.user_ids.to_pylist() == ["a", "b", "guest order 0", "guest order 1"]
    assert sequences.guests.tolist() == [2, 3]
    assert sequences.is_guest.tolist() == [False, False, True, True]
    kept = sequences.filter(sequences.items != 4)
    assert kept.user_ids.to_pylist() == ["a", "b", "guest order 1"]
    assert kept.guests.tolist() == [2]
    windows = count_windows(table).to_pyarrow().to_pylist()
    assert windows[0] == {"window_length": 2, "windows": 1, "sequences": 1}


@settings(max_examples=30, deadline=None)
@given(user_lists)
def test_windows_of_each_length_are_counted(users: dict[str, list[int]]) -> None:
    counted = count_windows(long_form(users)).to_pyarrow()
    assert [str(kind) for kind in counted.schema.types] == ["int64"] * 3
    assert counted.to_pylist() == [
        {
            "window_length": length,
            "windows": sum(
                len(items[at : at + length]) == length
                for items in users.values()
                for at in range(len(items))
            ),
            "sequences": sum(len(items) >= length for items in users.values()),
        }
        for length in range(2, 11)
    ]


def list_numbers(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Order rows, and list item, number of the order and number of the tie."""
    return [(row["item_id"], row["order_number"], row["tie_number"]) for row in order(rows)]


def test_lines_with_one_order_id_are_one_order() -> None:
    # The order A begins before the order B, and ends after it. Its lines have no order.
    assert list_numbers(
        [
            ("u", "c", 6, None, 0, "f", "B"),
            ("u", "b", 7, None, 1, "f", "A"),
            ("u", "a", 5, None, 2, "f", "A"),
        ]
    ) == [("b", 1, 1), ("a", 1, 1), ("c", 2, 2)]


def test_lines_of_an_order_have_its_earliest_time() -> None:
    # The second part of order A was delivered after order B.
    ordered = order(
        [
            ("u", "a", 30, None, 0, "f", "A"),
            ("u", "b", 5, None, 1, "f", "A"),
            ("u", "a", 10, None, 2, "f", "B"),
        ]
    )
    assert [(row["item_id"], row["timestamp"]) for row in ordered] == [
        ("a", 5), ("b", 5), ("a", 10),
    ]  # fmt: skip


def test_one_order_id_of_two_users_is_two_orders() -> None:
    found = order([("u", "a", 5, None, 0, "f", "A"), ("v", "b", 5, None, 1, "f", "A")])
    assert [(row["user_id"], row["order_number"]) for row in found] == [("u", 1), ("v", 1)]


def test_two_order_ids_at_one_time_are_two_orders() -> None:
    assert list_numbers(
        [
            ("u", "a", 5, None, 0, "f", "B"),
            ("u", "b", 5, None, 1, "f", "A"),
            ("u", "c", 5, None, 2, "f", "B"),
        ]
    ) == [("b", 1, 1), ("a", 2, 2), ("c", 2, 2)]


def test_lines_at_one_time_without_order_id_are_one_order() -> None:
    assert list_numbers(
        [("u", "z", 9, None, 0), ("u", "y", 5, None, 1), ("u", "x", 5, None, 2)]
    ) == [("y", 1, 1), ("x", 1, 1), ("z", 2, 2)]


def test_lines_of_an_order_with_positions_keep_their_order() -> None:
    assert list_numbers(
        [
            ("u", "a", 5, 3, 0, "f", "A"),
            ("u", "b", 5, 1, 1, "f", "A"),
            ("u", "c", 5, 2, 2, "f", "A"),
            ("u", "d", 4, 9, 3, "f", "B"),
        ]
    ) == [("d", 1, 1), ("b", 2, 2), ("c", 2, 3), ("a", 2, 4)]


def test_positions_without_times_are_orders() -> None:
    assert list_numbers(
        [("u", "a", None, 2, 0), ("u", "b", None, 1, 1), ("u", "c", None, 2, 2)]
    ) == [("b", 1, 1), ("a", 2, 2), ("c", 2, 2)]
