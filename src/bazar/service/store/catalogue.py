"""Changes since the bundle was built: states of products, new products, and deleted users."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, select

from bazar.errors import InputError
from bazar.service.live import ItemState, NewItem
from bazar.service.store.checks import check_count, check_id, check_number, check_text
from bazar.service.store.deletions import Tombstone, list_tombstones
from bazar.service.store.revisions import raise_revision, read_revision
from bazar.service.store.tables import ITEM_STATES, NEW_ITEMS
from bazar.service.store.upsert import make_upsert

MAX_ITEMS = 10_000
"""Largest number of items that one call stores."""

_LITTLE_ENDIAN_FLOAT = "<f4"


@dataclass(frozen=True)
class ItemChange:
    """A change of the state of a product. What is None stays as it is.

    Attributes:
        item_id: the product.
        in_stock: whether it can be bought.
        price: price of one unit.
        is_hidden: whether the product is never shown.
    """

    item_id: str
    in_stock: bool | None = None
    price: float | None = None
    is_hidden: bool | None = None


@dataclass(frozen=True)
class Changes:
    """The changes after a revision.

    Attributes:
        revision: the newest revision. Pass it to the next reading.
        item_states: the complete state of each product whose state changed, by item id.
        new_items: items that were added or replaced, the earliest first.
        tombstones: the users that were deleted.
    """

    revision: int
    item_states: dict[str, ItemState] = field(default_factory=dict)
    new_items: list[NewItem] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)


def check_changes(changes: Sequence[ItemChange]) -> None:
    """Raise InputError if a change cannot be stored."""
    check_count("changes", len(changes), MAX_ITEMS)
    for change in changes:
        check_id("item_id", change.item_id)
        if change.price is not None:
            check_number("price", change.price)


def check_items(items: Sequence[NewItem]) -> None:
    """Raise InputError if an item cannot be stored."""
    check_count("items", len(items), MAX_ITEMS)
    for item in items:
        check_id("item_id", item.item_id)
        for name in ("title", "attributes", "variant_group"):
            if (value := getattr(item, name)) is not None:
                check_text(name, value)
        if item.vector is not None and (
            item.vector.ndim != 1 or not np.isfinite(item.vector).all()
        ):
            raise InputError(
                "vector must have the shape (dimension,) and finite numbers, got the shape "
                f"{item.vector.shape}."
            )


def change_items(connection: Connection, changes: Sequence[ItemChange]) -> int:
    """Store changes of the states of products, the later ones last, and return the revision."""
    revision = raise_revision(connection)
    insert = make_upsert(connection, ITEM_STATES)
    for change in changes:
        given = {
            name: value
            for name in ("in_stock", "price", "is_hidden")
            if (value := getattr(change, name)) is not None
        }
        row = {"item_id": change.item_id, "is_hidden": False, **given, "revision": revision}
        connection.execute(
            insert.values(row).on_conflict_do_update(
                index_elements=["item_id"], set_={**given, "revision": revision}
            )
        )
    return revision


def add_items(connection: Connection, items: Sequence[NewItem]) -> int:
    """Store new items, replace those with the same id, and return the revision."""
    revision = raise_revision(connection)
    insert = make_upsert(connection, NEW_ITEMS)
    columns = [column.name for column in NEW_ITEMS.columns if column.name != "item_id"]
    upsert = insert.on_conflict_do_update(
        index_elements=["item_id"], set_={name: insert.excluded[name] for name in columns}
    )
    rows = [
        {
            "item_id": item.item_id,
            "title": item.title,
            "attributes": item.attributes,
            "variant_group": item.variant_group,
            "vector": _to_bytes(item.vector),
            "revision": revision,
        }
        for item in items
    ]
    if rows:
        connection.execute(upsert, rows)
    return revision


def read_changes(connection: Connection, after_revision: int) -> Changes:
    """Return the changes after a revision."""
    # It is read before the rows: a change that is committed in between is returned twice, never
    # left out.
    newest = read_revision(connection)
    if newest == after_revision:
        return Changes(newest)
    states = [
        ItemState(row.item_id, row.in_stock, row.price, row.is_hidden)
        for row in _select(connection, ITEM_STATES, after_revision)
    ]
    new_items = [
        NewItem(row.item_id, row.title, row.attributes, row.variant_group, _to_vector(row.vector))
        for row in _select(connection, NEW_ITEMS, after_revision)
    ]
    return Changes(
        newest,
        {state.item_id: state for state in states},
        new_items,
        list_tombstones(connection, after_revision),
    )


def _select(connection: Connection, table: Table, after_revision: int) -> Sequence[Any]:
    query = select(table).where(table.c.revision > after_revision)
    return connection.execute(query.order_by(table.c.revision, table.c.item_id)).all()


def _to_bytes(vector: np.ndarray | None) -> bytes | None:
    return None if vector is None else vector.astype(_LITTLE_ENDIAN_FLOAT).tobytes()


def _to_vector(values: bytes | None) -> np.ndarray | None:
    return None if values is None else np.frombuffer(values, _LITTLE_ENDIAN_FLOAT)
