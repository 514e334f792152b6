"""CSV headers of every shape."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.ingestion.readers.shape import inspect_file
from tests.ingestion.readers.reading import read_columns, read_rows

ROW = ("u", "a", "1")
HEADERS = {
    "sep": "sep=;\r\nuser;item;time\r\nu;a;1\r\n",
    "quoted sep": '"sep=;"\nuser;item;time\nu;a;1\n',
    "sep of an unusual delimiter": "sep=^\nuser^item^time\nu^a^1\n",
    "blank lines": "\n \r\n\t\nuser,item,time\nu,a,1\n".replace("\r\n", "\n"),
    "cells without text": ",,\nuser,item,time\nu,a,1\n",
    "blank lines between rows": "user,item,time\n\nu,a,1\n\n",
    "delimiter at the end": "user,item,time,\nu,a,1,\n",
    "delimiter at the end of the rows": "user,item,time\nu,a,1,\n",
    "old line ends": "user,item,time\ru,a,1\r",
    "no last line end": "user,item,time\r\nu,a,1",
    "quoted": '"user","item","time"\n"u","a","1"\n',
    "decimal commas": "price;user;item;time\n1,5;u;a;1\n",
    "names of other columns that are equal": "x,user,x,item,x,time\n,u,,a,,1\n",
    "names that differ by case": "User,user,ITEM,item,time,Time\nX,u,X,a,1,X\n",
    "byte order mark": "\ufeffuser,item,time\nu,a,1\n",
    "byte order mark and quotes": '\ufeff"user",item,time\nu,a,1\n',
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_is_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(HEADERS[name].encode())
    assert read_columns(path) == [ROW]
    assert {"user", "item", "time"} <= set(inspect_file(path).columns)


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_line_breaks_in_names_are_read(
    tmp_path: Path, start: str, line_end: str, line_break: str
) -> None:
    path = tmp_path / "orders.csv"
    name = f"time{line_break}(UTC)"
    lines = [f'{start}"us,er","{name}",item', f'u,1,"a{line_break}b"', "v,2,c", ""]
    path.write_bytes(line_end.join(lines).encode())
    columns = {"user_id": ["us,er"], "item_id": ["item"], "timestamp": [name]}
    assert read_columns(path, columns=columns) == [("u", f"a{line_break}b", "1"), ("v", "c", "2")]


def test_delimiter_of_a_file_without_mapping_is_found(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("Kunde;Preis, brutto;Artikel\n1;2,50;3\n4;5,50;6\n")
    shape = inspect_file(path)
    assert (shape.delimiter, shape.columns) == (";", ["Kunde", "Preis, brutto", "Artikel"])
    path.write_text("one\n1\n2\n")
    assert inspect_file(path).columns == ["one"]


def test_repeated_header_is_a_row_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    first = "\ufeffuser,item,time\nu,a,1\n"
    path.write_text(f"{first}{first}user,item,5\n", encoding="utf-8")
    rows = read_rows(path)
    assert [(row["user_id"], row["problem"]) for row in rows] == [
        ("u", None),
        (None, "repeated header"),
        ("u", None),
        ("user", None),
    ]


def test_missing_column_raises_with_quoted_names(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(" User,item\u200b,time\nu,a,1\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_rows(path)
    assert (
        "has no column 'user'. Did you mean ' User'? Available: ' User', 'item\\u200b', 'time'."
        in str(error.value)
    )


def test_conditions_name_their_key(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("user,item,time,Status\nu,a,1,ok\n")
    with pytest.raises(
        InputError, match=r"in interactions\.orders\.returns\.where in globals\.yml"
    ):
        read_rows(
            path,
            columns={"user_id": ["user"], "condition_0": ["status"]},
            keys={"condition_0": "returns.where"},
        )


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    header=st.lists(names.filter(str.strip), min_size=3, max_size=5, unique=True),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_names_of_any_characters_are_read(header: list[str], delimiter: str, line_end: str) -> None:
    if header[0].startswith("\ufeff") or header[0].casefold().startswith("sep="):
        return
    columns = dict(
        zip(("user_id", "item_id", "timestamp"), ([name] for name in header), strict=False)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(
                file, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL
            )
            writer.writerow(header)
            writer.writerow(["u", "a", "1", *"xy"][: len(header)])
        assert read_columns(path, columns=columns, file_format="csv") == [ROW]
