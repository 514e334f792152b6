"""Find the purchases that were returned later."""

import ibis
import ibis.expr.types as ir

RETURN = "return"
RETURNED_LATER = "returned later"


def mark_returned_purchases(typed: ir.Table) -> ir.Table:
    """Exclude the purchases that were returned later.

    A return belongs to the latest purchase of the same item by the same user that is not later than
    the return. The purchase is excluded if the quantity that was returned covers it, or if one of
    the quantities is unknown. A partly returned purchase is kept.

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
    number = ibis.row_number().over(group_by=key, order_by=order)
    numbered = rows.mutate(number=number)
    purchase_number = numbered.is_return.ifelse(ibis.null("int64"), numbered.number)
    numbered = numbered.mutate(
        purchase=purchase_number.max().over(group_by=key, order_by="number", rows=(None, 0))
    )
    returns = numbered.filter(numbered.is_return & numbered.purchase.notnull())
    returned = returns.group_by(*key, number=returns.purchase).aggregate(
        returned=returns.quantity.abs().sum(),
        unknown=returns.count(where=returns.quantity.isnull()),
    )
    purchases = numbered.filter(~numbered.is_return)
    matched = purchases.join(returned, [*key, "number"])
    is_covered = (
        (matched.unknown > 0) | matched.quantity.isnull() | (matched.returned >= matched.quantity)
    )
    place = ["source_file", "source_order"]
    removed = matched.filter(is_covered).select(*place, is_returned=ibis.literal(True))
    columns = typed.columns
    marked = typed.left_join(removed, place).select(*columns, "is_returned")
    is_returned = marked.is_returned.fill_null(False) & marked.reason.isnull()
    return marked.mutate(
        reason=is_returned.ifelse(RETURNED_LATER, marked.reason),
        is_excluded=is_returned | marked.is_excluded,
        # The records of accepted rows were not kept.
        raw=is_returned.ifelse(marked.user_id + ", " + marked.item_id, marked.raw),
    ).drop("is_returned")
