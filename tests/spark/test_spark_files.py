"""Spark workers read files, here with a reader of lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from bazar.datasets.table import TableDataset
from bazar.errors import InputError
from bazar.ingestion.readers.raw_file import build_records_schema
from bazar.ingestion.readers.records import check_file, read_batches
from bazar.ingestion.spark import read_on_workers
from bazar.settings import connection
from tests.ingestion.readers.reading import make_file
from tests.ingestion.readers.test_formats import EXPECTED, WRITERS

pytestmark = pytest.mark.spark
SCHEMA = pa.schema({"file": pa.string(), "number": pa.int64(), "line": pa.string()})


@dataclass(frozen=True)
class Lines:
    path: str


def check(file: Lines) -> None:
    if not Path(file.path).is_file():
        raise InputError(f"no file {file.path}\nSet the folder: “raw_dir”")


def read(file: Lines) -> Iterator[pa.RecordBatch]:
    # Small batches, whose columns have another order and other types than the schema.
    lines = Path(file.path).read_text(encoding="utf-8").splitlines()
    for start in range(0, len(lines), 2):
        part = lines[start : start + 2]
        yield pa.record_batch(
            {
                "line": pa.array(part, pa.large_string()),
                "number": pa.array(range(start, start + len(part)), pa.int32()),
                "file": [Path(file.path).name] * len(part),
            }
        )


def test_each_file_is_read_in_order_by_one_worker(session: Any, tmp_path: Path) -> None:
    contents = {"a.txt": ["één", "", "three"], "b.txt": [f"line {n}" for n in range(50)], "c": []}
    for name, lines in contents.items():
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    files = [Lines(str(tmp_path / name)) for name in contents]
    frame = read_on_workers(session, files, check, read, SCHEMA)
    assert frame.rdd.getNumPartitions() == 3
    assert frame.dtypes == [("file", "string"), ("number", "bigint"), ("line", "string")]
    assert [tuple(row) for row in frame.collect()] == [
        (name, number, line)
        for name, lines in contents.items()
        for number, line in enumerate(lines)
    ]


def test_error_of_a_worker_is_raised_unchanged(session: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("line")
    files = [Lines(str(tmp_path / name)) for name in ("a.txt", "b.txt", "c.txt")]
    with pytest.raises(InputError) as error:
        read_on_workers(session, files, check, read, SCHEMA)
    assert str(error.value) == f"no file {tmp_path}/b.txt\nSet the folder: “raw_dir”"


def test_formats_are_read_by_workers(session: Any, tmp_path: Path) -> None:
    folder = tmp_path / "shop [1]"
    folder.mkdir()
    paths = [folder / f"orders [{name}]" for name in WRITERS]
    for (_, write), path in zip(WRITERS.values(), paths, strict=True):
        write(path)
    (folder / "latin1.csv").write_text("user,item,time\nu,Größe,1\n", encoding="cp1252")
    files = [make_file(path) for path in [*paths, folder / "latin1.csv"]]
    schema = build_records_schema(files[0].columns)
    frame = read_on_workers(session, files, check_file, read_batches, schema)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in frame.collect():
        found.setdefault(row.source_file, []).append((row.user_id, row.item_id, row.timestamp))
    expected = {path.name: EXPECTED for path in paths}
    assert found == expected | {"latin1.csv": [("u", "Größe", "1")]}


def test_tables_in_folders_of_any_name_are_read_by_both_engines(
    session: Any, tmp_path: Path
) -> None:
    names = ("shop 1", "shop [1]", "shop {1}*?")
    engines = ("spark", "duckdb")
    paths = {name: tmp_path / name / "table.parquet" for name in names}
    for name, path in paths.items():
        on_spark = TableDataset(filepath=str(path), connection=connection("spark", "1GB"))
        on_spark.save(ibis.memtable([{"name": name}]))
    for name, path in paths.items():
        for engine in engines:
            table = TableDataset(filepath=str(path), connection=connection(engine, "1GB")).load()
            assert table.to_pyarrow().to_pylist() == [{"name": name}], (name, engine)
