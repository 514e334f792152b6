import ibis
import ibis.expr.types as ir
import pytest

from bazar.data.live_sequence import find_live_sequence
from bazar.errors import InputError
from bazar.ingestion.live_files import name_live_purchases

FIRST, SECOND, THIRD = (
    f"live/{name_live_purchases(*bounds)}" for bounds in ((1, 20), (21, 30), (31, 99))
)


def make_tables(
    *files: str, n_ingested: int = 9, n_accepted: int = 9, n_joined: int = 7
) -> tuple[dict[str, ir.Table], dict[str, ir.Table]]:
    """Return the tables of ingestion and of joining."""
    # A file of products has no purchases.
    rows = [("interactions", "orders.csv"), *(("interactions", file) for file in files)]
    rows.append(("products", THIRD))
    counts = ibis.memtable(rows, schema={"read_as": "string", "source_file": "string"})
    interactions = ibis.memtable({"row": range(n_ingested)})
    steps = ibis.memtable({"step": ["accepted", "kept"], "interactions": [n_accepted, n_joined]})
    return {"counts": counts, "interactions": interactions}, {"counts": steps}


def test_watermark_is_the_end_of_the_last_file_that_was_ingested() -> None:
    assert find_live_sequence(*make_tables(), 5) == 0
    assert find_live_sequence(*make_tables(SECOND, FIRST), 7) == 30


def test_a_missing_file_raises() -> None:
    with pytest.raises(InputError, match="live purchases 1 to 20 are missing"):
        find_live_sequence(*make_tables(SECOND), 7)


@pytest.mark.parametrize(("n_ingested", "n_joined", "n_split"), [(10, 7, 7), (9, 8, 7), (9, 7, 8)])
def test_tables_of_different_runs_raise(n_ingested: int, n_joined: int, n_split: int) -> None:
    tables = make_tables(FIRST, n_ingested=n_ingested, n_joined=n_joined)
    with pytest.raises(InputError, match=r"different runs: .*\nRun the pipelines ingestion"):
        find_live_sequence(*tables, n_split)
