"""Arrays and small Arrow tables as files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS
from bazar.datasets.arrays import AddedProductsDataset, ArrayDataset, TitleVectorsDataset


def test_loading_an_array_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="allow_pickle=False"):
        ArrayDataset(filepath=str(path)).load()


def test_missing_title_vectors_are_an_empty_table(tmp_path: Path) -> None:
    dataset = TitleVectorsDataset(filepath=str(tmp_path / "title_vectors.parquet"))
    assert dataset.load().equals(EMPTY_TITLE_VECTORS)
    rows = pa.table(
        {"encoder": ["e"], "text": ["t"], "vector": [[0.5, 1.0]]},
        schema=EMPTY_TITLE_VECTORS.schema,
    )
    dataset.save(rows)
    assert dataset.load().equals(rows)


def test_missing_added_products_are_an_empty_table(tmp_path: Path) -> None:
    dataset = AddedProductsDataset(filepath=str(tmp_path / "added_products.parquet"))
    assert dataset.load().equals(ADDED_PRODUCTS_SCHEMA.empty_table())
    row = {
        name: pa.scalar(None, ADDED_PRODUCTS_SCHEMA.field(name).type).as_py()
        for name in ADDED_PRODUCTS_SCHEMA.names
    } | {"item_id": "0205"}
    dataset.save(pa.Table.from_pylist([row, row], ADDED_PRODUCTS_SCHEMA))
    assert dataset.load().to_pylist() == [row, row]
    preview = dataset.preview(nrows=1)
    assert preview["columns"] == ADDED_PRODUCTS_SCHEMA.names
    assert [shown[0] for shown in preview["data"]] == ["0205"]
