# ruff: noqa: RUF001
import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.variants import make_variant_key, make_variant_keys

VARIANTS = {
    "rose toner": [
        "Rose Toner", "ROSE TONER", "Rose-Toner, 250 ml", "Rose Toner 1,5 L",
        "Rose Toner (8 fl. oz)", "Rose Toner 3er-Pack", "3er Pack Rose Toner",
        "Rose Toner, pack of 6", "Rose Toner x2", "2 x Rose Toner", "Rose Toner 2 x 50ml",
        "Rose Toner ½ l", "Rose Toner 250ml/8.4oz",
        "Rose Toner, 12 Stück", "Rose Toner Set de 3",
    ],
    "cotton shirt": [
        "Cotton Shirt size M", "Cotton Shirt, XXL", "Cotton Shirt S/M", "Cotton shirt (2XL)",
        "Cotton Shirt EU 42", "Cotton Shirt M Red", "Light Blue Cotton Shirt",
        "Cotton Shirt Red / L", "Cotton Shirt, Large", "Black and White Cotton Shirt",
        "Cotton Shirt in Off-White",
    ],
    "tasche leder": ["Tasche Leder Gr. 38", "Dunkelgrüne Tasche, Leder", "Tasche Leder in Rot"],
    "camisa básica": ["Camisa básica talla L", "Camisa básica azul claro", "Camisa básica, preta"],
    "robe d été": ["Robe d-été bleu foncé", "Robe d-été, taille 38", "Robe d-été noire"],
    "picture frame": ["Picture Frame 10x20 cm", "Picture Frame 10 × 15", "Picture Frame 8\""],
    "vitamin c capsules": ["Vitamin C 60 Capsules", "Vitamin C, 120 capsules"],
    "กุหลาบ โทนเนอร์": ["กุหลาบ โทนเนอร์ 200 ml"],
}  # fmt: skip
OTHER_PRODUCTS = [
    ("Sun Cream SPF 30, 200 ml", "sun cream spf 30"),
    ("Sun Cream SPF 50, 200 ml", "sun cream spf 50"),
    ("Organic Green Tea 50 g", "organic green tea"),
    ("Organic Black Tea 50 g", "organic black tea"),
    ("Vino blanco seco 75 cl", "vino blanco seco"),
    ("Red Rose Candle", "red rose candle"),
    ("Agua de rosa pura", "agua de rosa pura"),
    ("Orange Body Cream", "orange body cream"),
    ("Rubik 3x3 Cube", "rubik 3x3 cube"),
    ("Shampoo 2 in 1 Rose", "shampoo 2 in 1 rose"),
    ("5G Mobile Router", "5g mobile router"),
    ("iPhone 13 Case, Black", "iphone 13 case"),
    ("Crème brûlée", "crème brûlée"),
    ("Men's Shirts", "mens shirts"),
]


@pytest.mark.parametrize(
    ("title", "key"), [(title, key) for key, titles in VARIANTS.items() for title in titles]
)
def test_variants_have_the_same_key(title: str, key: str) -> None:
    assert make_variant_key(title) == key


@pytest.mark.parametrize(("title", "key"), OTHER_PRODUCTS)
def test_different_products_have_different_keys(title: str, key: str) -> None:
    assert make_variant_key(title) == key


@pytest.mark.parametrize("title", ["Toner", "Toner 250 ml", "Green T-Shirt M", "Size L", "12", "?"])
def test_a_title_of_one_word_has_no_key(title: str) -> None:
    assert make_variant_key(title) is None


PARTS = [
    "red", "hellblau", "claro", "light", "and", "tea", "of", "pack", "size", "x", "2", "10", "1,5",
    "ml", "m", "XL", "rose", "cotton", "shirt", ",", "-", "/", "(", ")", "\"", "'", "½", "ß", "İ",
    "é",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=9), st.sampled_from(["", " "]))
def test_key_of_a_key_is_the_key(parts: list[str], separator: str) -> None:
    key = make_variant_key(separator.join(parts))
    assert key is None or make_variant_key(key) == key


@given(
    st.sampled_from(["", ", 250 ml", " 10x20 cm", " - 3 pcs", " (pack of 2)"]),
    st.sampled_from(["", ", red", " dark blue", ", M", " size 12", " hellgrau"]),
    st.booleans(),
)
def test_size_colour_and_case_do_not_change_the_key(amount: str, look: str, upper: bool) -> None:
    title = f"Linen cushion cover{amount}{look}"
    assert make_variant_key(title.upper() if upper else title) == "linen cushion cover"


def test_backend_makes_keys_like_the_function() -> None:
    titles = [None, "", *(title for titles in VARIANTS.values() for title in titles), "Toner"]
    table = ibis.memtable(
        [{"number": number, "title": title} for number, title in enumerate(titles)],
        schema={"number": "int64", "title": "string"},
    )
    keyed = table.mutate(key=make_variant_keys(table.title).nullif("")).order_by("number")
    assert keyed.key.to_pyarrow().to_pylist() == [make_variant_key(title or "") for title in titles]
