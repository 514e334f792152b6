"""Tables that DuckDB writes and Spark reads, and the reverse."""

from pathlib import Path
from typing import Any

import ibis
import pytest
from kedro.io import DatasetError

from bazar.data.joining import choose_titles, list_products
from bazar.data.suspicious import find_suspicious_items, find_suspicious_titles
from bazar.datasets.table import TableDataset
from bazar.errors import InputError
from bazar.hooks import start_spark
from bazar.ingestion.cache import cache_table
from bazar.ingestion.titles import clean_titles
from bazar.settings import connection

pytestmark = pytest.mark.spark
SCHEMA = {"item_id": "string", "n": "int64", "examples": "array<string>"}
ROWS = [{"item_id": f"é{n:03d}", "n": n, "examples": ["a", "b"][: n % 3]} for n in range(200)]


def dataset(path: Path, engine: str) -> TableDataset:
    return TableDataset(filepath=str(path), connection=connection(engine, "1GB"))


def rows(table: Any) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def test_spark_writes_a_folder_in_order_and_both_engines_read_it(
    session: Any, tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    on_spark, on_duckdb = dataset(path, "spark"), dataset(path, "duckdb")
    assert not on_spark.exists()
    backwards = ibis.memtable(ROWS[::-1], schema=SCHEMA)
    on_spark.save(backwards.order_by("item_id"))
    assert len(list(path.glob("part-*.parquet"))) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.parquet"]
    assert on_duckdb.exists()
    assert rows(on_duckdb.load()) == ROWS
    assert rows(on_spark.load().order_by("n")) == ROWS
    assert on_spark.load().schema() == on_duckdb.load().schema() == ibis.schema(SCHEMA)
    assert on_duckdb.preview(nrows=2)["data"] == [["é000", "0", "[]"], ["é001", "1", "['a']"]]


def test_a_file_and_a_folder_replace_each_other(session: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    on_spark, on_duckdb = dataset(path, "spark"), dataset(path, "duckdb")
    for n_rows, entry, is_folder in (
        (1, on_duckdb, False), (2, on_spark, True), (3, on_spark, True), (4, on_duckdb, False),
    ):  # fmt: skip
        entry.save(ibis.memtable(ROWS[:n_rows], schema=SCHEMA))
        assert path.is_dir() == is_folder
        assert len(rows(on_spark.load())) == len(rows(on_duckdb.load())) == n_rows
        assert [entry.name for entry in tmp_path.iterdir()] == ["table.parquet"]


def test_a_table_without_rows_keeps_its_columns(session: Any, tmp_path: Path) -> None:
    on_spark = dataset(tmp_path / "table.parquet", "spark")
    on_spark.save(ibis.memtable(ROWS, schema=SCHEMA).filter(lambda table: table.n < 0))
    loaded = dataset(tmp_path / "table.parquet", "duckdb").load()
    assert loaded.schema() == ibis.schema(SCHEMA)
    assert rows(loaded) == []


def test_a_failed_save_keeps_the_previous_folder(session: Any, tmp_path: Path) -> None:
    on_spark = dataset(tmp_path / "table.parquet", "spark")
    on_spark.save(ibis.memtable(ROWS, schema=SCHEMA))
    table = on_spark.load()
    with pytest.raises(DatasetError, match="CAST_INVALID_INPUT"):
        on_spark.save(table.mutate(n=table.item_id.cast("int64")))
    assert rows(on_spark.load().order_by("n")) == ROWS
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.parquet"]


def test_missing_java_raises(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/no/java")
    with pytest.raises(InputError, match="Java 17 or 21, but /no/java/bin/java was not found"):
        start_spark({"spark.master": "local[1]"})


PRODUCT = {
    "item_id": "string", "title": "string", "attributes": "string", "title_source": "string",
    "trust": "int32", "source_file": "string", "source_order": "int64",
}  # fmt: skip
TITLES = [
    ("10", "mailout"), ("10", "CrÃ¨me brÃ»lÃ©e, 100 g"), ("10", "Crème brûlée, 100 g"),
    ("9", "crème brûlée 200g"), ("9", "nan"), ("9", "Crème brûlée, rouge"), ("8", "Toner 50 ml"),
    ("7", None), ("7", "NULL"), ("6", "Vino blanco 75 cl"), ("5", "Vino tinto 75 cl"),
    ("POST", "Postage"), ("4", "?? damaged"), ("3", "กุหลาบ โทนเนอร์ 20 ml"), ("2", "กุหลาบ โทนเนอร์"),
]  # fmt: skip
SOLD = {"item_id": "string", "title_source": "string", "order_id": "string", "user_id": "string"}


def test_titles_variants_and_suspicious_items_are_equal_on_both_engines(
    session: Any, tmp_path: Path
) -> None:
    rows_of_products = [
        dict(zip(PRODUCT, (item, title, None, "shop", 0, "a.csv", order), strict=True))
        for order, (item, title) in enumerate(TITLES)
    ]
    sold = [
        dict(zip(SOLD, (item, "shop", None if order % 2 else "o", "u"), strict=True))
        for order, (item, _) in enumerate(TITLES)
    ]
    dataset(tmp_path / "products", "duckdb").save(ibis.memtable(rows_of_products, schema=PRODUCT))
    dataset(tmp_path / "sold", "duckdb").save(ibis.memtable(sold, schema=SOLD))

    def build(engine: str) -> list[Any]:
        products = dataset(tmp_path / "products", engine).load()
        bought = dataset(tmp_path / "sold", engine).load()
        bought = bought.mutate(price=0.0, timestamp=ibis.literal(5, "int64"))
        cleaned = cache_table(products.mutate(title=clean_titles(products.title).nullif("")))
        latest, titles = choose_titles(cleaned, "latest"), choose_titles(cleaned, "most_frequent")
        titles = cache_table(titles)
        return [
            rows(latest.order_by("item_id")),
            rows(list_products(bought, titles, keep_unsold=False)),
            find_suspicious_items(bought, titles).to_pylist(),
            find_suspicious_titles(bought, titles).to_pylist(),
        ]

    found = build("spark")
    assert found == build("duckdb")
    latest, products, items, notes = found
    assert [row["title"] for row in latest if row["item_id"] == "9"] == ["Crème brûlée, rouge"]
    assert {row["item_id"]: row["variant_group"] for row in products} == {
        "10": "10", "9": "10", "8": "8", "7": None, "6": "6", "5": "5", "POST": "POST", "4": "4",
        "3": "2", "2": "2",
    }  # fmt: skip
    assert [row["item_id"] for row in items] == ["POST"]
    assert [row["item_id"] for row in notes] == ["4"]
