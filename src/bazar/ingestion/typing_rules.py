"""Convert raw records to typed rows. Each row is accepted, excluded by a rule, or rejected.

The functions return Ibis expressions that run on any backend.
"""

import ibis
import ibis.expr.types as ir

from bazar.config.sources import TIME_UNITS, InteractionSource, ProductSource
from bazar.errors import InputError
from bazar.ingestion import parsing
from bazar.ingestion.attributes import join_attributes
from bazar.ingestion.conditions import list_failed_conditions, satisfies_all
from bazar.ingestion.excluded_items import EXCLUDED_ITEM, has_excluded_id
from bazar.ingestion.ids import read_id
from bazar.ingestion.returns import RETURN
from bazar.ingestion.times import IMPOSSIBLE, is_possible, parse_timestamp
from bazar.ingestion.titles import clean_titles, decode_url_names

GUEST = "guest"
PURCHASE = "purchase"
_NAME_IN_URL = r"^https?://[^/]+/([^/]+)/dp/"

Check = tuple[ir.BooleanValue, ir.StringValue | str, bool]
"""A condition, the reason if it is true, and whether the row is then excluded, not rejected."""


def type_interactions(
    raw: ir.Table, source: InteractionSource, time_format: str, now_ms: int
) -> ir.Table:
    """Convert raw interactions to typed rows, with a reason for each excluded or rejected row.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem``, the columns of
            :data:`bazar.config.sources.InteractionColumn` and the condition columns, all text.
        source: the column mapping and the rules.
        time_format: format of the timestamps, not ``auto``.
        now_ms: the current time, UTC milliseconds. An interaction more than a day later is
            rejected.

    Returns:
        ``user_id, item_id`` (string), ``timestamp`` (int64, UTC milliseconds; null if a row with a
        position has no time), ``position`` (int64), ``rating`` (float64), ``order_id`` (string),
        ``quantity``, ``price`` (float64), ``currency`` (string), ``event_type`` (string),
        ``is_guest`` (bool), ``source_file``, ``source_order`` (int64, the row's number in the
        file), ``reason`` (string, null if the row is accepted), ``is_excluded`` (bool, whether the
        reason is a rule of the source), ``raw`` (null if the row is accepted), and
        ``timestamp_number`` for :func:`bazar.ingestion.times.convert_time_units`.
    """
    values = _parse_columns(_fill_within_orders(raw, source), source, time_format)
    checks = _list_checks(values, source, now_ms)
    is_guest = values.user_id.isnull()
    user_id = values.user_id
    if source.guests == "sessions":
        user_id = user_id.fill_null("guest order " + values.order_id)
    has_unit = time_format in TIME_UNITS
    typed = values.select(
        "item_id",
        "timestamp",
        "position",
        "rating",
        "order_id",
        "quantity",
        "price",
        "currency",
        "event_type",
        "source_file",
        "raw",
        *(["timestamp_number"] if has_unit else []),
        user_id=user_id,
        is_guest=is_guest,
        source_order=values.row_number,
        reason=ibis.cases(*((condition, reason) for condition, reason, _ in checks)),
        is_excluded=ibis.cases(
            *((condition, is_rule) for condition, _, is_rule in checks), else_=False
        ),
    )
    return _drop_raw_if_accepted(typed)


def _fill_within_orders(raw: ir.Table, source: InteractionSource) -> ir.Table:
    """Fill the columns that have a value only in the first line of an order."""
    mapped: dict[str, str] = dict(source.columns)  # type: ignore[arg-type]
    readers = mapped | {
        f"condition_{number}": name for number, name in enumerate(source.condition_columns)
    }
    filled = [column for column, name in readers.items() if name in source.fill_within_order]
    if not filled:
        return raw
    order_id = read_id(raw.order_id, source.normalise_ids.get("order_id", []))

    def fill(column: str) -> ir.Value:
        value = parsing.strip_text(raw[column])
        in_order = value.max().over(group_by=[raw.source_file, order_id])
        return order_id.isnull().ifelse(value, value.fill_null(in_order))

    return raw.mutate(**{column: fill(column) for column in filled})


def _parse_columns(raw: ir.Table, source: InteractionSource, time_format: str) -> ir.Table:
    """Replace the texts of the columns by their values. The texts are kept as ``<name>_text``."""
    columns, steps = source.columns, source.normalise_ids
    texts = {
        f"{name}_text": parsing.strip_text(raw[name])
        for name in ("timestamp", "position", "quantity", "price", "event_type")
    }
    numbers = {
        name: parsing.parse_amount(raw[name], source.decimal)
        for name in ("rating", "quantity", "price")
    }
    if "timestamp" in columns:
        timestamp = parse_timestamp(raw.timestamp, time_format, source.timezone)
    else:
        timestamp = ibis.null("int64")
    return raw.mutate(
        **texts,
        **numbers,
        user_id=read_id(raw.user_id, steps.get("user_id", [])),
        item_id=read_id(raw.item_id, steps.get("item_id", [])),
        order_id=read_id(raw.order_id, steps.get("order_id", [])),
        currency=parsing.strip_text(raw.currency),
        timestamp=timestamp,
        timestamp_number=parsing.parse_number(raw.timestamp),
        position=parsing.round_number(parsing.parse_number(raw.position)),
        event_type=_read_event_type(raw, source),
    )


def _read_event_type(raw: ir.Table, source: InteractionSource) -> ir.StringValue:
    """Return the type of event, or null if the source does not list it."""
    if isinstance(source.events, str):
        return ibis.literal(source.events)
    value = parsing.strip_text(raw.event_type)
    return ibis.cases(
        *((value.isin(values), event) for event, values in source.events.items()),
        else_=ibis.null("string"),
    )


def _list_checks(values: ir.Table, source: InteractionSource, now_ms: int) -> list[Check]:
    """Return the checks of a row in order. The first true condition counts."""
    is_purchase = values.event_type.isnull() | (values.event_type == PURCHASE)
    is_return = (values.quantity < 0).fill_null(False) | satisfies_all(
        values, source, source.returns.where
    )
    found_event = values.event_type_text.fill_null("none")
    checks: list[Check] = [
        (values.problem.notnull(), values.problem, False),
        (is_return & is_purchase, RETURN, True),
        (values.event_type.isnull(), ibis.literal("event: ") + found_event, True),
        *((failed, reason, True) for failed, reason in list_failed_conditions(values, source)),
        ((values.quantity == 0) & is_purchase, "quantity 0", True),
        (has_excluded_id(values.item_id, source.exclude_items), EXCLUDED_ITEM, True),
    ]
    missing_user = values.user_id.isnull()
    if source.guests == "exclude":
        checks.append((missing_user, GUEST, True))
    else:
        checks.append((missing_user & values.order_id.isnull(), f"{GUEST} without order_id", True))
    checks.append((values.item_id.isnull(), "missing item_id", False))
    for name, kind in (("timestamp", "time"), ("position", "number")):
        if name in source.columns:
            text = values[f"{name}_text"]
            # The position orders a row without a time.
            if name == "position" or "position" not in source.columns:
                checks.append((text.isnull(), f"missing {name}", False))
            is_unparsed = text.notnull() & values[name].isnull()
            checks.append((is_unparsed, f"{name} is not a {kind}", False))
    for name in ("quantity", "price"):
        text = values[f"{name}_text"]
        is_missing = text.isnull() | text.re_search(parsing.MISSING_AMOUNT)
        is_unparsed = values[name].isnull() & ~is_missing
        checks.append((is_unparsed, f"{name} is not a number", False))
    if "timestamp" in source.columns:
        checks.append((~is_possible(values.timestamp, now_ms), IMPOSSIBLE, False))
    return checks


def _drop_raw_if_accepted(typed: ir.Table) -> ir.Table:
    return typed.mutate(raw=typed.reason.isnull().ifelse(ibis.null("string"), typed.raw))


def check_timestamps_in_all_sources(sources: dict[str, InteractionSource]) -> None:
    """Raise InputError if some sources have timestamps and others only positions.

    Timestamps and positions cannot be sorted together.

    Args:
        sources: the sources that have files.
    """
    has_timestamp = {name: "timestamp" in source.columns for name, source in sources.items()}
    if len(set(has_timestamp.values())) > 1:
        found = ", ".join(
            f"interactions.{name} has {'timestamps' if timestamp else 'only positions'}"
            for name, timestamp in has_timestamp.items()
        )
        raise InputError(
            f"The purchases of these sources cannot be sorted together: {found}.\n"
            "Keep only one of these sources in globals.yml, or only its files in raw_dir."
        )


def type_products(raw: ir.Table, source: ProductSource, name: str, trust: int) -> ir.Table:
    """Convert raw products to typed rows, with a reason for each rejected row.

    A product without a title is accepted.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem, item_id`` and the mapped
            columns among ``title``, ``url`` and ``attributes``, all text.
        source: the column mapping.
        name: name of the source.
        trust: position of the source in the order of trust, where 0 is trusted most.

    Returns:
        ``item_id`` (string), ``title`` (string, cleaned by
        :func:`bazar.ingestion.titles.clean_title`, null if there is none), ``attributes`` (string,
        combined by :func:`bazar.ingestion.attributes.join_attribute_texts`, null if there are
        none), ``title_source`` (string, the name), ``trust`` (int32), and ``source_file``,
        ``source_order``, ``reason``, ``is_excluded`` (false) and ``raw`` as in
        :func:`type_interactions`.
    """
    text = raw.title
    if "url" in source.columns:
        text = decode_url_names(raw.url.re_extract(_NAME_IN_URL, 1))
    cleaned = raw.mutate(
        item_id=read_id(raw.item_id, source.normalise_ids.get("item_id", [])),
        title=clean_titles(text).nullif(""),
        attributes=join_attributes(raw.attributes).nullif("")
        if "attributes" in source.columns
        else ibis.null("string"),
    )
    typed = cleaned.select(
        "item_id",
        "title",
        "attributes",
        "source_file",
        "raw",
        title_source=ibis.literal(name),
        trust=ibis.literal(trust, "int32"),
        source_order=cleaned.row_number,
        reason=ibis.cases(
            (cleaned.problem.notnull(), cleaned.problem),
            (cleaned.item_id.isnull(), "missing item_id"),
        ),
        is_excluded=ibis.literal(False),
    )
    return _drop_raw_if_accepted(typed)


def make_empty_products() -> ir.Table:
    """Return a table without rows, with the columns of :func:`type_products`."""
    texts = ("item_id", "title", "attributes", "title_source", "source_file", "reason", "raw")
    schema = dict.fromkeys(texts, "string")
    schema |= {"trust": "int32", "source_order": "int64", "is_excluded": "boolean"}
    return ibis.memtable([], schema=schema)
