from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.join import (
    count_steps,
    cover,
    drop_duplicates,
    drop_short,
    first_titles,
    join_titles,
    list_products,
)

INTERACTION = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "rating": "float64", "source_file": "string", "source_order": "int64",
}  # fmt: skip
PRODUCT = {"item_id": "string", "title": "string", "source_file": "string", "source_order": "int64"}


def interactions(*rows: tuple[str, str, int | None]) -> ir.Table:
    content = [
        dict(zip(INTERACTION, (user, item, time, None, 5.0, "reviews", order), strict=True))
        for order, (user, item, time) in enumerate(rows)
    ]
    return ibis.memtable(content, schema=INTERACTION)


def products(*rows: tuple[str, str | None, str]) -> ir.Table:
    content = [dict(zip(PRODUCT, (*row, order), strict=True)) for order, row in enumerate(rows)]
    return ibis.memtable(content, schema=PRODUCT)


def values(table: ir.Table, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in table.to_pyarrow().to_pylist()]


def test_the_first_title_there_is() -> None:
    titles = first_titles(
        products(("1", None, "a"), ("1", "Rose", "b"), ("1", "Other", "b"), ("2", None, "a"))
    )
    assert values(titles.order_by("item_id"), "item_id", "title", "title_source") == [
        ("1", "Rose", "b"),
        ("2", None, None),
    ]


def test_exact_duplicates_alone_are_dropped() -> None:
    kept = drop_duplicates(
        interactions(("u", "1", 5), ("u", "1", 5), ("u", "1", 6), ("v", "1", 5), ("u", "2", 5))
    ).order_by("source_order")
    assert values(kept, "source_order") == [(0,), (2,), (3,), (4,)]


def test_duplicates_without_a_clock_are_told_by_position() -> None:
    rows = [
        dict(zip(INTERACTION, ("u", "1", None, position, None, "f", order), strict=True))
        for order, position in enumerate([1, 2, 2])
    ]
    kept = drop_duplicates(ibis.memtable(rows, schema=INTERACTION)).order_by("source_order")
    assert values(kept, "source_order") == [(0,), (1,)]


def test_short_users_are_left_out() -> None:
    kept = drop_short(interactions(("u", "1", 1), ("u", "2", 2), ("v", "1", 1)), 2)
    assert {user for (user,) in values(kept, "user_id")} == {"u"}


def test_titles_are_joined_and_none_is_lost() -> None:
    bought = interactions(("u", "1", 1), ("u", "2", 2), ("u", "3", 3))
    titles = first_titles(
        products(("1", "Rose", "meta"), ("2", None, "meta"), ("9", "Oat", "meta"))
    )
    joined = join_titles(bought, titles)
    assert values(joined.order_by("item_id"), "item_id", "title", "title_source") == [
        ("1", "Rose", "meta"),
        ("2", None, None),
        ("3", None, None),
    ]
    listed = list_products(joined, titles, keep_unsold=True)
    assert values(listed, "item_id", "title") == [
        ("1", "Rose"), ("2", None), ("3", None), ("9", "Oat"),
    ]  # fmt: skip
    assert values(list_products(joined, titles, keep_unsold=False), "item_id") == [
        ("1",), ("2",), ("3",),
    ]  # fmt: skip
    assert values(cover(joined, listed), "title_source", "products", "interactions") == [
        ("meta", 2, 1),
        ("missing", 2, 2),
    ]


def test_steps_are_counted() -> None:
    accepted = interactions(("u", "1", 1), ("u", "1", 1), ("u", "2", 2), ("v", "1", 1))
    distinct = drop_duplicates(accepted)
    kept = drop_short(distinct, 2)
    assert values(count_steps(accepted, distinct, kept, 2), "step", "interactions", "users") == [
        ("accepted", 4, 2),
        ("without duplicates", 3, 2),
        ("users with at least 2 interactions", 2, 1),
    ]


def test_nobody_left_is_an_error() -> None:
    accepted = interactions(("u", "1", 1), ("v", "1", 1))
    with pytest.raises(InputError, match=r"no user has 2 interactions.*2 users"):
        count_steps(accepted, accepted, drop_short(accepted, 2), 2)


rows_strategy = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("123"), st.integers(1, 3)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=30, deadline=None)
@given(rows_strategy, st.randoms())
def test_the_order_of_rows_changes_nothing(rows: list[tuple[str, str, int]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    def kept(content: list[tuple[str, str, int]]) -> list[tuple[Any, ...]]:
        table = drop_short(drop_duplicates(interactions(*content)), 2)
        return sorted(values(table, "user_id", "item_id", "timestamp"))

    by_hand = [
        row for row in sorted(set(rows)) if sum(other[0] == row[0] for other in set(rows)) >= 2
    ]
    assert kept(rows) == kept(shuffled) == by_hand
