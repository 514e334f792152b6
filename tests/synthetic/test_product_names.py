"""Stores with Spanish titles have the purchases of the English ones."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bazar.synthetic.catalogue import Catalogue
from bazar.synthetic.product_names import BRANDS, NAMES, ProductNames
from bazar.synthetic.sample_store import (
    ORACLE_FILE,
    PRODUCTS_FILE,
    REVIEWS_FILE,
    StoreOptions,
    generate_store,
)

SMALL = StoreOptions(products=300, customers=80, interactions=900, seed=3)
SPANISH = SMALL.model_copy(update={"language": "es"})
# These are also Spanish words, and the English store sells "Eau de Toilette".
SHARED_WORDS = {"base", "gel", "macadamia", "mineral", "normal", "c", "spf", "de", "g", "ml"}
TRANSLATED = {"title", "categories"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of the English and of the Spanish store."""
    english, spanish = (tmp_path_factory.mktemp(name) for name in ("english", "spanish"))
    generate_store(english, SMALL)
    generate_store(spanish, SPANISH)
    return english, spanish


def read_products(folder: Path) -> list[dict[str, Any]]:
    """Return the products in the order of the file, without broken lines."""
    lines = gzip.decompress((folder / PRODUCTS_FILE).read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def split_words(texts: list[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[^\W\d_]+", text.lower())}


def test_purchases_and_oracle_do_not_depend_on_the_language(folders: tuple[Path, Path]) -> None:
    for name in (REVIEWS_FILE, ORACLE_FILE):
        english, spanish = ((folder / name).read_bytes() for folder in folders)
        assert english == spanish


def test_products_differ_only_in_titles_and_categories(folders: tuple[Path, Path]) -> None:
    english, spanish = map(read_products, folders)
    assert len(english) == len(spanish) > 300
    for first, other in zip(english, spanish, strict=True):
        assert {key for key in first if first[key] != other[key]} <= TRANSLATED
        if first["title"] and first["title"].strip():
            assert first["title"] != other["title"]
            # The brand, and the numbers of shades and sizes, stay.
            assert first["title"].split()[0] == other["title"].split()[0]
            assert re.findall(r"\d+", first["title"]) == re.findall(r"\d+", other["title"])


def test_the_same_seed_gives_the_same_spanish_files(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    generate_store(tmp_path, SPANISH)
    for name in (REVIEWS_FILE, PRODUCTS_FILE, ORACLE_FILE):
        assert (tmp_path / name).read_bytes() == (folders[1] / name).read_bytes()


def test_titles_and_categories_have_no_english_word() -> None:
    english, spanish = (
        Catalogue(2_500, np.random.default_rng(0), language=language) for language in ("en", "es")
    )
    brands = {brand.lower() for brand in english.brands}
    words = [
        split_words(catalogue.titles + catalogue.categories) - brands
        for catalogue in (english, spanish)
    ]
    assert words[0] & words[1] == SHARED_WORDS
    assert {"champú", "uñas", "tónico", "loción", "argán", "baño"} <= words[1]


def test_spanish_titles_are_distinct_and_natural() -> None:
    titles = Catalogue(2_500, np.random.default_rng(0), language="es").titles
    assert len(set(titles)) == len(titles) == 2_500
    assert titles[:2] == [
        "Velmora Limpiador suave de pétalos de rosa, piel seca, 150 ml",
        "Velmora Tónico hidratante de pétalos de rosa, piel seca, 200 ml",
    ]
    assert "Velmora Champú de argán, 250 ml" in titles
    assert any(re.search(r"Neceser de viaje .*, Edición 1, 5 piezas$", title) for title in titles)
    assert titles[-1].endswith(", Novedad n.º 25, 500 g")


def list_names(names: ProductNames) -> dict[str, list[str]]:
    """Return the names of each kind, in the order of the other languages."""
    return {
        **{f"line {kind}": list(lines) for kind, lines in names.lines.items()},
        "products": list(names.products),
        "skin types": list(names.skin_types),
        "shades": list(names.shades),
        "polishes": list(names.polishes),
        "categories": list(names.categories),
    }


def test_each_language_has_a_distinct_name_for_everything() -> None:
    english, spanish = (list_names(NAMES[language]) for language in ("en", "es"))
    assert {kind: len(names) for kind, names in english.items()} == {
        kind: len(names) for kind, names in spanish.items()
    }
    for names in (*english.values(), *spanish.values(), NAMES["es"].products.values(), BRANDS):
        assert len(set(names)) == len(list(names))
    assert english["products"] == spanish["products"]
    assert english["categories"] == spanish["categories"]


def test_another_language_is_rejected() -> None:
    with pytest.raises(ValidationError, match=r"language\n.*'en' or 'es'.*input_value='fr'"):
        StoreOptions(language="fr")  # type: ignore[arg-type]
