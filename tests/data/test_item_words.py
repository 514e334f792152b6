"""Words of products, and the vocabulary of those that are worth a vector."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bazar.data import item_words
from bazar.data.item_words import (
    ItemTexts,
    ItemWords,
    choose_vocabulary,
    find_words,
)


def make_texts(*products: tuple[str | None, str | None]) -> ItemTexts:
    """Make the texts of products, with padding in front of them."""
    titles, attributes = zip((None, None), *products, strict=True)
    return ItemTexts(np.array(titles, object), np.array(attributes, object))


def list_words(texts: ItemTexts, words: ItemWords, vocabulary: np.ndarray) -> list[set[str]]:
    edges = zip(words.starts[:-1], words.starts[1:], strict=True)
    return [set(vocabulary[words.numbers[start:stop]]) for start, stop in edges]


def test_words_of_titles_and_attributes() -> None:
    texts = make_texts(
        ("L'Oréal  Paris-ELVIVE, 250ml!", "Hair Care, Nivea"),
        ("nivea nivea", None),
        (None, "Hair Care"),
        ("...", ""),
        ("\uff23reme 250ml", "Hair Care, hair care"),
    )
    vocabulary = np.array(["=hair care", "=nivea", "250ml", "creme", "nivea", "oréal"], object)
    found = find_words(texts, vocabulary, "title_and_attributes")
    assert list_words(texts, found, vocabulary) == [
        set(),
        {"oréal", "250ml", "=hair care", "=nivea"},
        {"nivea"},
        # Without a title there are no words.
        set(),
        set(),
        {"creme", "250ml", "=hair care"},
    ]
    assert found.counts.tolist() == [0, 4, 1, 0, 0, 3]
    assert found.numbers.dtype == np.int32
    titles = find_words(texts, vocabulary, "title")
    assert list_words(texts, titles, vocabulary)[1] == {"oréal", "250ml"}


def test_a_vocabulary_has_the_words_of_some_items() -> None:
    titles = [f"Soap {kind} n{number}" for kind in ("rose", "mint") for number in range(5)]
    titles += [f"Oil x{number} x{number}" for number in range(10)]
    titles[0] += " rose rose"
    products = make_texts(
        *((title, "Brand A" if n < 4 else None) for n, title in enumerate(titles))
    )
    # "soap" and "oil" are in half of the items, and each x is in one item, twice.
    assert choose_vocabulary(products, "title").tolist() == [
        "mint", "n0", "n1", "n2", "n3", "n4", "rose",
    ]  # fmt: skip
    assert "=brand a" in choose_vocabulary(products, "title_and_attributes")


def test_a_vocabulary_keeps_the_most_frequent_words(monkeypatch: object) -> None:
    titles = ["red one", "red two", "red one", "blue two", "blue six", *[f"z{n}" for n in range(9)]]
    texts = make_texts(*((title, None) for title in titles))
    assert choose_vocabulary(texts, "title").tolist() == ["blue", "one", "red", "two"]
    monkeypatch.setattr(item_words, "MAX_WORDS", 2)
    assert choose_vocabulary(texts, "title").tolist() == ["blue", "red"]


def test_products_without_any_word() -> None:
    texts = make_texts((None, None), (None, "A"))
    vocabulary = choose_vocabulary(texts, "title_and_attributes")
    assert vocabulary.tolist() == []
    assert find_words(texts, vocabulary, "title").counts.tolist() == [0, 0, 0]


@given(
    st.lists(st.one_of(st.none(), st.text("ab é-.,'\0名", max_size=12)), min_size=1, max_size=12)
)
def test_each_word_of_an_item_is_found_once(titles: list[str | None]) -> None:
    texts = make_texts(*((title, "X, Y") for title in titles))
    vocabulary = np.array(sorted({"=x", "a", "ab", "b", "é", "名"}), object)
    found = find_words(texts, vocabulary, "title_and_attributes")
    assert found.starts[0] == found.starts[1] == 0
    assert found.starts[-1] == len(found.numbers)
    assert (np.diff(found.starts) >= 0).all()
    for title, words in zip([None, *titles], list_words(texts, found, vocabulary), strict=True):
        letters = "".join(letter if letter.isalnum() else " " for letter in title or "")
        expected = {word for word in letters.split() if word in vocabulary}
        assert words == (expected | {"=x"} if title is not None else set())
    for start, stop in zip(found.starts[:-1], found.starts[1:], strict=True):
        assert (np.diff(found.numbers[start:stop]) > 0).all()
