"""The words of each product: those of its title, and its brand, categories and other attributes.

A network can learn a vector for each word. PyArrow splits the texts, without a loop in Python: the
online service splits the texts of all products when it starts.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bazar.config.data import EmbeddedText

MAX_WORDS = 50_000
"""Maximum number of words of a vocabulary: the most frequent ones."""

# A word of one item has nothing to learn from, and a word of most items separates nothing.
_MIN_ITEMS, _MAX_SHARE = 2, 0.3
_BETWEEN_WORDS = r"[^\p{L}\p{M}\p{N}]+"
_BETWEEN_ATTRIBUTES = ", "
# No word of a title contains it.
_ATTRIBUTE_MARK = "="


@dataclass(frozen=True)
class ItemTexts:
    """The texts of the items of a catalogue.

    Attributes:
        titles: shape (items + 1,), strings; None if an item has no title, and for padding.
        attributes: shape (items + 1,), brand, categories and similar attributes as one string,
            separated by ``", "``; None if there are none.
    """

    titles: np.ndarray
    attributes: np.ndarray

    def to_bytes(self) -> np.ndarray:
        """Return the texts as one array of bytes, uint8, to compare them with those of others."""
        joined = "\0".join(text or "" for text in (*self.titles, *self.attributes))
        return np.frombuffer(joined.encode(), np.uint8)


@dataclass(frozen=True)
class ItemWords:
    """The words of the items of a catalogue that are in a vocabulary.

    Attributes:
        numbers: shape (entries,), int32, numbers of the words of all items, from 0, concatenated.
            Each word of an item occurs once.
        starts: shape (items + 2,), int64; the words of item ``i`` are
            ``numbers[starts[i]:starts[i + 1]]``. Padding and items without a title have none.
    """

    numbers: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Number of words of each item, shape (items + 1,), int64."""
        return np.diff(self.starts)


def choose_vocabulary(texts: ItemTexts | None, text: EmbeddedText) -> np.ndarray:
    """Return the words that are worth a vector of their own.

    They occur in at least two items and in at most 30% of the items.

    Args:
        texts: the texts of all items.
        text: the text that is split: ``title``, or ``title_and_attributes``.

    Returns:
        Shape (words,), strings in ascending order, at most :data:`MAX_WORDS`, the most frequent
        ones.

    Raises:
        ValueError: if ``texts`` is None.
    """
    texts = _require_texts(texts)
    items, words = _list_pairs(texts, text)
    encoded = words.dictionary_encode()
    # A word may occur twice in a text.
    n_words = max(len(encoded.dictionary), 1)
    pairs = np.unique(items * n_words + encoded.indices.to_numpy())
    counts = np.bincount(pairs % n_words, minlength=n_words)
    limit = _MAX_SHARE * (len(texts.titles) - 1)
    kept = np.flatnonzero((counts >= _MIN_ITEMS) & (counts <= limit))
    found = np.array(encoded.dictionary.to_pylist(), dtype=object)[kept]
    order = np.lexsort((found, -counts[kept]))
    return np.sort(found[order[:MAX_WORDS]])


def find_words(texts: ItemTexts | None, vocabulary: np.ndarray, text: EmbeddedText) -> ItemWords:
    """Return the words of each item that are in a vocabulary.

    Args:
        texts: the texts of all items.
        vocabulary: shape (words,), strings.
        text: the text that is split, as for :func:`choose_vocabulary`.

    Raises:
        ValueError: if ``texts`` is None.
    """
    texts = _require_texts(texts)
    items, words = _list_pairs(texts, text)
    found = pc.index_in(words, value_set=pa.array(vocabulary, pa.large_string()))
    is_known = found.is_valid().to_numpy(zero_copy_only=False)
    numbers = found.drop_null().to_numpy().astype(np.int64)
    n_words = max(len(vocabulary), 1)
    pairs = np.unique(items[is_known] * n_words + numbers)
    starts = np.searchsorted(pairs, np.arange(len(texts.titles) + 1) * n_words)
    return ItemWords((pairs % n_words).astype(np.int32), starts.astype(np.int64))


def _require_texts(texts: ItemTexts | None) -> ItemTexts:
    if texts is None:
        raise ValueError("texts are required: the network has learned vectors of words.")
    return texts


def _list_pairs(texts: ItemTexts, text: EmbeddedText) -> tuple[np.ndarray, pa.Array]:
    """Return each word of each item: the item index, shape (pairs,), int64, and the word.

    A word can occur twice. Each attribute is one word, other than the same word in a title.
    """
    titles = _normalize(texts.titles)
    items, words = _split(pc.split_pattern_regex(titles, _BETWEEN_WORDS))
    if text == "title":
        return items, words
    # Without a title, an item has no words, as it has no title vector.
    attributes = pc.if_else(titles.is_valid(), _normalize(texts.attributes), None)
    more_items, values = _split(pc.split_pattern(attributes, _BETWEEN_ATTRIBUTES))
    mark, no_separator = (pa.scalar(value, pa.large_string()) for value in (_ATTRIBUTE_MARK, ""))
    marked = pc.binary_join_element_wise(mark, values, no_separator)
    return np.concatenate([items, more_items]), pa.concat_arrays([words, marked])


def _split(parts: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Return the index of the list and the text of each part, without empty parts."""
    words = pc.list_flatten(parts)
    # There is an empty part before a separator at the start.
    is_word = pc.not_equal(words, "")
    lists = pc.list_parent_indices(parts).filter(is_word)
    return lists.to_numpy().astype(np.int64), words.filter(is_word)


def _normalize(texts: np.ndarray) -> pa.Array:
    """Return texts in lower case, with one form of each character."""
    normalized = pc.utf8_normalize(pa.array(texts, pa.large_string()), form="NFKC")
    return pc.utf8_lower(normalized)
