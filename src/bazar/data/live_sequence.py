"""The watermark of a bundle: up to which sequence it contains the purchases of the live store."""

import ibis.expr.types as ir

from bazar.errors import InputError
from bazar.ingestion.live_files import find_last_sequence


def find_live_sequence(
    ingested_tables: dict[str, ir.Table],
    joining_summary: dict[str, ir.Table],
    n_interactions: int,
) -> int:
    """Return the last sequence of the live purchases in the data; 0 if there are none.

    The folder of the files may have got newer ones during the run. Therefore the names are those
    that were ingested.

    Args:
        ingested_tables: ``counts`` with ``read_as, source_file``, and ``interactions``.
        joining_summary: ``counts`` with ``step, interactions``.
        n_interactions: number of interactions in the splits.

    Raises:
        InputError: if a file of live purchases is missing between others, or if the tables are from
            different runs, so that the splits may not contain the purchases.
    """
    counts = ingested_tables["counts"]
    read = counts.filter(counts.read_as == "interactions").select("source_file")
    live_sequence = find_last_sequence(read.to_pyarrow()["source_file"].to_pylist())
    if live_sequence == 0:
        return 0
    n_ingested = ingested_tables["interactions"].count().to_pyarrow().as_py()
    steps = joining_summary["counts"].select("step", "interactions").to_pyarrow().to_pylist()
    n_accepted = next(row["interactions"] for row in steps if row["step"] == "accepted")
    n_joined = min(row["interactions"] for row in steps)
    if (n_ingested, n_joined) != (n_accepted, n_interactions):
        raise InputError(
            f"The data of the bundle are from different runs: ingestion has {n_ingested} purchases "
            f"and joining read {n_accepted}; joining has {n_joined} and the splits have "
            f"{n_interactions}. Purchases of the online service could be lost.\nRun the pipelines "
            "ingestion, joining and sequencing again, then the later ones."
        )
    return live_sequence
