"""Convert JSON lines to typed Parquet files with pandas, without Bazar.

    .venv/bin/python benchmarks/ingest_with_pandas.py RAW_DIR OUTPUT_DIR

`ingest.py` compares Bazar with this script. The script does not check rows. It needs valid files.
"""

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bazar.synthetic.sample_store import PRODUCTS_FILE, REVIEWS_FILE

INTERACTIONS = pa.schema(
    {"user_id": "string", "parent_asin": "string", "timestamp": "int64", "rating": "float64"}
)
PRODUCTS = pa.schema({"parent_asin": "string", "title": "string"})


def ingest(raw: Path, parquet: Path, schema: pa.Schema) -> None:
    """Read a file of JSON lines in chunks and write the columns of the schema.

    Args:
        raw: JSON lines, gzipped or not.
        parquet: the file to write.
        schema: the columns to keep, and their types.
    """
    # Without a type, pandas converts ids of digits to numbers, and leading zeros are lost.
    text = {name: str for name in schema.names if schema.field(name).type == pa.string()}
    chunks = pd.read_json(raw, lines=True, chunksize=100_000, dtype=text, convert_dates=False)
    with pq.ParquetWriter(parquet, schema) as writer:
        for chunk in chunks:
            writer.write_table(
                pa.Table.from_pandas(chunk[schema.names], schema, preserve_index=False)
            )


if __name__ == "__main__":
    raw_dir, output_dir = Path(sys.argv[1]), Path(sys.argv[2])
    output_dir.mkdir(parents=True, exist_ok=True)
    ingest(raw_dir / REVIEWS_FILE, output_dir / "interactions.parquet", INTERACTIONS)
    ingest(raw_dir / PRODUCTS_FILE, output_dir / "products.parquet", PRODUCTS)
