"""Unify user and item ids, and find ids that are written in several forms."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.sources import Normalisation
from bazar.ingestion import parsing

MAX_EXAMPLES = 20
_FORMS = pa.schema({"column": pa.string(), "groups": pa.int64(), "examples": pa.list_(pa.string())})
_MISSING = r"^(?i:nan|none|null|<na>|\\n)\z"
"""Texts that pandas, databases and Python write for a missing value."""
_SPACE = r"[ \t\n\r\x0B\f\x{A0}\x{2000}-\x{200B}\x{202F}\x{FEFF}]"
"""ASCII whitespace, no-break and zero-width spaces. ``\\s`` differs between engines."""
_WHOLE = r"^([+-]?[0-9]+)\.0+\z"


def read_id(text: ir.StringValue, steps: Sequence[Normalisation]) -> ir.StringValue:
    """Return an id, or null if it is missing.

    Args:
        text: the raw text. Surrounding ASCII whitespace is removed in any case.
        steps: steps that unify the id, in order: ``strip`` also removes surrounding no-break and
            zero-width spaces, ``integer_like`` removes the ``.0`` of a whole number.
    """
    found = parsing.strip_text(text)
    for step in steps:
        found = _normalise(found, step).nullif("")
    return found.re_search(_MISSING).ifelse(ibis.null("string"), found)


def _normalise(text: ir.StringValue, step: Normalisation) -> ir.StringValue:
    if step == "strip":
        return text.re_replace(rf"^{_SPACE}+|{_SPACE}+\z", "")
    if step == "upper":
        return text.upper()
    if step == "lower":
        return text.lower()
    return text.re_search(_WHOLE).ifelse(text.re_extract(_WHOLE, 1), text)


def collect_id_forms(columns: dict[str, ir.StringColumn]) -> ir.Table:
    """Find ids that differ only in case, whitespace, or the ``.0`` of a whole number.

    Args:
        columns: the ids by the name of their column.

    Returns:
        A row for each column with such ids: ``column``, ``groups`` (int64, number of ids that are
        written in several forms) and ``examples`` (array of string, the forms of the first 20 ids,
        such as ``17850 / 17850.0``).
    """
    rows = []
    for name, ids in columns.items():
        distinct = ids.name("id").as_table().distinct()
        spaceless = distinct.id.re_replace(_SPACE, "")
        canonical = _normalise(spaceless, "integer_like").lower()
        forms = distinct.mutate(canonical=canonical)
        groups = forms.group_by("canonical").having(ibis._.count() > 1).aggregate(n=ibis._.count())
        first = groups.order_by("canonical").limit(MAX_EXAMPLES).select("canonical")
        n_groups = groups.count().to_pyarrow().as_py()
        if n_groups == 0:
            continue
        found = forms.semi_join(first, "canonical").order_by("canonical", "id")
        examples: dict[str, list[str]] = {}
        for row in found.to_pyarrow().to_pylist():
            examples.setdefault(row["canonical"], []).append(row["id"])
        rows.append(
            {"column": name, "groups": n_groups, "examples": [*map(" / ".join, examples.values())]}
        )
    return ibis.memtable(pa.Table.from_pylist(rows, schema=_FORMS))
