"""Find the purchases that were returned later."""

import ibis
import ibis.expr.types as ir

RETURN = "return"
RETURNED_LATER = "returned later"
_ROUNDING = 1e-6
"""Sums of quantities such as 0.1 kg differ by less than this if they are equal."""


def mark_returned_purchases(typed: ir.Table) -> ir.Table:
    """Exclude the purchases that were returned later.

    A return takes pieces from the latest purchases of the same item by the same user that are not
    later than the return, and whose pieces no earlier return has taken. A purchase is excluded if
    all its pieces were taken. A partly returned purchase is kept. If a quantity is unknown, each
    purchase and each return of this item by this user counts as one piece.

    Args:
        typed: ``user_id, item_id, timestamp, position, quantity, source_file, source_order,
            reason, is_excluded, raw`` and other columns. Returns have the reason ``return``,
            purchases have none.

    Returns:
        The table with the reason ``returned later`` for these purchases. Their ``raw`` is the user
        id and the item id.
    """
    is_return = typed.reason == RETURN
    key = ["user_id", "item_id"]
    rows = typed.filter(
        (is_return | typed.reason.isnull()) & typed.user_id.notnull() & typed.item_id.notnull()
    ).select(
        *key,
        "timestamp",
        "position",
        "quantity",
        "source_file",
        "source_order",
        is_return=is_return.fill_null(False),
    )
    order = ["timestamp", "position", "is_return", "source_file", "source_order"]
    n_unknown = rows.quantity.isnull().cast("int64").sum().over(group_by=key)
    number = ibis.row_number().over(group_by=key, order_by=order)
    rows = rows.mutate(pieces=(n_unknown > 0).ifelse(1.0, rows.quantity.abs()), number=number)
    signed = rows.is_return.ifelse(-rows.pieces, rows.pieces)
    rows = rows.mutate(balance=signed.sum().over(group_by=key, order_by="number", rows=(None, 0)))
    lowest_later = rows.balance.min().over(group_by=key, order_by="number", rows=(1, None))
    rows = rows.mutate(lowest_later=lowest_later)
    # The pieces form a stack: a purchase adds pieces to the top, a return takes pieces from it. All
    # pieces of a purchase are taken if the balance falls to its value before the purchase.
    is_taken = rows.lowest_later <= rows.balance - rows.pieces + _ROUNDING
    place = ["source_file", "source_order"]
    removed = rows.filter(~rows.is_return & is_taken).select(*place, is_returned=ibis.literal(True))
    columns = typed.columns
    marked = typed.left_join(removed, place).select(*columns, "is_returned")
    is_returned = marked.is_returned.fill_null(False) & marked.reason.isnull()
    return marked.mutate(
        reason=is_returned.ifelse(RETURNED_LATER, marked.reason),
        is_excluded=is_returned | marked.is_excluded,
        # The records of accepted rows were not kept.
        raw=is_returned.ifelse(marked.user_id + ", " + marked.item_id, marked.raw),
    ).drop("is_returned")
