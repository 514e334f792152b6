"""The content of a file decides how it is read, and not its name."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from bazar.errors import InputError
from bazar.ingestion.readers.sample import open_records, read_sample
from bazar.ingestion.readers.shape import inspect_file
from tests.ingestion.readers.old_workbooks import CELLS, write_ods, write_xls
from tests.ingestion.readers.reading import read_columns, read_rows

RECORDS = [
    {"user": "007", "item": "tea, “green”", "time": "2024-01-05"},
    {"user": "8", "item": "café", "time": "2024-01-06"},
]
EXPECTED = [tuple(record.values()) for record in RECORDS]
NAMES = list(RECORDS[0])


def write_delimited(delimiter: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        lines = [NAMES, *([f'"{cell}"' for cell in row] for row in EXPECTED)]
        path.write_text("\n".join(map(delimiter.join, lines)), encoding="utf-8")

    return write


def write_json_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in RECORDS))


def write_json_array(path: Path) -> None:
    path.write_text(json.dumps(RECORDS, ensure_ascii=False))


def write_json_array_of_lines(path: Path) -> None:
    lines = ",\n".join(json.dumps(record) for record in RECORDS)
    path.write_text(f"\n[\n{lines}\n]\n")


def write_pretty_json(path: Path) -> None:
    path.write_text(json.dumps(RECORDS, indent=2))


def write_pretty_objects(path: Path) -> None:
    path.write_text("\n".join(json.dumps(record, indent=2) for record in RECORDS))


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(RECORDS), path)


def write_workbook(path: Path, sheets: tuple[str, ...] = ("Orders",)) -> None:
    with xlsxwriter.Workbook(path) as workbook:
        for name in sheets:
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate([NAMES, *EXPECTED]):
                sheet.write_row(number, 0, row)


TEXT_WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "commas": ("csv", write_delimited(",")),
    "semicolons": ("csv", write_delimited(";")),
    "tabs": ("csv", write_delimited("\t")),
    "bars": ("csv", write_delimited("|")),
    "lines": ("jsonl", write_json_lines),
    "array": ("json", write_json_array),
    "array of lines": ("json", write_json_array_of_lines),
    "pretty array": ("json", write_pretty_json),
    "pretty objects": ("json", write_pretty_objects),
}
WRITERS = TEXT_WRITERS | {
    "parquet": ("parquet", write_parquet),
    "workbook": ("excel", write_workbook),
}


@pytest.mark.parametrize("name", WRITERS)
def test_content_decides_the_format(tmp_path: Path, name: str) -> None:
    file_format, write = WRITERS[name]
    path = tmp_path / "orders.export"
    write(path)
    shape = inspect_file(path)
    assert (shape.file_format, shape.columns, shape.is_gzip) == (file_format, NAMES, False)
    assert read_columns(path) == EXPECTED
    assert read_columns(path, file_format=file_format) == EXPECTED
    assert read_sample(path, shape, 1) == RECORDS[:1]
    table = open_records(path, shape).order_by("row_number")
    assert table.select("column_0", "column_1", "column_2").to_pyarrow().to_pylist() == [
        dict(zip(("column_0", "column_1", "column_2"), row, strict=True)) for row in EXPECTED
    ]


@pytest.mark.parametrize("name", TEXT_WRITERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_text_formats_are_read_gzipped_and_in_other_encodings(
    tmp_path: Path, name: str, encoding: str
) -> None:
    path = tmp_path / "orders"
    TEXT_WRITERS[name][1](path)
    content = path.read_text(encoding="utf-8").encode(encoding)
    path.write_bytes(gzip.compress(content))
    assert inspect_file(path, encoding=encoding).is_gzip
    assert read_columns(path, encoding=encoding) == EXPECTED


def test_json_array_is_read_although_the_format_is_jsonl(tmp_path: Path) -> None:
    write_json_array(tmp_path / "orders.jsonl")
    assert read_columns(tmp_path / "orders.jsonl", file_format="jsonl") == EXPECTED


@pytest.mark.parametrize(
    ("name", "configured", "description"),
    [
        ("workbook", "csv", "an Excel workbook"),
        ("parquet", "csv", "a Parquet file"),
        ("array", "csv", "a JSON array"),
        ("lines", "csv", "a file of JSON lines"),
        ("commas", "parquet", "a CSV file"),
        ("commas", "excel", "a CSV file"),
        ("parquet", "jsonl", "a Parquet file"),
        ("workbook", "python", "an Excel workbook"),
    ],
)
def test_other_format_than_the_configured_one_raises(
    tmp_path: Path, name: str, configured: str, description: str
) -> None:
    file_format, write = WRITERS[name]
    write(tmp_path / "orders.csv")
    with pytest.raises(InputError) as error:
        read_rows(tmp_path / "orders.csv", file_format=configured)
    assert f"orders.csv is {description}, but interactions.orders.format is {configured}" in str(
        error.value
    )
    assert f"Set interactions.orders.format in globals.yml to {file_format}, or to auto." in str(
        error.value
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n...", "is a PDF document. Export the data as CSV"),
        (b"SQLite format 3\0...", "is an SQLite database"),
        (b"\xfd7zXZ\0...", "is compressed with xz. Decompress it with xz -d"),
        (b"\x28\xb5\x2f\xfd...", "is compressed with zstd. Decompress it with zstd -d"),
        (b"BZh9...", "is compressed with bzip2. Decompress it with bunzip2"),
        (b"7z\xbc\xaf\x27\x1c...", "is a 7-Zip archive"),
        (b"Rar!\x1a...", "is a RAR archive"),
        (b"ARROW1\0\0...", "is an Arrow file. Save it as Parquet"),
        (b"ORC...", "is an ORC file. Save it as Parquet"),
        (b"Obj\x01...", "is an Avro file. Save it as Parquet"),
        (b"\n<!DOCTYPE html><html>", "is an HTML page"),
        (b"<?xml version='1.0'?><a/>", "is an XML file"),
        (b"x" * 257 + b"ustar\x0000", "is a tar archive"),
        (
            b"PK\x03\x04 and so on",
            "is a zip archive. Extract it, and set interactions.orders.files",
        ),
        (b'[[{"user": 1}]]', "has JSON arrays of values, which have no column names. Write each"),
        (b'{"user": 1', "it has no JSON object. The first line is"),
        (b"[1, 2]", "has no column 'user'. Available: '[1', ' 2]'."),
        (b"[]", "is empty"),
        (b"[7, 8]\n{\n", "has no column 'user'"),
        (b'[{"user": 1}, {"item" 2}]', "is not valid JSON"),
    ],
)
def test_other_content_raises_with_the_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "orders.csv").write_bytes(content)
    columns = {"user_id": ["user"]}
    with pytest.raises(InputError) as error:
        read_rows(tmp_path / "orders.csv", columns=columns)
    assert message in str(error.value)


def test_archive_that_is_no_workbook_raises(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "orders.xlsx", "w") as archive:
        archive.writestr("orders.csv", "user,item,time\n")
    with pytest.raises(InputError, match="is a zip archive"):
        inspect_file(tmp_path / "orders.xlsx")


def test_gzipped_parquet_raises(tmp_path: Path) -> None:
    write_parquet(tmp_path / "orders")
    (tmp_path / "orders.gz").write_bytes(gzip.compress((tmp_path / "orders").read_bytes()))
    with pytest.raises(InputError, match="is a Parquet file within a gzip file"):
        inspect_file(tmp_path / "orders.gz")


def test_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Notes").write(0, 0, "made by hand")
        workbook.add_worksheet("Empty")
        sheet = workbook.add_worksheet("Orders 2024")
        for number, row in enumerate([NAMES, *EXPECTED]):
            sheet.write_row(number, 0, row)
    assert read_columns(path, sheet="Orders 2024") == EXPECTED
    shape = inspect_file(path)
    assert (shape.sheets, shape.sheet) == (["Notes", "Empty", "Orders 2024"], "Notes")
    with pytest.raises(
        InputError, match=r"no sheet 'Orders'. Available: 'Notes', 'Empty', 'Orders"
    ):
        inspect_file(path, sheet="Orders")
    with pytest.raises(InputError, match="the sheet 'Empty' has no cell"):
        inspect_file(path, sheet="Empty")


def test_cells_of_a_workbook_are_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        time, day = (
            workbook.add_format({"num_format": form}) for form in ("d/m/yy hh:mm", "d.m.yy")
        )
        cells: list[list[Any]] = [["user", "item", "time"], [17850, "007", None], [1.5, True, None]]
        # The table does not begin in the first cell.
        for number, row in enumerate(cells, start=2):
            sheet.write_row(number, 1, row)
        sheet.write_datetime(3, 3, datetime(2024, 1, 5, 10, 30), time)
        sheet.write_datetime(4, 3, date(2024, 1, 6), day)  # type: ignore[arg-type]
        sheet.write_row(6, 1, ["user", "item", "time"])
    rows = read_rows(path)
    assert [(row["user_id"], row["item_id"], row["timestamp"]) for row in rows] == [
        ("17850", "007", "2024-01-05 10:30:00"),
        ("1.5", "true", "2024-01-06"),
        (None, None, None),
    ]
    assert [row["row_number"] for row in rows] == [4, 5, 7]
    assert [row["problem"] for row in rows] == [None, None, "repeated header"]


@pytest.mark.parametrize("write", [write_xls, write_ods])
def test_other_workbooks_are_read(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "orders"
    write(path)
    shape = inspect_file(path)
    assert (shape.file_format, shape.sheets) == ("excel", ["Orders"])
    assert read_columns(path) == CELLS[1:]


@pytest.mark.parametrize("write", [write_xls, write_ods])
def test_damaged_workbook_raises_with_the_remedy(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "orders")
    content = (tmp_path / "orders").read_bytes()
    (tmp_path / "orders").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"Save it as .xlsx or as CSV|Extract it"):
        inspect_file(tmp_path / "orders")


@pytest.mark.parametrize("name", ["commas", "lines", "array", "parquet", "workbook"])
def test_limit_of_rows_holds_for_every_format(tmp_path: Path, name: str) -> None:
    WRITERS[name][1](tmp_path / "orders")
    with pytest.raises(Exception, match="has more than 0 rows"):
        read_rows(tmp_path / "orders", max_rows=0)
