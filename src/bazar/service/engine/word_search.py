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
    typing errors: one for 4 to 7 letters, two for more, as in Algolia. Exchanged neighbouring
    letters are one error. The first letter must be right, as with ``prefix_length: 1`` in
    Elasticsearch, or exchanged with the second: few errors are in the first letter (Yannakoudakis
    and Fawthrop 1983), and ``hand`` does not mean ``and``.
    """

    def __init__(self, products: Products) -> None:
        """Index the titles and attributes of a catalogue."""
        self._n_items = len(products.item_ids)
        self._n_products = len(products)
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
        self._code = {text: code for code, text in enumerate(texts)}
        # Words in order of the alphabet, for prefixes.
        self._sorted_codes = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        self._sorted_texts = np.array(texts, object)[self._sorted_codes]
        # Words by their length and their first letter, for typing errors.
        self._groups: dict[tuple[int, str], list[str]] = {}
        for text in texts:
            self._groups.setdefault((len(text), text[0]), []).append(text)
        # The columns of words took several times the memory of the index.
        pa.default_memory_pool().release_unused()

    def score(self, query: str) -> np.ndarray:
        """Return how well the words of each product match a query.

        A product with more words of the query comes before one with fewer. Among equals, rare words
        count more, and words of the title count more than those of the attributes. The rarity of a
        word of the query is that of all words that it may mean, so that a rare word that only
        begins with it does not come before the word itself.

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
                best[items] = np.maximum(best[items], quality * self._weights[postings])
            is_matched = best > 0
            n_matched += is_matched
            if count := np.count_nonzero(is_matched):
                best *= np.float32(np.log1p(self._n_products / count))
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
        first, second = word[0], word[1]
        meant: dict[int, float] = {}
        for length in range(len(word) - most, len(word) + most + 1):
            candidates = self._groups.get((length, first), [])
            if second != first:
                others = self._groups.get((length, second), [])
                candidates = candidates + [text for text in others if text[1] == first]
            found = process.extract(
                word, candidates, scorer=OSA.distance, score_cutoff=most, limit=_MAX_MEANT
            )
            for text, distance, _ in found:
                meant[self._code[text]] = _TYPING_ERROR_QUALITY / distance
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
