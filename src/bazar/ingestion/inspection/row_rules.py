"""Find the rows of a file of orders that are purchases."""

import re
from dataclasses import dataclass, field
from typing import Any

from bazar.config.sources import EventType
from bazar.ingestion.inspection.dialogue import Dialogue, Question
from bazar.ingestion.inspection.header_names import normalise_name
from bazar.ingestion.inspection.mapping import ShopFile
from bazar.ingestion.inspection.records import Records
from bazar.ingestion.inspection.words import (
    classify_event,
    classify_status,
    is_return_word,
    names_cancellation,
)

_NEGATIVE = "(starts_with({column}, '-') OR regexp_matches({column}, '^\\(.*\\)$'))"
_MAX_VALUES = 60
_LISTED = 8


@dataclass
class Rules:
    """Keys of a source, and a comment for each.

    Attributes:
        keys: the keys in the order of the file that is written.
        comments: why a key was chosen, by key; ``columns.user_id`` for a key within a block.
    """

    keys: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, value: Any, comment: str) -> None:
        """Add a key."""
        self.keys[key] = value
        self.comments[key] = comment

    def add_condition(self, column: str, condition: dict[str, Any], comment: str) -> None:
        """Add a condition to ``where``."""
        self.keys.setdefault("where", {})[column] = condition
        self.comments[f"where.{column}"] = comment


def describe_counts(counts: dict[str, int]) -> str:
    """Return values with their numbers of rows, such as ``paid (1,200), voided (3)``."""
    listed = [f"{value} ({count:,})" for value, count in list(counts.items())[:_LISTED]]
    if len(counts) > _LISTED:
        listed.append(f"and {len(counts) - _LISTED} more")
    return ", ".join(listed)


def find_filled_columns(file: ShopFile, records: Records, rules: Rules) -> None:
    """Find the columns that have a value only in the first line of an order, and fill them."""
    order_id = file.roles.get("order_id")
    if order_id is None:
        return
    found = [
        column
        for column in records.keys
        if column not in (order_id, file.roles["item_id"])
        and _is_filled_once(records, order_id, column)
    ]
    if not found:
        return
    n_rows = records.count("{column} IS NULL", column=found[0])
    rules.add(
        "fill_within_order",
        found,
        f"They have a value only in the first line of an order: {found[0]} is empty in {n_rows:,} "
        "other lines.",
    )
    filled = ", ".join(
        f"coalesce({key}, max({key}) OVER (PARTITION BY source_file, {records.keys[order_id]})) "
        f"AS {key}"
        for key in (records.keys[column] for column in found)
    )
    name = f"{records.name}_filled"
    records.query(
        f"CREATE TABLE {name} AS SELECT * REPLACE ({filled}) FROM {{records}} "
        "WHERE {order} IS NOT NULL UNION ALL SELECT * FROM {records} WHERE {order} IS NULL",
        order=order_id,
    )
    records.name = name


def _is_filled_once(records: Records, order_id: str, column: str) -> bool:
    """Return whether nearly all orders of several lines have the value only in their first line."""
    n_orders, n_filled_once = records.query(
        """
        SELECT count(*), coalesce(sum((n = 1 AND first_filled)::INT), 0) FROM (
            SELECT count({column}) AS n,
                arg_min({column} IS NOT NULL, row_number) AS first_filled
            FROM {records} WHERE {order} IS NOT NULL
            GROUP BY source_file, {order} HAVING count(*) > 1 AND count({column}) > 0
        )
        """,
        order=order_id,
        column=column,
    )[0]
    return n_orders >= 2 and n_filled_once >= 0.9 * n_orders


def find_events(file: ShopFile, records: Records, rules: Rules, dialogue: Dialogue) -> None:
    """Find the types of events, or remove the column if it does not have any."""
    column = file.roles.get("event_type")
    if column is None:
        return
    counts = records.count_values(column)
    events: dict[EventType, list[str]] = {}
    for value in counts:
        event = classify_event(value)
        if event is not None:
            events.setdefault(event, []).append(value)
    returns = [value for value in counts if is_return_word(value)]
    if "purchase" not in events:
        if not re.search("event|action|behaviou?r|ereignis|evento", normalise_name(column)):
            del file.roles["event_type"]
            return
        question = Question(
            "events.purchase",
            f"{file.path.name}: which value of {column} is a purchase? Found "
            f"{describe_counts(counts)}.",
            tuple(counts),
        )
        answer = dialogue.ask(question)
        events = {
            event: [value for value in values if value != answer]
            for event, values in events.items()
        }
        events = {
            "purchase": [answer],
            **{event: values for event, values in events.items() if values},
        }
    ordered = {"purchase": events.pop("purchase"), **events}
    rules.add("events", ordered, f"Rows by value of {column}: {describe_counts(counts)}.")
    if returns:
        n_rows = sum(counts[value] for value in returns)
        _add_returns(rules, column, {"in": returns}, f"{n_rows:,} rows are returns or refunds.")
    listed = {value for values in ordered.values() for value in values} | set(returns)
    if others := {value: count for value, count in counts.items() if value not in listed}:
        dialogue.unsure.append(
            f"{column}: rows with the values {describe_counts(others)} are excluded. To keep them "
            "as events, add the values to events.other."
        )


def _add_returns(rules: Rules, column: str, condition: dict[str, Any], comment: str) -> None:
    rules.add("returns", {"where": {column: condition}}, comment)


def find_statuses(file: ShopFile, records: Records, rules: Rules, dialogue: Dialogue) -> None:
    """Find the conditions for rows whose order was not cancelled."""
    is_kept = "true"
    for column in file.statuses:
        counts = records.count_values(column, is_kept)
        classes = {value: classify_status(value) for value in counts}
        n_known = sum(found is not None for found in classes.values())
        if not counts or n_known == 0 or len(counts) > _MAX_VALUES:
            continue
        if "where" not in rules.keys:
            condition, comment = _choose_statuses(file, column, counts, records, dialogue)
        else:
            bad = [value for value, found in classes.items() if found == "cancelled"]
            condition = {"not_in": bad} if bad else {}
            comment = f"Remaining rows by value: {describe_counts(counts)}."
        if not condition:
            continue
        rules.add_condition(column, condition, comment)
        is_kept = f"({is_kept}) AND {_to_sql(records.keys[column], condition)}"
    for column in file.columns:
        if names_cancellation(column) and column in records.keys:
            n_rows = records.count(f"{{column}} IS NOT NULL AND ({is_kept})", column=column)
            if n_rows:
                comment = f"{n_rows:,} further rows were cancelled."
                rules.add_condition(column, {"missing": True}, comment)
                is_kept = f"({is_kept}) AND {records.keys[column]} IS NULL"


def _choose_statuses(
    file: ShopFile, column: str, counts: dict[str, int], records: Records, dialogue: Dialogue
) -> tuple[dict[str, Any], str]:
    """Return the condition for a column of statuses, and why."""
    is_magento = file.platform is not None and "Magento" in file.platform.label
    purchases, others, unknown = [], {}, []
    for value, count in counts.items():
        # Magento closes an order that was refunded completely.
        is_refunded = is_magento and normalise_name(value) == "closed"
        found = "cancelled" if is_refunded else classify_status(value)
        if found is None and normalise_name(value) in {"closed", "cerrado", "geschlossen"}:
            found = "purchase"
        if found == "purchase":
            purchases.append(value)
        elif found is None:
            unknown.append(value)
        else:
            others[value] = count
            if found == "open":
                dialogue.unsure.append(
                    f"{column}: {count:,} rows with {value!r} are excluded, because their orders "
                    "may not be paid. Add the value to where if they are purchases."
                )
    for value in unknown:
        question = Question(
            f"where.{column}",
            f"{file.path.name}: are the {counts[value]:,} rows with {column} {value!r} purchases?",
            ("yes", "no"),
            "no" if purchases else "yes",
        )
        if dialogue.ask(question) == "yes":
            purchases.append(value)
        else:
            others[value] = counts[value]
    comment = f"Rows by value: {describe_counts(counts)}."
    if not others or not purchases:
        return {}, comment
    n_empty = records.count("{column} IS NULL", column=column)
    if n_empty > 0.01 * records.count():
        return {"not_in": list(others)}, f"{comment} {n_empty:,} rows have no value."
    return {"in": purchases}, comment


def _to_sql(key: str, condition: dict[str, Any]) -> str:
    """Return a condition with ``in`` or ``not_in`` in SQL."""
    operator = "IN" if "in" in condition else "NOT IN"
    values = ", ".join(
        "'" + value.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"
        for value in next(iter(condition.values()))
    )
    column = f"coalesce({key}, '')"
    return f"{column} {operator} ({values})"


def find_child_lines(file: ShopFile, records: Records, rules: Rules) -> None:
    """Exclude the lines that belong to another line of the same order."""
    name = file.platform.children if file.platform else None
    column = next((each for each in file.columns if normalise_name(each) == name), None)
    if column is None or column not in records.keys:
        return
    if n_rows := records.count("{column} IS NOT NULL AND {column} <> '0'", column=column):
        # A database writes 0 or nothing for lines that have no parent.
        has_zero = records.count("{column} = '0'", column=column) > 0
        condition = {"in": ["0"]} if has_zero else {"missing": True}
        rules.add_condition(
            column, condition, f"{n_rows:,} rows repeat another line of their order."
        )


def find_credit_notes(file: ShopFile, records: Records, rules: Rules) -> None:
    """Find the first letters of the ids of credit notes, and add the condition for returns."""
    order_id, quantity = file.roles.get("order_id"), file.roles.get("quantity")
    amount = quantity or file.roles.get("price")
    if order_id is None or amount is None:
        return
    rows = records.query(
        f"""
        SELECT regexp_extract({{order}}, '^[A-Za-z]*') AS prefix, count(*),
            sum({_NEGATIVE.format(column="{amount}")}::INT)
        FROM {{records}} WHERE {{order}} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 50
        """,
        order=order_id,
        amount=amount,
    )
    negatives = sum(row[2] or 0 for row in rows)
    prefixes = [
        (prefix, count)
        for prefix, count, negative in rows[1:]
        if prefix and (negative or 0) >= 0.9 * count
    ]
    if not prefixes or "returns" in rules.keys:
        if negatives and quantity is not None:
            rules.comments["columns.quantity"] = (
                f"{negatives:,} rows have negative quantities. They are returns."
            )
        return
    others = [row[0] for row in rows if row[0] not in dict(prefixes)]
    patterns = [
        # The letter alone would match the ids of other documents as well.
        f"{prefix}[^A-Za-z]" if any(other.startswith(prefix) for other in others) else prefix
        for prefix, _ in prefixes
    ]
    pattern = f"^{patterns[0]}" if len(patterns) == 1 else f"^({'|'.join(patterns)})"
    begins = ", ".join(f"{count:,} rows begin with {prefix}" for prefix, count in prefixes)
    _add_returns(
        rules,
        order_id,
        {"matches": pattern},
        f"{begins} and have negative quantities. All {negatives:,} rows with negative quantities "
        "are returns.",
    )
