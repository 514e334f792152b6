import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
    assert write_csv(table.to_reader(max_chunksize=2), path, ["title"]) == 4
    header, *rows = read_rows(path)
    assert header == ["title", "score"]
    # Numbers stay numbers: a score below 0 is no formula.
    assert rows[0] == [f"'{start}cmd()", "-1.5"]
    assert [row[0] for row in rows[1:]] == [f"fine {start}", "", 'say "x", twice']


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.text(min_size=1), min_size=1))
@example(ids=["+8801700000000", "-5", "=1+1", "a,b", 'quote"', "0035786242", "\n", "a\rb", " x "])
def test_ids_are_equal_after_a_round_trip(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "out.csv"
    table = pa.table({"user_id": pa.array(ids, pa.large_string()), "title": ids})
    write_csv(table.to_reader(), path, ["title"])
    assert [row[0] for row in read_rows(path)[1:]] == ids
    write_csv(table.to_reader(), path, [])
    assert read_rows(path)[1:] == [[item_id, item_id] for item_id in ids]


def test_scores_have_the_digits_of_their_column(tmp_path: Path) -> None:
    scores = np.array([0.1, 1 / 3, 1e-7, -2.5], np.float32)
    path = tmp_path / "out.csv"
    write_csv(pa.table({"score": scores}).to_reader(), path, ["score"])
    written = [row[0] for row in read_rows(path)[1:]]
    assert written == ["0.1", "0.33333334", "1e-7", "-2.5"]
    np.testing.assert_array_equal(np.array(written, np.float32), scores)


def test_missing_folder_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    with pytest.raises(InputError, match=f"There is no folder {folder}"):
        write_csv(pa.table({"a": [1]}).to_reader(), folder / "out.csv", [])
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
        write_csv(broken(), path, [])
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
