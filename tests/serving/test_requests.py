import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.serving.requests import KnownIds, read_item_ids


def make_known(*ids: str) -> KnownIds:
    return KnownIds(pa.array(ids, pa.large_string()))


@pytest.mark.parametrize(
    ("known", "written"),
    [
        ("17850", "17850.0"), ("17850.0", "17850"), ("17850.0", "17850.00"), ("-5.0", "-5"),
        ("85123A", "85123a"), ("Straße", "STRAßE"), ("café", "cafe\u0301"), ("a b", "\ta b "),
    ],
)  # fmt: skip
def test_other_form_of_an_id_is_found(known: str, written: str) -> None:
    assert make_known("other", known).find_forms(written) == [known]
    assert make_known(known, written).find_forms(written) == [known]


@pytest.mark.parametrize(
    ("known", "written"),
    [("007", "7"), ("1.5", "1"), ("1.0.0", "1"), ("a.0", "a"), ("½", "1/2"), ("a", "\udcff")],
)
def test_other_ids_are_no_forms_of_an_id(known: str, written: str) -> None:
    assert make_known(known).find_forms(written) == []


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (["17850.0"], " Did you mean '17850' or '17850.00'?"),
        (["7"], " Did you mean '007'?"),
        (["P1l", "7"], " Did you mean 'P11' or '007'?"),
        (["nothing near"], ""),
        (["\udcff"], ""),
    ],
)
def test_close_ids_are_suggested(written: list[str], hint: str) -> None:
    known = make_known("17850", "17850.00", "007", "P11")
    assert known.suggest(written) == hint


def test_similar_ids_are_suggested_only_if_letters_are_compared() -> None:
    assert make_known("P11").suggest(["P1l"], compare_letters=False) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P1", ["P1"]),
        ("SKU,1", ["SKU,1"]),
        (" SKU,1 ", ["SKU,1"]),
        ("P1,SKU,1,SKU", ["P1", "SKU,1", "SKU"]),
        ("SKU,P1", ["SKU", "P1"]),
        ("SKU,2,P1", ["SKU", "2", "P1"]),
        ("x,y, z,x,y", ["x,y, z", "x", "y"]),
        ("sku,1,P1", ["sku,1", "P1"]),
        # Two products that are written exactly so come before one that is not.
        ("a,b", ["a", "b"]),
        (",P1,,gone,", ["P1", "gone"]),
        ("", []),
    ],
)
def test_longest_part_that_is_a_product_is_one_id(text: str, expected: list[str]) -> None:
    catalogue = ["P1", "SKU,1", "SKU", "x,y, z", "a", "b", "A,B"]
    assert read_item_ids(text, catalogue, make_known(*catalogue)) == expected


@given(st.lists(st.text("aB,;0. ", min_size=1).filter(str.strip), min_size=1, unique=True))
def test_every_product_alone_is_read_as_itself(catalogue: list[str]) -> None:
    catalogue = [item_id.strip() for item_id in catalogue]
    known = make_known(*catalogue)
    for item_id in catalogue:
        assert read_item_ids(item_id, catalogue, known) == [item_id]
