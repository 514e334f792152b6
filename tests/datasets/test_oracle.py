from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from bazar.datasets.oracle import OracleDataset
from bazar.errors import InputError
from bazar.synthetic.files import ORACLE_SCHEMA

TABLE = pa.table(
    {"user_id": ["u", "u"], "item_id": ["a", "b"], "score": [0.5, 0.25]}, schema=ORACLE_SCHEMA
)


def load(path: Path, table: pa.Table) -> pa.Table:
    pq.write_table(table, path)
    return OracleDataset(filepath=str(path)).load()


def test_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "oracle.parquet"
    assert load(path, TABLE) == TABLE
    assert load(path, TABLE.append_column("n", pa.array([1, 2]))) == TABLE
    assert load(path, TABLE.set_column(2, "score", pa.array([0.5, 0.25]))) == TABLE


@pytest.mark.parametrize("path", [None, "", "missing.parquet"])
def test_there_may_be_no_oracle(path: str | None) -> None:
    assert OracleDataset(filepath=path).load() == ORACLE_SCHEMA.empty_table()


def test_path_must_be_a_text() -> None:
    with pytest.raises(DatasetError, match=r"oracle in globals.yml must be a path or null"):
        OracleDataset(filepath=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ORACLE_SCHEMA.names)
def test_missing_column_raises_input_error(tmp_path: Path, column: str) -> None:
    path = tmp_path / "oracle.parquet"
    with pytest.raises(DatasetError) as error:
        load(path, TABLE.drop_columns([column]))
    assert isinstance(error.value.__cause__, InputError)
    assert "oracle.parquet cannot be read" in str(error.value.__cause__)


@pytest.mark.parametrize("score", [None, np.nan, np.inf])
def test_invalid_score_raises_input_error(tmp_path: Path, score: float | None) -> None:
    table = TABLE.set_column(2, "score", pa.array([0.5, score], pa.float32()))
    with pytest.raises(DatasetError, match="scores that are not finite numbers"):
        load(tmp_path / "oracle.parquet", table)


def test_broken_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "oracle.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="Delete the file to run without the oracle"):
        OracleDataset(filepath=str(path)).load()
