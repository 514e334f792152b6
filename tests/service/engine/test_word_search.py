import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.catalogue import Products
from bazar.service.engine.word_search import WordIndex

TITLES = {
    "salts": "Marivolt Cedar and Sage Bath Salts",
    "cream": "Hand Cream with Cedar",
    "lotion": "Body Lotion with Cream of Oats",
    "gloss": "Hard Gloss",
    "wax": "Surf Wax",
}
WORDS = sorted({word.lower() for title in TITLES.values() for word in title.split()})
LONG_WORDS = [word for word in WORDS if len(word) >= 4]


def make_index(titles: dict[str, str]) -> WordIndex:
    n = len(titles) + 1
    return WordIndex(
        Products(
            np.array(["", *titles], object),
            np.array([None, *titles.values()], object),
            np.full(n, None, object),
            np.zeros(n, np.int64),
            np.zeros(n, np.int64),
            np.zeros((n, 1), np.float32),
            np.full(n, None, object),
        )
    )


def search(query: str, titles: dict[str, str] = TITLES) -> list[str]:
    """Return the ids of the products that match, the best first."""
    scores = make_index(titles).score(query)[1:]
    order = np.argsort(-scores, kind="stable")
    return [list(titles)[item] for item in order if scores[item] > 0]


INDEX = make_index(TITLES)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # One letter less, more, or another one, but not the first: "and" and "hard" are no "hand".
        ("sage", ["salts"]),
        ("saeg", ["salts"]),
        ("srf wax", ["wax"]),
        ("cedr", ["cream", "salts"]),
        ("ceder", ["cream", "salts"]),
        ("xedar", []),
        ("edar", []),
        # Exchanged first letters.
        ("ecdar", ["cream", "salts"]),
        # Two errors are too many for seven letters, and not for eight.
        ("lotioonn", ["lotion"]),
        ("lotoinx", []),
        # Three letters have no errors.
        ("anx", []),
    ],
)
def test_a_word_finds_words_with_typing_errors_behind_the_first_letter(
    query: str, found: list[str]
) -> None:
    assert sorted(search(query)) == found


def test_a_missing_first_letter_does_not_make_another_word() -> None:
    titles = {name: title for name, title in TITLES.items() if name != "cream"}
    assert search("hand", titles) == ["gloss"]
    assert search("hand cream", titles) == ["lotion", "gloss"]
    assert "salts" not in search("hand creme", titles)


def test_a_product_with_all_words_is_before_one_with_a_typing_error() -> None:
    # "sage" is much rarer than the words of the query.
    titles = {f"cream{number}": f"Hand Cream {number}" for number in range(50)}
    titles = {"sage": "Cream with Sage", "hands": "Handy Sage", **titles}
    found = search("hand cream", titles)
    assert found[0].startswith("cream")
    assert set(found[:50]) == {f"cream{number}" for number in range(50)}
    assert search("hand cream 7 sgae", titles)[0] == "cream7"


def test_a_word_is_before_rare_words_that_begin_with_it() -> None:
    titles = {f"oil{number}": f"Rose Oil {number}" for number in range(50)}
    titles = {"cleanser": "Rose Cleanser Oily Skin", **titles, "hair": "Oil Rose"}
    assert search("rose oil", titles)[-1] == "cleanser"


@given(st.sampled_from(LONG_WORDS), st.data())
def test_a_letter_that_is_left_out_behind_the_first_does_no_harm(
    word: str, data: st.DataObject
) -> None:
    position = data.draw(st.integers(1, len(word) - 1))
    typed = word[:position] + word[position + 1 :]
    if len(typed) >= 4:
        is_found = INDEX.score(word) > 0
        assert (INDEX.score(typed)[is_found] > 0).any()
