import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DataCatalog, DatasetError

from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS, find_encoder
from bazar.datasets.bundle import BundleDataset
from tests.cli.conftest import Invoke, assert_error
from tests.serving.example_bundle import N_PRODUCTS, make_title_vectors

NEW = {"parent_asin": "NEW1", "title": "Oat Milk Shampoo", "store": "Novum", "categories": []}
OTHER_TITLE = "Oat Milk Soap"


@pytest.fixture
def vectors(catalog: DataCatalog) -> np.ndarray:
    """Vectors of the new titles, so that no encoder is loaded: near P03, and near P04."""
    options = catalog.load("params:embedding")
    encoder = find_encoder(options.encoder, options.sha256).identity
    texts = [text for title in (NEW["title"], OTHER_TITLE) for text in (title, f"{title}. Novum")]
    vectors = np.repeat(make_title_vectors()[3:5], 2, axis=0)
    table = pa.table(
        {"encoder": [encoder] * 4, "text": texts, "vector": vectors.tolist()},
        schema=EMPTY_TITLE_VECTORS.schema,
    )
    catalog.save("title_vectors", table)
    return vectors


def write_lines(path: Path, *lines: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def snapshot(project: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in (project / "data").rglob("*") if path.is_file()
    }


@pytest.mark.usefixtures("vectors")
def test_new_product_is_in_the_bundle_at_once(
    invoke: Invoke, catalog: DataCatalog, project: Path
) -> None:
    earlier = catalog.load("bundle")
    lines = [NEW, {"parent_asin": "P01", "title": "another"}, {"parent_asin": "NEW2", "title": ""}]
    # The name is no pattern.
    result = invoke("add-products", write_lines(project / "new[1].jsonl", *lines))
    assert result.exit_code == 0, result.output
    assert f"1 products added; the catalogue has {N_PRODUCTS + 1}." in result.stdout
    assert "1 have a title in the raw files and keep it: P01" in result.stdout
    assert "1 left out (no title): NEW2" in result.stdout
    assert "Next: `kedro similar NEW1`" in result.stdout
    assert "`kedro run --pipelines recommendation`" in result.stdout
    products = catalog.load("bundle").products
    assert products.item_ids.tolist() == [*earlier.products.item_ids, "NEW1"]
    assert (products.titles[-1], products.attributes[-1]) == (NEW["title"], "Novum")
    assert products.titles[1] == "title 1"
    assert catalog.load("added_products").to_pylist() == [
        {"item_id": "NEW1", "title": NEW["title"], "attributes": "Novum"}
    ]
    similar = json.loads(invoke("similar", "NEW1", "--json").stdout)["products"]
    assert similar[0]["item_id"] == "P03"


@pytest.mark.parametrize(
    ("item_id", "argument", "shown"),
    [
        ("-5", "-- -5", "-5"),
        ("it's [1], 50%", "'it'\"'\"'s [1], 50%'", "it's [1], 50%"),
        ("a\nb", "'a\nb'", r"a\nb"),
    ],
)
@pytest.mark.usefixtures("vectors")
def test_new_product_may_have_an_id_with_any_characters(
    invoke: Invoke, catalog: DataCatalog, project: Path, item_id: str, argument: str, shown: str
) -> None:
    file = write_lines(project / "new.jsonl", NEW | {"parent_asin": item_id})
    result = invoke("add-products", file, "--seed", "42")
    assert result.exit_code == 0, result.output
    command = f"kedro similar --seed 42 {argument}"
    assert f"Next: `{command}` shows similar products" in result.stdout
    assert catalog.load("bundle").products.item_ids[-1] == item_id
    similar = invoke(*shlex.split(command)[1:])
    assert similar.exit_code == 0, similar.output
    assert "title 3" in similar.stdout
    # The file is added again.
    assert f"are updated: {shown}\n" in invoke("add-products", file).stdout


@pytest.mark.usefixtures("vectors")
def test_product_that_was_added_before_is_updated(
    invoke: Invoke, catalog: DataCatalog, project: Path
) -> None:
    file = write_lines(project / "new.jsonl", NEW)
    assert invoke("add-products", file).exit_code == 0
    write_lines(project / "new.jsonl", NEW | {"title": OTHER_TITLE})
    result = invoke("add-products", file)
    assert result.exit_code == 0, result.output
    assert "0 products added" in result.stdout
    assert "1 were added before and are updated: NEW1" in result.stdout
    products = catalog.load("bundle").products
    assert len(products) == N_PRODUCTS + 1
    assert products.titles[-1] == OTHER_TITLE
    similar = json.loads(invoke("similar", "NEW1", "--json").stdout)["products"]
    assert similar[0]["item_id"] == "P04"


@pytest.mark.usefixtures("vectors")
def test_missing_attributes_and_rejected_rows_are_reported(invoke: Invoke, project: Path) -> None:
    lines = [{"parent_asin": "NEW1", "title": NEW["title"]}] * 40
    file = write_lines(project / "new.jsonl", *lines, {"title": "product without an id"})
    result = invoke("add-products", file)
    assert result.exit_code == 0, result.output
    assert "The file has no column store, categories" in result.stdout
    assert "1 rows left out (missing item_id), such as: " in result.stdout
    assert "product without an id" in result.stdout


@pytest.mark.usefixtures("vectors")
def test_nothing_is_kept_if_the_bundle_cannot_be_saved(
    invoke: Invoke, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_lines(project / "new.jsonl", NEW)
    assert invoke("add-products", file).exit_code == 0
    before = snapshot(project)

    def fail(*_: object) -> None:
        raise DatasetError("no space left on device")

    monkeypatch.setattr(BundleDataset, "save", fail)
    write_lines(project / "new.jsonl", NEW | {"title": OTHER_TITLE})
    assert_error(invoke("add-products", file), "no space left on device")
    assert snapshot(project) == before


def test_file_with_other_columns_is_explained(
    invoke: Invoke, catalog: DataCatalog, project: Path
) -> None:
    before = snapshot(project)
    file = write_lines(project / "new.jsonl", {"sku": "1", "name": "Soap"})
    result = invoke("add-products", file)
    assert_error(
        result,
        f"{file} cannot be read as products of the source 'metadata'",
        "The file needs the columns parent_asin, title, store, categories",
        "Rename its columns",
    )
    assert "globals.yml" not in result.stderr
    assert snapshot(project) == before


def test_file_without_any_title_is_an_error(
    invoke: Invoke, catalog: DataCatalog, project: Path
) -> None:
    file = write_lines(project / "new.jsonl", {"parent_asin": "1", "title": ""})
    assert_error(invoke("add-products", file), "no product with a title. Nothing was added.")
    assert not catalog.exists("added_products")


def test_unknown_source_is_an_error(invoke: Invoke, catalog: DataCatalog, project: Path) -> None:
    file = write_lines(project / "new.jsonl", NEW)
    assert_error(
        invoke("add-products", file, "--source", "metdata"),
        "There is no source 'metdata' of products",
        "Did you mean 'metadata'?",
    )


def test_adding_products_needs_a_run(invoke: Invoke, project: Path) -> None:
    file = write_lines(project / "new.jsonl", NEW)
    result = invoke("add-products", file, "--split", "temporal", "--seed", "7")
    assert_error(
        result, "temporal/seed_7/bundle yet", "Run `kedro run --params split=temporal,seed=7` first"
    )
