import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bazar.errors import InputError
from bazar.serving.csv_export import write_csv


def read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_formulas_get_an_apostrophe(tmp_path: Path, start: str) -> None:
    texts = [f"{start}cmd()", f"fine {start}", None, 'say "x", twice']
    table = pa.table({"title": texts, "score": [-1.5, 2.5, -3.5, 4.5]})
    path = tmp_path / "out.csv"
    assert write_csv(table.to_reader(max_chunksize=2), path) == 4
    header, *rows = read_rows(path)
    assert header == ["title", "score"]
    # Numbers stay numbers: a score below 0 is no formula.
    assert rows[0] == [f"'{start}cmd()", "-1.5"]
    assert [row[0] for row in rows[1:]] == [f"fine {start}", "", 'say "x", twice']


def test_ids_that_are_signed_numbers_are_not_changed(tmp_path: Path) -> None:
    ids = ["+8801700000000", "-5", "+880 1700-000000", "+1 (555) 010.20", "0035786242"]
    formulas = ["+1+cmd()", "-2*3", "@SUM(A1)", "=5", "+", "-A1", "+1\n"]
    table = pa.table({"user_id": pa.array([*ids, *formulas], pa.large_string())})
    path = tmp_path / "out.csv"
    write_csv(table.to_reader(), path)
    written = [row[0] for row in read_rows(path)[1:]]
    assert written == [*ids, *(f"'{text}" for text in formulas)]


def test_raw_export_changes_no_text(tmp_path: Path) -> None:
    texts = ["=cmd()", "+880", "@home", "plain"]
    path = tmp_path / "out.csv"
    write_csv(pa.table({"item_id": texts}).to_reader(), path, escape_formulas=False)
    assert [row[0] for row in read_rows(path)[1:]] == texts


def test_scores_have_the_digits_of_their_column(tmp_path: Path) -> None:
    scores = np.array([0.1, 1 / 3, 1e-7, -2.5], np.float32)
    path = tmp_path / "out.csv"
    write_csv(pa.table({"score": scores}).to_reader(), path)
    written = [row[0] for row in read_rows(path)[1:]]
    assert written == ["0.1", "0.33333334", "1e-7", "-2.5"]
    np.testing.assert_array_equal(np.array(written, np.float32), scores)


def test_missing_folder_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    with pytest.raises(InputError, match=f"There is no folder {folder}"):
        write_csv(pa.table({"a": [1]}).to_reader(), folder / "out.csv")
    assert not folder.exists()


def test_earlier_file_survives_rows_that_cannot_be_read(tmp_path: Path) -> None:
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
