"""Exports of every shape give exactly the purchases that were written into them."""

from pathlib import Path

import pytest

from tests.ingestion.exports import EXPORTS
from tests.ingestion.ingest import ingest

# The guides of the other platforms are tested with their exports in tests/docs.
NAMES = [
    name
    for name in EXPORTS
    if name not in ("shopify", "woocommerce", "magento", "ga4", "rees46", "german")
]


@pytest.mark.parametrize("name", NAMES)
def test_export_is_read(tmp_path: Path, name: str) -> None:
    export = EXPORTS[name](tmp_path)
    known, described = export.expected, export.make_globals()
    found = ingest(tmp_path, described["interactions"], described["products"])
    assert found.purchases == known.purchases
    assert (found.excluded, found.rejected) == (known.excluded, {})
    counted = found.counts["interactions", export.paths[0].name]
    assert counted["rows_read"] == known.n_rows


@pytest.mark.parametrize("name", ["german", "excel"])
def test_purchases_that_were_returned_are_removed(tmp_path: Path, name: str) -> None:
    export = EXPORTS[name](tmp_path)
    known, described = export.expected, export.make_globals()
    described["interactions"]["orders"]["returns"] = {"remove_matched": True}
    found = ingest(tmp_path, described["interactions"], described["products"])
    returned = set(known.returned)
    assert found.purchases == [one for one in known.purchases if one not in returned]
    assert found.excluded == known.excluded | {"returned later": len(returned)}
