"""Text is read in any encoding."""

import codecs
import logging
import tempfile
from pathlib import Path

import pytest

from bazar.errors import InputError
from bazar.ingestion.readers.encodings import detect_encoding
from bazar.ingestion.readers.shape import inspect_file
from tests.ingestion.readers.reading import read_columns, read_rows

TITLES = {
    "cp1252": ["Größe 38", "Müller Öl für die Haut", "crème brûlée au café", "niño, año", "ação"],
    "cp1251": ["Чай зелёный", "Кофе молотый"],
    "koi8_r": ["Чай зелёный", "Кофе молотый"],
    "cp1250": ["příliš žluťoučký kůň", "káva a čaj"],
    "cp1253": ["Καφές ελληνικός", "Τσάι του βουνού"],
    "cp850": ["Größe 38", "Müller Öl für die Haut"],
}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("item", ["Café – 😀", "กาแฟ", "tea"])
def test_unicode_is_found_by_its_first_bytes(tmp_path: Path, encoding: str, item: str) -> None:
    path = tmp_path / "orders.csv"
    # Text without a byte order mark has zero bytes: delimiters, digits and line ends.
    path.write_bytes(f"user,item,time\r\n7,{item},5\r\n".encode(encoding))
    assert read_columns(path) == [("7", item, "5")]
    assert inspect_file(path).columns == ["user", "item", "time"]


@pytest.mark.parametrize("encoding", TITLES)
def test_likely_encoding_is_found_and_logged(
    tmp_path: Path, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "orders.csv"
    titles = TITLES[encoding]
    lines = [f"user {number},{title!r},5" for number, title in enumerate(titles * 30)]
    text = "\n".join(["user,item,time", *lines, 'u,"a, b",5']).replace("'", '"')
    path.write_bytes(text.encode(encoding))
    with caplog.at_level(logging.INFO):
        items = [item for _, item, _ in read_columns(path)]
    assert items == [*titles * 30, "a, b"]
    assert f"orders.csv is not UTF-8. It is read as {inspect_file(path).encoding}" in caplog.text
    assert "set interactions.orders.encoding" in caplog.text


def test_text_that_is_mostly_utf8_is_utf8(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes("user,item,time\nu,é,1\nv,è,2\nw,".encode() + b"\xe9,3\n")
    assert inspect_file(path).encoding == "utf-8"
    assert [row["problem"] for row in read_rows(path)] == [None, None, "not UTF-8"]


def test_first_bytes_may_end_within_a_character() -> None:
    assert detect_encoding("user,item\nu,é".encode()[:-1]) == "utf-8"
    assert detect_encoding(b"user,item\n") == "utf-8"


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_bytes_that_the_encoding_lacks_are_rows_with_a_problem(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    # Windows-1252 has no character 0x81.
    if name == "orders.csv":
        path.write_bytes(b"user,item,time\nu,\x81,1\nv,\xe9,2\n")
    else:
        path.write_bytes(
            b'{"user": "u", "item": "\x81", "time": 1}\n{"user": "v", "item": "\xe9", "time": 2}\n'
        )
    rows = read_rows(path, encoding="cp1252")
    assert {(row["item_id"], row["problem"]) for row in rows} == {
        (None, "not cp1252"),
        ("é", None),
    }


def test_utf16_that_is_cut_within_a_character_has_a_row_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    text = '{"user": "u", "item": "é", "time": 1}\n' * 2
    path.write_bytes((codecs.BOM_UTF16_LE + text.encode("utf-16-le"))[:-5])
    assert [row["problem"] for row in read_rows(path)] == [None, "not utf-16-le"]


def test_other_byte_order_mark_than_the_encoding_raises(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("user,item,time\nu,a,1\n", encoding="utf-16")
    with pytest.raises(
        InputError, match=r"byte order mark of UTF-16-LE, but interactions\.orders\."
    ):
        read_rows(path, encoding="cp1252")
    assert read_columns(path, encoding="utf-16") == [("u", "a", "1")]


def test_no_temporary_file_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    path = tmp_path / "orders.csv"
    path.write_text("user,item,time\nu,é,1\n", encoding="cp1252")
    assert read_columns(path) == [("u", "é", "1")]
    path.write_text('user,item,time\n"u,é,1\n', encoding="cp1252")
    with pytest.raises(InputError, match="never closed"):
        read_columns(path)
    assert not list((tmp_path / "temporary").iterdir())
