"""Search by words: the words of titles and attributes, with tolerance of typing errors."""

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import process
from rapidfuzz.distance import OSA

from bazar.data.catalogue import Products

# Quality of a match with a word of a product: 1 for the same word.
_PREFIX_QUALITY = 0.8
_TYPING_ERROR_QUALITY = 0.6
_APOSTROPHES = "'\u2019"
# Weight of a word of the attributes, relative to one of the title.
_ATTRIBUTE_WEIGHT = 0.5
# Number of words that may be meant by one word of a query.
_MAX_MEANT = 50
# Further words of a query are ignored.
_MAX_QUERY_WORDS = 16


class WordIndex:
    """The words of all products, and the products of each word.

    Words are compared in lower case and without accents. A word of a query matches the same word,
    words that begin with it (while a visitor types), and, if there is no such word, words with
    typing errors: one for 4 to 7 letters, two for more. Exchanged neighbouring letters are one
    error.
    """

    def __init__(self, products: Products) -> None:
        """Index the titles and attributes of a catalogue."""
        self._n_items = len(products.item_ids)
        title_words, title_items = _split(pa.array(products.titles, pa.large_string()))
        words, items = _split(pa.array(products.attributes, pa.large_string()))
        codes = pa.concat_arrays([title_words, words]).dictionary_encode()
        texts: list[str] = codes.dictionary.to_pylist()
        items = np.concatenate([title_items, items])
        weights = np.ones(len(items), np.float32)
        weights[len(title_items) :] = _ATTRIBUTE_WEIGHT
        # One posting for each pair of a word and a product, the one with the highest weight.
        keys = codes.indices.to_numpy().astype(np.int64) * self._n_items + items
        unique, first = np.unique(keys, return_index=True)
        found, items = np.divmod(unique, self._n_items)
        self._items = items.astype(np.int32)
        self._weights = weights[first]
        counts = np.bincount(found, minlength=len(texts))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._rarity = np.log1p(len(products) / np.maximum(counts, 1)).astype(np.float32)
        self._code = {text: code for code, text in enumerate(texts)}
        # Words in order of the alphabet, for prefixes.
        self._sorted_codes = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        self._sorted_texts = np.array(texts, object)[self._sorted_codes]
        # Words by their length, for typing errors.
        lengths = np.array([len(text) for text in texts], np.int64)
        self._codes_by_length = {
            int(length): np.flatnonzero(lengths == length) for length in np.unique(lengths)
        }
        self._texts_by_length = {
            length: [texts[code] for code in codes]
            for length, codes in self._codes_by_length.items()
        }
        # The columns of words took several times the memory of the index.
        pa.default_memory_pool().release_unused()

    def score(self, query: str) -> np.ndarray:
        """Return how well the words of each product match a query.

        A product with more words of the query comes before one with fewer. Among equals, rare words
        count more, and words of the title count more than those of the attributes.

        Args:
            query: what the visitor typed.

        Returns:
            Shape (items + 1,), float32; 0 for products without a matching word.
        """
        words = dict.fromkeys(split_query(query))
        n_matched = np.zeros(self._n_items, np.float32)
        values = np.zeros(self._n_items, np.float32)
        highest = 0.0
        for word in list(words)[:_MAX_QUERY_WORDS]:
            best = np.zeros(self._n_items, np.float32)
            for code, quality in self._find_meant(word).items():
                postings = slice(self._starts[code], self._starts[code + 1])
                items = self._items[postings]
                value = quality * self._rarity[code] * self._weights[postings]
                best[items] = np.maximum(best[items], value)
            n_matched += best > 0
            values += best
            highest += float(best.max())
        # The second part is below 1, the value of one more word.
        return n_matched + values / np.float32(highest + 1)

    def _find_meant(self, word: str) -> dict[int, float]:
        """Return the words that a word of a query may mean, by code, with their quality."""
        meant = dict.fromkeys(self._find_by_prefix(word), _PREFIX_QUALITY)
        if word in self._code:
            meant[self._code[word]] = 1.0
        return meant or self._find_similar(word)

    def _find_by_prefix(self, word: str) -> list[int]:
        if len(word) < 2:
            return []
        start = np.searchsorted(self._sorted_texts, word)
        stop = np.searchsorted(self._sorted_texts, word + "\U0010ffff")
        found: list[int] = self._sorted_codes[start : min(stop, start + _MAX_MEANT)].tolist()
        return found

    def _find_similar(self, word: str) -> dict[int, float]:
        """Return the words that differ by typing errors."""
        most = 0 if len(word) < 4 else 1 if len(word) < 8 else 2
        if most == 0:
            return {}
        meant: dict[int, float] = {}
        for length in range(len(word) - most, len(word) + most + 1):
            found = process.extract(
                word,
                self._texts_by_length.get(length, ()),
                scorer=OSA.distance,
                score_cutoff=most,
                limit=_MAX_MEANT,
            )
            for _, distance, position in found:
                code = int(self._codes_by_length[length][position])
                meant[code] = _TYPING_ERROR_QUALITY / distance
        return meant


def split_query(query: str) -> list[str]:
    """Split a query into words in lower case and without accents, as the titles are split.

    For a single text, this is faster than the functions for columns.
    """
    # Letter by letter: in lower case, a Greek sigma depends on its place in the word.
    letters = [letter.lower() for letter in unicodedata.normalize("NFKD", query)]
    plain = "".join(
        letter for letter in letters if letter not in _APOSTROPHES and not _is_mark(letter)
    )
    return "".join(letter if letter.isalnum() else " " for letter in plain).split()


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter[0]).startswith("M")


def _split(texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Split texts into words in lower case and without accents.

    Returns:
        The words, and the position of the text of each word, int64.
    """
    decomposed = pc.utf8_lower(pc.utf8_normalize(texts.fill_null(""), "NFKD"))
    plain = pc.replace_substring_regex(decomposed, r"\p{M}+", "")
    # "don't" is one word.
    plain = pc.replace_substring_regex(plain, f"[{_APOSTROPHES}]", "")
    split = pc.split_pattern_regex(plain, r"[^\pL\pN]+")
    words, parents = pc.list_flatten(split), pc.list_parent_indices(split)
    is_word = pc.not_equal(words, "")
    return words.filter(is_word), parents.filter(is_word).to_numpy().astype(np.int64)
