from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.joining import (
    add_title_sources,
    add_variant_groups,
    append_added_products,
    choose_titles,
    count_interactions_per_step,
    count_title_coverage,
    drop_duplicates,
    drop_titled_products,
    drop_users_with_few_interactions,
    join_titles,
    keep_titled_interactions,
    list_products,
)
from bazar.errors import InputError

INTERACTION = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "rating": "float64", "order_id": "string", "source_file": "string", "source_order": "int64",
}  # fmt: skip
PRODUCT = {
    "item_id": "string", "title": "string", "attributes": "string", "title_source": "string",
    "trust": "int32", "source_file": "string", "source_order": "int64",
}  # fmt: skip


def interactions(*rows: tuple[str, str, int | None]) -> ir.Table:
    content = [
        dict(zip(INTERACTION, (user, item, time, None, 5.0, None, "reviews", order), strict=True))
        for order, (user, item, time) in enumerate(rows)
    ]
    return ibis.memtable(content, schema=INTERACTION)


def products(*rows: tuple[str, str | None, str, int]) -> ir.Table:
    """Make a table from rows of item, title, source and trust."""
    return described(*((item, title, None, *rest) for item, title, *rest in rows))


def described(*rows: Any) -> ir.Table:
    """Make a table from rows of item, title, attributes, source and trust."""
    content = [
        dict(zip(PRODUCT, (*row, f"{row[3]}.jsonl", order), strict=True))
        for order, row in enumerate(rows)
    ]
    return ibis.memtable(content, schema=PRODUCT)


def values(table: ir.Table, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in table.to_pyarrow().to_pylist()]


def test_title_of_the_most_trusted_source_is_chosen() -> None:
    titles = choose_titles(
        products(
            ("1", None, "new", 0),
            ("1", "Other", "older", 2),
            ("1", "Rose", "old", 1),
            ("1", "Rose again", "old", 1),
            ("2", None, "new", 0),
        ),
        "first",
    )
    assert values(titles.order_by("item_id"), "item_id", "title", "title_source") == [
        ("1", "Rose", "old"),
        ("2", None, "without title"),
    ]


def test_attributes_of_the_most_trusted_source_are_chosen() -> None:
    titles = choose_titles(
        described(
            ("1", "Rose", None, "new", 0),
            ("1", "Other", "third", "older", 2),
            ("1", "Other", "first", "old", 1),
            ("1", "Other", "second", "old", 1),
            ("2", None, "untitled", "new", 0),
            ("2", None, "older", "old", 1),
            ("3", "Oat", None, "new", 0),
            ("4", "Gel", "newest", "new", 0),
            ("4", "Gel", "older", "old", 1),
        ),
        "first",
    )
    expected = [
        ("1", "Rose", "first", "new"),
        ("2", None, "untitled", "without title"),
        ("3", "Oat", None, "new"),
        ("4", "Gel", "newest", "new"),
    ]
    columns = ("item_id", "title", "attributes", "title_source")
    assert values(titles.order_by("item_id"), *columns) == expected
    bought = add_title_sources(interactions(("u", "2", 1), ("u", "9", 2)), titles)
    listed = list_products(bought, titles, keep_unsold=True)
    assert values(listed, *columns) == [*expected, ("9", None, None, "unknown product")]
    listed = list_products(bought, titles, keep_unsold=False)
    assert values(listed, *columns) == [expected[1], ("9", None, None, "unknown product")]


BAG, NOTE = "JUMBO BAG VINTAGE LEAF", "mailout"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("most_frequent", [("1", BAG), ("2", "Gel"), ("3", "Oat"), ("4", None)]),
        ("latest", [("1", "JUMBO BAG LEAF"), ("2", "Gel blue"), ("3", "Oat"), ("4", None)]),
        ("first", [("1", NOTE), ("2", "Gel"), ("3", "Oat"), ("4", None)]),
    ],
)
def test_title_choice_decides_within_the_most_trusted_source(choice: Any, expected: Any) -> None:
    rows = [
        ("1", NOTE, "till", 1),
        *[("1", BAG, "till", 1)] * 300,
        ("1", "JUMBO BAG LEAF", "till", 1),
        ("1", None, "till", 1),
        *[("1", "Bag of an old catalogue", "web", 2)] * 400,
        *[("2", title, "till", 1) for title in ("Gel", "Gel blue", "Gel", "Gel blue")],
        ("3", None, "meta", 0),
        ("3", "Oat", "till", 1),
        ("4", None, "till", 1),
    ]
    chosen = choose_titles(products(*rows), choice).order_by("item_id")
    assert values(chosen, "item_id", "title") == expected


def test_latest_title_is_in_the_last_file() -> None:
    schema = list(PRODUCT)
    rows = [
        dict(zip(schema, ("1", title, title.lower(), "s", 0, file, order), strict=True))
        for title, file, order in [("New", "2024.csv", 0), ("Old", "2023.csv", 9)]
    ]
    table = ibis.memtable(rows, schema=PRODUCT)
    chosen = {choice: choose_titles(table, choice) for choice in ("first", "latest")}  # type: ignore[arg-type]
    assert values(chosen["first"], "title", "attributes") == [("Old", "old")]
    assert values(chosen["latest"], "title", "attributes") == [("New", "new")]


def test_variants_are_grouped_by_title_and_attributes() -> None:
    rows = [
        ("20", "Cotton Shirt, red, M", "Acme", "20"),
        ("100", "COTTON SHIRT BLUE L", "Acme", "100"),
        ("3", "Cotton Shirt", "Acme", "100"),
        ("4", "Cotton Shirt, green", "Other", "4"),
        ("5", "Cotton Shirt, black", None, "5"),
        ("6", "Cotton Shirt, white", None, "5"),
        ("7", "Toner 50 ml", None, "7"),
        ("8", "Toner 100 ml", None, "8"),
        ("9", None, None, None),
    ]
    table = ibis.memtable(
        [dict(zip(["item_id", "title", "attributes"], row, strict=False)) for row in rows],
        schema=dict.fromkeys(["item_id", "title", "attributes"], "string"),
    )
    grouped = add_variant_groups(table)
    assert grouped.columns == (*table.columns, "variant_group")
    expected = {item: group for item, _, _, group in rows} | {"20": "100"}
    assert dict(values(grouped, "item_id", "variant_group")) == expected


def test_only_exact_duplicates_are_dropped() -> None:
    kept = drop_duplicates(
        interactions(("u", "1", 5), ("u", "1", 5), ("u", "1", 6), ("v", "1", 5), ("u", "2", 5))
    ).order_by("source_order")
    assert values(kept, "source_order") == [(0,), (2,), (3,), (4,)]


def test_duplicates_without_timestamps_have_equal_positions() -> None:
    rows = [
        dict(zip(INTERACTION, ("u", "1", None, position, None, None, "f", order), strict=True))
        for order, position in enumerate([1, 2, 2])
    ]
    kept = drop_duplicates(ibis.memtable(rows, schema=INTERACTION)).order_by("source_order")
    assert values(kept, "source_order") == [(0,), (1,)]


def test_equal_lines_of_different_orders_are_no_duplicates() -> None:
    rows = [
        dict(zip(INTERACTION, ("u", "1", 5, None, None, order_id, "f", order), strict=True))
        for order, order_id in enumerate(["a", "a", "b"])
    ]
    kept = drop_duplicates(ibis.memtable(rows, schema=INTERACTION)).order_by("source_order")
    assert values(kept, "source_order") == [(0,), (2,)]


def test_users_with_few_interactions_are_dropped() -> None:
    kept = drop_users_with_few_interactions(
        interactions(("u", "1", 1), ("u", "2", 2), ("v", "1", 1)), 2
    )
    assert {user for (user,) in values(kept, "user_id")} == {"u"}


def test_added_products_keep_their_title_unless_the_files_have_one() -> None:
    titles = choose_titles(
        products(("1", "Rose", "meta", 0), ("2", None, "meta", 0), ("3", None, "meta", 0)),
        "first",
    )
    columns = {"item_id": ["1", "2", "7"], "title": ["No", "Oat", "Gel"], "attributes": [None] * 3}
    found = append_added_products(titles, pa.table(columns, schema=ADDED_PRODUCTS_SCHEMA)).order_by(
        "item_id"
    )
    assert found.columns == titles.columns
    assert values(found, "item_id", "title", "title_source") == [
        ("1", "Rose", "meta"),
        ("2", "Oat", "added by hand"),
        ("3", None, "without title"),
        ("7", "Gel", "added by hand"),
    ]


def test_added_products_with_a_title_in_the_files_are_dropped() -> None:
    sources = {"1": "meta", "2": "without title", "3": "unknown product", "4": "added by hand"}
    sourced = [{"item_id": item, "title_source": source} for item, source in sources.items()]
    catalogue = ibis.memtable(sourced, schema={"item_id": "string", "title_source": "string"})
    rows = [{"item_id": item, "title": "T", "attributes": None} for item in "54321"]
    left = drop_titled_products(pa.Table.from_pylist(rows, ADDED_PRODUCTS_SCHEMA), catalogue)
    assert left.schema == ADDED_PRODUCTS_SCHEMA
    assert left["item_id"].to_pylist() == ["5", "4", "3", "2"]


def titles_and_purchases() -> tuple[ir.Table, ir.Table]:
    bought = interactions(
        ("u", "1", 1), ("u", "2", 2), ("u", "3", 3), ("v", "1", 1), ("v", "4", 2), ("w", "4", 1)
    )
    titles = choose_titles(
        products(
            ("1", "Rose", "meta", 0), ("2", None, "meta", 0), ("4", "Gel", "url", 1),
            ("9", "Oat", "meta", 0),
        ),
        "first",
    )  # fmt: skip
    return titles, add_title_sources(bought, titles)


def test_titles_are_joined_and_no_interaction_is_lost() -> None:
    titles, bought = titles_and_purchases()
    joined = join_titles(bought, titles)
    assert values(joined, "user_id", "item_id", "title", "title_source") == [
        ("u", "1", "Rose", "meta"),
        ("u", "2", None, "without title"),
        ("u", "3", None, "unknown product"),
        ("v", "1", "Rose", "meta"),
        ("v", "4", "Gel", "url"),
        ("w", "4", "Gel", "url"),
    ]
    listed = list_products(bought, titles, keep_unsold=True)
    assert values(listed, "item_id", "title", "variant_group") == [
        ("1", "Rose", "1"), ("2", None, None), ("3", None, None), ("4", "Gel", "4"),
        ("9", "Oat", "9"),
    ]  # fmt: skip
    assert values(list_products(bought, titles, keep_unsold=False), "item_id") == [
        ("1",), ("2",), ("3",), ("4",),
    ]  # fmt: skip
    coverage = count_title_coverage(bought, listed)
    assert values(coverage, "title_source", "products", "interactions", "examples") == [
        ("meta", 2, 2, ["1", "9"]),
        ("unknown product", 1, 1, ["3"]),
        ("url", 1, 2, ["4"]),
        ("without title", 1, 1, ["2"]),
    ]


def test_keep_users_decides_by_the_titles_of_their_interactions() -> None:
    _, bought = titles_and_purchases()

    def kept(keep_users: Any, min_interactions: int = 1) -> list[tuple[Any, ...]]:
        table = drop_users_with_few_interactions(
            keep_titled_interactions(bought, keep_users), min_interactions
        )
        return sorted(values(table, "user_id", "item_id"))

    assert kept("all") == sorted(values(bought, "user_id", "item_id"))
    assert kept("any") == [("u", "1"), ("v", "1"), ("v", "4"), ("w", "4")]
    assert kept("any", 2) == [("v", "1"), ("v", "4")]
    assert kept("all_titled") == [("v", "1"), ("v", "4"), ("w", "4")]
    assert kept("all_titled", 2) == [("v", "1"), ("v", "4")]


def test_interactions_and_users_are_counted_after_each_step() -> None:
    accepted = interactions(("u", "1", 1), ("u", "1", 1), ("u", "2", 2), ("v", "1", 1))
    distinct = drop_duplicates(accepted)
    steps = {
        "accepted": accepted,
        "distinct": distinct,
        "long": drop_users_with_few_interactions(distinct, 2),
    }
    assert values(count_interactions_per_step(steps, 2), "step", "interactions", "users") == [
        ("accepted", 4, 2),
        ("distinct", 3, 2),
        ("long", 2, 1),
    ]


def test_no_remaining_user_raises() -> None:
    accepted = interactions(("u", "1", 1), ("v", "1", 1))
    with pytest.raises(InputError) as error:
        count_interactions_per_step(
            {"accepted": accepted, "long": drop_users_with_few_interactions(accepted, 2)}, 2
        )
    assert "No user with at least 2 interactions is left" in str(error.value)
    assert "accepted: 2 interactions of 2 users" in str(error.value)


def test_no_purchase_raises() -> None:
    accepted = interactions(("u", "1", 1)).limit(0)
    with pytest.raises(InputError, match="The files have no purchase"):
        count_interactions_per_step({"accepted": accepted}, 2)


rows_strategy = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("123"), st.integers(1, 3)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=30, deadline=None)
@given(rows_strategy, st.randoms())
def test_order_of_rows_does_not_matter(rows: list[tuple[str, str, int]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    def kept(content: list[tuple[str, str, int]]) -> list[tuple[Any, ...]]:
        table = drop_users_with_few_interactions(drop_duplicates(interactions(*content)), 2)
        return sorted(values(table, "user_id", "item_id", "timestamp"))

    by_hand = [
        row for row in sorted(set(rows)) if sum(other[0] == row[0] for other in set(rows)) >= 2
    ]
    assert kept(rows) == kept(shuffled) == by_hand
