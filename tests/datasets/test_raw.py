import csv
import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from bazar.config.sources import ProductSource
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError
from bazar.ingestion.attributes import join_attribute_texts
from bazar.ingestion.cache import cache_table
from bazar.ingestion.typing_rules import type_products

CONNECTION = {"backend": "duckdb", "database": ":memory:"}
COLUMNS = {"user_id": "user", "item_id": "asin", "timestamp": "time"}


def raw(
    path: Path,
    columns: dict[str, str] = COLUMNS,
    file_format: str = "",
    max_rows: int = 10**9,
    max_bytes: int = 10**12,
    **keys: Any,
) -> RawDataset:
    name = path.name.removesuffix(".gz")
    return RawDataset(
        path=str(path.parent),
        sources={
            "orders": {
                "files": path.name,
                "format": file_format or name.rsplit(".", 1)[1],
                "columns": columns,
                "timestamp_format": "ms",
                **keys,
            }
        },
        kind="interactions",
        max_rows=max_rows,
        max_bytes=max_bytes,
        connection=CONNECTION,
    )


def rows(path: Path, **arguments: Any) -> list[dict[str, Any]]:
    return (
        raw(path, **arguments)
        .load()["orders"]
        .order_by("source_file", "row_number")
        .to_pyarrow()
        .to_pylist()
    )


def read_error(path: Path, **arguments: Any) -> str:
    """Return the message of the error that is raised when the file is checked or read."""
    with pytest.raises((DatasetError, InputError)) as error:
        cache_table(raw(path, **arguments).load()["orders"])
    message = error.value.__cause__ if isinstance(error.value, DatasetError) else error.value
    assert isinstance(message, InputError)
    return str(message)


def line(**fields: Any) -> str:
    return json.dumps({"user": "u", "asin": "a", "time": 1} | fields) + "\n"


def test_each_json_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl.gz"
    text = (
        line(user='a, "b"', asin="0205616461", time=1577836800123)
        + "\n"
        + '{"user": "cut'
        + "\n[1, 2]\n"
        + line(asin=205616461, time=None)
        + '{"asin": "x"}\n'
        + "plain words"
    )
    path.write_bytes(gzip.compress(text.encode()))
    found = rows(path)
    assert [row["row_number"] for row in found] == [1, 3, 4, 5, 6, 7]
    assert [row["problem"] for row in found] == [
        None, "broken JSON", "not a JSON object", None, None, "broken JSON",
    ]  # fmt: skip
    assert [row["user_id"] for row in found] == ['a, "b"', None, None, "u", None, None]
    assert [row["item_id"] for row in found] == ["0205616461", None, None, "205616461", "x", None]
    assert [row["timestamp"] for row in found] == ["1577836800123", None, None, None, None, None]
    assert found[1]["raw"] == '{"user": "cut'
    assert {row["source_file"] for row in found} == {"reviews.jsonl.gz"}


def test_ids_keep_leading_zeros_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text('user,asin,time\n007,0205616461,1.0\n"8, 9",205616461,\n')
    found = rows(path)
    assert [row["user_id"] for row in found] == ["007", "8, 9"]
    assert [row["item_id"] for row in found] == ["0205616461", "205616461"]
    assert [row["timestamp"] for row in found] == ["1.0", None]


@pytest.mark.parametrize("name", ["shop.csv", "shop.csv.gz"])
def test_csv_lines_with_wrong_columns_are_rows_with_a_problem(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    good = "".join(f"u{number},a,1\n" for number in range(500))
    text = "user,asin,time\n" + good + "only one\nu,a,1,too,many\n" + good
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = rows(path)
    assert len(found) == 1002
    bad = [row for row in found if row["problem"]]
    assert [row["raw"] for row in bad] == ["only one", "u,a,1,too,many"]
    assert {row["problem"] for row in bad} == {"wrong number of columns"}
    assert all(row["user_id"] is None for row in bad)


@pytest.mark.parametrize("name", ["shop.csv", "shop.csv.gz"])
def test_malformed_csv_line_does_not_remove_valid_lines(tmp_path: Path, name: str) -> None:
    path, count = tmp_path / name, 200_000
    bad = {7: '7,"a"b,1', 150_000: "150000,caf\udce9,1", 150_001: "few", 199_999: '"a"b,"c",1'}
    lines = [bad.get(number, f'{number},"a, ""b""",1') for number in range(count)]
    content = "\n".join(["user,asin,time", *lines]).encode(errors="surrogateescape")
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    table = raw(path, encoding="utf-8").load()["orders"].cache()
    assert table.count().execute() == count
    found = table.filter(table.problem.notnull()).order_by("row_number").to_pyarrow().to_pylist()
    assert [(row["row_number"] - 2, row["problem"]) for row in found] == [
        (7, "broken quotes"),
        (150_000, "not UTF-8"),
        (150_001, "wrong number of columns"),
        (199_999, "broken quotes"),
    ]
    good = table.filter(table.problem.isnull())
    assert good.filter(good.item_id == 'a, "b"').user_id.nunique().execute() == count - 4


@pytest.mark.parametrize("count", [3, 400_000])
@pytest.mark.parametrize(
    "after",
    ["{},a,1\n", '{},"a",1\n', '{},"a ""b""",1\n'],
    ids=["plain", "quoted", "doubled"],
)
@pytest.mark.parametrize("broken", ['"7,a,1\n', '7,"a,1\n', '7,a,"1\n'])
def test_quote_that_is_never_closed_raises(
    tmp_path: Path, broken: str, after: str, count: int
) -> None:
    path = tmp_path / "shop.csv"
    rest = "".join(after.format(number) for number in range(count))
    path.write_text(f"user,asin,time\n0,a,1\n{broken}{rest}")
    message = read_error(path)
    assert "line 3: a quote is opened and never closed" in message


def test_line_breaks_within_quotes_are_one_row(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(b'user,asin,time\r\n"a\nb","c\r\nd",1\r\n2,e,3\r\n')
    assert [row["user_id"] for row in rows(path)] == ["a\nb", "2"]


def test_mixed_line_ends_raise(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(b"user,asin,time\na,b,1\r\nc,d,2\n")
    assert "with the same line end" in read_error(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("note,user,asin,time\n,u,a b,1\n,v,c,2\n".replace(",", delimiter))
    assert [row["item_id"] for row in rows(path)] == ["a b", "c"]
    assert "Available: 'note', 'user', 'asin', 'time'." in read_error(
        path, columns=COLUMNS | {"user_id": "nobody"}
    )


def test_json_lines_that_are_not_utf8_are_rows_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    text = line(user="1") * 2000 + line(user="caf").replace("caf", "caf\udce9") + line() + "{\n"
    path.write_bytes(text.encode(errors="surrogateescape"))
    found = rows(path, encoding="utf-8")
    assert len(found) == 2003
    assert [(row["row_number"], row["problem"]) for row in found if row["problem"]] == [
        (2001, "not UTF-8"),
        (2003, "broken JSON"),
    ]


@pytest.mark.parametrize("name", ["shop.csv", "shop.csv.gz", "shop.jsonl", "shop.jsonl.gz"])
def test_rows_are_numbered_in_file_order(tmp_path: Path, name: str) -> None:
    path, count = tmp_path / name, 300_000
    if "csv" in name:
        text = "user,asin,time\n" + "".join(f"u,a,{number}\n" for number in range(count))
    else:
        text = "".join(
            f'{{"user": "u", "asin": "a", "time": {number}}}\n' for number in range(count)
        )
    path.write_bytes(gzip.compress(text.encode(), 1) if name.endswith(".gz") else text.encode())
    table = raw(path).load()["orders"]
    wrong = table.filter(table.timestamp.cast("int64") + 1 != table.row_number)
    assert table.count().execute() == count
    assert wrong.count().execute() == 0


def test_parquet_columns_are_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    table = {"user": ["1", "2"], "asin": ["0a", None], "time": [5, 6], "other": [1.0, 2.0]}
    pq.write_table(pa.table(table), path)
    assert [
        (row["row_number"], row["user_id"], row["item_id"], row["timestamp"]) for row in rows(path)
    ] == [(1, "1", "0a", "5"), (2, "2", None, "6")]


def test_missing_file_raises_with_the_files_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "other.csv").touch()
    message = read_error(tmp_path / "shop.csv")
    assert f"{tmp_path / 'shop.csv'} does not exist" in message
    assert f"{tmp_path} contains other.csv" in message
    assert "--params raw_dir=PATH" in message
    assert "interactions.orders.files" in message
    assert "is empty or does not exist" in read_error(tmp_path / "nowhere" / "shop.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shop.csv", b""),
        ("shop.csv", b"user,asin,time\n"),
        ("shop.jsonl", b""),
        ("shop.jsonl", b"\n \n"),
        ("shop.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("shop.csv.gz", gzip.compress(b"user,asin,time\n", mtime=0)),
    ],
)
def test_empty_file_raises(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "is empty" in read_error(tmp_path / name)


@pytest.mark.parametrize("missing", [1, 4, 8, 9, 500, 5000])
def test_truncated_gzip_raises(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "shop.jsonl.gz"
    text = "".join(line(user=str(number**3)) for number in range(3000))
    complete = gzip.compress(text.encode())
    path.write_bytes(complete)
    assert len(rows(path)) == 3000
    path.write_bytes(complete[:-missing])
    assert "is truncated" in read_error(path)


def test_truncated_gzip_that_is_not_utf8_raises(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl.gz"
    complete = gzip.compress(b'{"user": "\xff"}\n' + os.urandom(3_000_000))
    path.write_bytes(complete[:-10])
    assert "is truncated" in read_error(path)


def test_file_that_ends_within_a_character_has_a_row_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_bytes(line().encode() + '{"user": "é'.encode()[:-1])
    assert [row["problem"] for row in rows(path)] == [None, "not UTF-8"]


def test_gzip_of_several_members_is_read_completely(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl.gz"
    one = gzip.compress(line().encode())
    path.write_bytes(one + one + one)
    assert len(rows(path)) == 3
    path.write_bytes(one + one + one[:-3])
    assert "is truncated" in read_error(path)


def test_gzip_is_detected_by_the_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl.gz").write_text(line())
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(line().encode()))
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"user,asin,time\nu,a,1\n"))
    for name in ("plain.jsonl.gz", "packed.jsonl", "packed.csv"):
        assert [row["user_id"] for row in rows(tmp_path / name)] == ["u"], name
    (tmp_path / "spoiled.jsonl.gz").write_bytes(gzip.compress(line().encode())[:6] + b"no")
    assert "spoiled.jsonl.gz is" in read_error(tmp_path / "spoiled.jsonl.gz")
    (tmp_path / "shop.csv").write_bytes(b"PK\x03\x04 and so on")
    assert "is a zip archive. Extract it" in read_error(tmp_path / "shop.csv")


@pytest.mark.parametrize("name", ["shop.csv", "shop.jsonl", "shop.parquet"])
def test_missing_column_raises_with_the_key_to_set(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "shop.csv":
        path.write_text("customer,asin,time\n1,2,3\n")
    elif name == "shop.jsonl":
        path.write_text('{"customer": 1, "asin": "2", "time": 3}\n')
    else:
        pq.write_table(pa.table({"customer": [1], "asin": ["2"], "time": [3]}), path)
    message = read_error(path)
    assert "has no column 'user'" in message
    assert "customer" in message
    assert "interactions.orders.columns.user_id" in message


def test_repeated_column_name_raises(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user,asin,user,time\n1,2,3,4\n")
    message = read_error(path)
    assert "2 columns are named 'user', which interactions.orders.columns.user_id reads" in message
    # Columns that are not mapped may have equal names.
    path.write_text("note,user,asin,note,time\n1,2,3,4,5\n")
    assert [row["user_id"] for row in rows(path)] == ["2"]


@pytest.mark.parametrize("prefix", ["", "/work/project/"])
def test_home_folder_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "orders.csv").write_text("user,asin,time\n1,2,3\n")
    # Kedro prepends the project folder to relative paths.
    found = rows(Path(f"{prefix}~/shop/orders.csv"))
    assert [row["source_file"] for row in found] == ["orders.csv"]


def test_wrong_format_raises(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text("user,asin,time\n1,2,3\n")
    message = read_error(path)
    assert "no line is a JSON object" in message
    assert "interactions.orders.format" in message
    message = read_error(path, file_format="parquet")
    assert "shop.jsonl is a CSV file, but interactions.orders.format is parquet" in message
    assert "Set interactions.orders.format in globals.yml to csv, or to auto." in message


def test_preview_shows_the_first_records(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text(line(user="1") + line(user="2"))
    assert raw(path).preview(nrows=1) == {
        "index": [0], "columns": ["user_id", "item_id", "timestamp"], "data": [["1", "a", "1"]],
    }  # fmt: skip


def test_raw_files_are_read_only(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        raw(tmp_path / "shop.csv").save(1)  # type: ignore[arg-type]


def test_raw_text_of_a_csv_row_has_its_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user;asin;time\n;a;1\n")
    assert [row["raw"] for row in rows(path)] == [";a;1"]


FORMATS = {"jsonl": "shop.jsonl.gz", "csv": "shop.csv", "parquet": "shop.parquet", "python": "shop"}


def write_products(path: Path, file_format: str, records: list[dict[str, Any]]) -> None:
    """Write the records in a format. CSV has no lists, so lists are written as JSON."""
    if file_format == "jsonl":
        path.write_bytes(
            gzip.compress("".join(f"{json.dumps(record)}\n" for record in records).encode())
        )
    elif file_format == "python":
        path.write_text("".join(f"{record!r}\n" for record in records), encoding="utf-8")
    elif file_format == "parquet":
        lists = pa.list_(pa.list_(pa.string()))
        types = {"kinds": lists, "tags": pa.list_(pa.string())}
        schema = pa.schema({name: types.get(name, pa.string()) for name in records[0]})
        pq.write_table(pa.Table.from_pylist(records, schema), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            for record in records:
                writer.writerow(
                    {
                        name: json.dumps(value) if isinstance(value, list) else value
                        for name, value in record.items()
                    }
                )


def attributes(
    folder: Path, file_format: str, records: list[dict[str, Any]], mapped: str | list[str]
) -> dict[str, str | None]:
    """Return the attributes of each item, read from a file of the format."""
    write_products(folder / FORMATS[file_format], file_format, records)
    source: dict[str, Any] = {
        "files": FORMATS[file_format],
        "format": file_format,
        "columns": {"item_id": "item", "title": "name", "attributes": mapped},
    }
    dataset = RawDataset(
        path=str(folder),
        sources={"catalogue": source},
        kind="products",
        max_rows=10**9,
        max_bytes=10**12,
        connection=CONNECTION,
    )
    typed = cache_table(
        type_products(dataset.load()["catalogue"], ProductSource(**source), "catalogue", 0)
    )
    assert typed.reason.notnull().sum().execute() == 0
    return {row["item_id"]: row["attributes"] for row in typed.to_pyarrow().to_pylist()}


PRODUCTS: list[dict[str, Any]] = [
    {
        "item": "01", "name": "Rose Oil", "brand": "Men's \"Rose\" Café",
        "tags": ["Beauty", "x"],
        "kinds": [["Beauty", "Oils &amp; Creams"], ["Beauty", None, "Face"]],
    },
    {"item": "02", "name": None, "brand": "Unknown", "kinds": [["Beauty"], []], "tags": []},
    {"item": "03", "name": "Oat", "brand": "  ", "kinds": [[]], "tags": ["Unknown", "", " "]},
    {"item": "04", "name": "Oat", "brand": None, "kinds": None, "tags": None},
    {"item": "05", "name": "Oat", "brand": "[comfort] zone", "kinds": None, "tags": ["a, b", "b"]},
]  # fmt: skip


@pytest.mark.parametrize("file_format", FORMATS)
def test_attributes_are_read_from_every_format(tmp_path: Path, file_format: str) -> None:
    def found(*mapped: str) -> list[str | None]:
        columns = mapped[0] if len(mapped) == 1 else list(mapped)
        return list(attributes(tmp_path, file_format, PRODUCTS, columns).values())

    cafe, oils = 'Men\'s "Rose" Café', "Beauty, Oils & Creams, Face"
    assert found("brand") == [cafe, None, None, None, "[comfort] zone"]
    assert found("kinds") == [oils, "Beauty", None, None, None]
    assert found("tags") == ["Beauty, x", None, None, None, "a, b, b"]
    assert found("brand", "kinds") == [f"{cafe}, {oils}", "Beauty", None, None, "[comfort] zone"]
    assert found("tags", "brand", "kinds") == [
        f"Beauty, x, {cafe}, Oils & Creams, Face", "Beauty", None, None, "a, b, b, [comfort] zone",
    ]  # fmt: skip


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("mapped", ["maker", ["brand", "maker"]])
def test_missing_attribute_column_raises_with_the_key_to_set(
    tmp_path: Path, file_format: str, mapped: str | list[str]
) -> None:
    with pytest.raises(DatasetError) as error:
        attributes(tmp_path, file_format, PRODUCTS, mapped)
    message = str(error.value.__cause__)
    assert "has no column 'maker'" in message
    assert "Set products.catalogue.columns.attributes in globals.yml" in message
    assert "or remove the key if no column contains them" in message


words = st.text(
    alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=5
)
record_strategy = st.fixed_dictionaries(
    {
        "name": st.none(),
        "brand": st.none() | words,
        "kinds": st.none() | st.lists(st.lists(st.none() | words, max_size=3), max_size=3),
        "tags": st.none() | st.lists(words, max_size=3),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(record_strategy, min_size=1, max_size=6))
def test_all_formats_have_the_same_attributes(records: list[dict[str, Any]]) -> None:
    numbered = [{"item": f"i{number}"} | record for number, record in enumerate(records)]
    with tempfile.TemporaryDirectory() as folder:
        found = {
            file_format: attributes(Path(folder), file_format, numbered, ["tags", "brand", "kinds"])
            for file_format in FORMATS
        }
    expected = {
        record["item"]: join_attribute_texts(
            json.dumps([record[name] for name in ("tags", "brand", "kinds")])
        )
        for record in numbered
    }
    for file_format in FORMATS:
        assert found[file_format] == expected, file_format


def test_table_has_every_column_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user,asin,time,State,n,order\nu,a,1,paid,2,o1\n")
    rules = {
        "where": {"State": {"in": ["paid"]}, "n": {"min": 1}},
        "returns": {"where": {"State": {"in": ["refunded"]}, "user": {"missing": False}}},
    }
    row = rows(path, columns=COLUMNS | {"order_id": "order"}, file_format="auto", **rules)[0]
    assert row == {
        "source_file": "shop.csv", "row_number": 1, "raw": "u,a,1,paid,2,o1", "problem": None,
        "user_id": "u", "item_id": "a", "timestamp": "1", "position": None, "rating": None,
        "order_id": "o1", "quantity": None, "price": None, "currency": None, "event_type": None,
        "condition_0": "paid", "condition_1": "2", "condition_2": "u",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["where", "returns.where"])
def test_missing_column_of_a_condition_raises_with_its_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user,asin,time,State\nu,a,1,paid\n")
    conditions = {"where": {"state": {"in": ["paid"]}}}
    message = read_error(path, **(conditions if key == "where" else {"returns": conditions}))
    assert "has no column 'state'. Did you mean 'State'?" in message
    assert f"Correct the name in interactions.orders.{key} in globals.yml." in message


def test_files_outside_of_the_raw_folder_are_named_without_it(tmp_path: Path) -> None:
    for folder in ("raw [1]", "raw 1", "exports", "more"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text(f"user,asin,time\n{folder},a,1\n")
    outside = f"{tmp_path}/exports/a.csv"

    def read_users(files: list[str]) -> dict[str, str]:
        dataset = raw(tmp_path / "raw [1]" / "a.csv", file_format="auto", files=files)
        table = dataset.load()["orders"].to_pyarrow().to_pylist()
        return {row["source_file"]: row["user_id"] for row in table}

    assert read_users(["a.csv"]) == {"a.csv": "raw [1]"}
    assert read_users([outside]) == {"a.csv": "exports"}
    # Equal names would be one file in the counts.
    assert read_users(["*.csv", outside]) == {
        f"{tmp_path}/raw [1]/a.csv": "raw [1]", outside: "exports",
    }  # fmt: skip


def test_two_sources_read_one_file_with_different_columns(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user,asin,time,name\nu,a,1,é\n", encoding="utf-16")
    orders = raw(path, file_format="auto").load()["orders"]
    source = {"files": path.name, "columns": {"item_id": "asin", "title": "name"}}
    products = RawDataset(
        path=str(tmp_path),
        sources={"catalogue": source},
        kind="products",
        max_rows=10,
        max_bytes=1000,
        connection=CONNECTION,
    ).load()["catalogue"]
    assert orders.user_id.execute().tolist() == ["u"]
    assert products.title.execute().tolist() == ["é"]
