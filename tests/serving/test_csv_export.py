import csv
from pathlib import Path

import pyarrow as pa
import pytest

from bazar.serving.csv_export import write_csv


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    texts = [f"{start}cmd()", f"fine {start}", None, 'say "x", twice']
    table = pa.table({"title": texts, "score": [-1.5, 2.0, -3.0, 4.0]})
    path = tmp_path / "out.csv"
    assert write_csv(table.to_reader(max_chunksize=2), path) == 4
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["title", "score"]
    # Numbers stay numbers: a score below 0 is no formula.
    assert rows[0] == [f"'{start}cmd()", "-1.5"]
    assert [row[0] for row in rows[1:]] == [f"fine {start}", "", 'say "x", twice']


def test_an_earlier_file_survives_rows_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("earlier")

    def broken() -> pa.RecordBatchReader:
        def batches():  # type: ignore[no-untyped-def]
            yield pa.record_batch({"a": [1]})
            raise OSError("gone")

        return pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())

    with pytest.raises(OSError, match="gone"):
        write_csv(broken(), path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
