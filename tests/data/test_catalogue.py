from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA, Products
from bazar.errors import InputError

N_PRODUCTS, DIMENSION = 13, 24


@pytest.fixture
def products() -> Products:
    """Thirteen products, each with a title and two attributes."""
    numbers = range(1, N_PRODUCTS + 1)
    counts = np.array([0, *numbers])
    vectors = np.random.default_rng(3).normal(size=(N_PRODUCTS + 1, DIMENSION)).astype(np.float32)
    return Products(
        np.array(["", *(f"P{number:02d}" for number in numbers)], object),
        np.array([None, *(f"title {number}" for number in numbers)], object),
        np.array([None, *(f"Blue, Brand {number}" for number in numbers)], object),
        counts,
        counts // 2,
        vectors,
        np.array([None, *(["P01"] * 2), *([None] * (N_PRODUCTS - 2))], object),
    )


def test_added_products_are_appended_or_replace_the_texts(products: Products) -> None:
    added = pa.Table.from_pylist(
        [
            {"item_id": "P02", "title": "another", "attributes": None},
            {"item_id": "A01", "title": "new", "attributes": "Green"},
        ],
        ADDED_PRODUCTS_SCHEMA,
    )
    extended = products.add(added, np.eye(2, DIMENSION, dtype=np.float32))
    assert extended.item_ids.tolist() == [*products.item_ids, "A01"]
    index = products.index["P02"]
    assert (extended.titles[index], extended.attributes[index]) == ("another", None)
    assert extended.counts[index] == products.counts[index] > 0
    np.testing.assert_array_equal(extended.vectors[index], np.eye(2, DIMENSION)[0])
    np.testing.assert_array_equal(extended.vectors[:index], products.vectors[:index])
    assert extended.attributes[-1] == "Green"
    assert extended.counts[-1] == extended.recent_counts[-1] == 0
    np.testing.assert_array_equal(extended.vectors[-1], np.eye(2, DIMENSION)[1])
    again = Products.from_table(extended.to_table(), extended.vectors)
    for field in ("item_ids", "titles", "attributes", "counts", "recent_counts"):
        np.testing.assert_array_equal(getattr(again, field), getattr(extended, field))
    with pytest.raises(InputError, match="13 title vectors for 14 products"):
        Products.from_table(extended.to_table(), extended.vectors[1:])


def test_attribute_may_contain_the_separator(products: Products) -> None:
    attributes = products.attributes.copy()
    attributes[1], attributes[2] = "Acme, Inc., Foot, Hand & Nail Care", "Hand & Nail Care, Acme"
    named = replace(products, attributes=attributes)
    assert np.flatnonzero(named.select_by_attributes(["foot, hand & nail care"])).tolist() == [1]
    assert np.flatnonzero(named.select_by_attributes(["Acme, Inc."])).tolist() == [1]
    assert np.flatnonzero(named.select_by_attributes(["Hand & Nail Care"])).tolist() == [1, 2]
    with pytest.raises(InputError, match="No product has"):
        named.select_by_attributes(["Foot, Hair"])


def test_unknown_attribute_is_an_error_with_close_or_frequent_ones(products: Products) -> None:
    with pytest.raises(InputError, match=r"'Bleu'\. Did you mean 'blue'"):
        products.select_by_attributes(["Bleu"])
    with pytest.raises(InputError, match=r"'Garden'\. The most frequent are: blue, brand \d"):
        products.select_by_attributes(["Garden"])
