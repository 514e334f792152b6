"""Find the format of a file from its first bytes, whatever its name is."""

import json
import re
import zipfile
from pathlib import Path
from typing import Literal

from bazar.errors import InputError

DetectedFormat = Literal["csv", "jsonl", "json", "parquet", "excel"]

DESCRIPTIONS: dict[DetectedFormat, str] = {
    "csv": "a CSV file",
    "jsonl": "a file of JSON lines",
    "json": "a JSON array",
    "parquet": "a Parquet file",
    "excel": "an Excel workbook",
}
"""Formats in the words of error messages."""
_WORKBOOK_PARTS = {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}
_UNREADABLE = {
    b"\xfd7zXZ\0": "compressed with xz. Decompress it with xz -d",
    b"\x28\xb5\x2f\xfd": "compressed with zstd. Decompress it with zstd -d",
    b"BZh": "compressed with bzip2. Decompress it with bunzip2",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive. Extract it",
    b"Rar!": "a RAR archive. Extract it",
    b"%PDF": "a PDF document. Export the data as CSV",
    b"SQLite format 3\0": "an SQLite database. Export the table as CSV",
    b"ARROW1": "an Arrow file. Save it as Parquet",
    b"ORC": "an ORC file. Save it as Parquet",
    b"Obj\x01": "an Avro file. Save it as Parquet",
}
_JSON_ARRAY = re.compile(r"\[\s*(?:\{|\]|$)")
_ARRAY_OF_VALUES = re.compile(r'\[\s*[\["]')
_MARKUP = re.compile(r"<(?:!doctype|html|table|meta|head)\b", re.IGNORECASE)
_DETECTED_LINES = 20


def detect_format(path: Path, head: bytes, text: str, prefix: str = "") -> DetectedFormat:
    """Return the format of a file.

    Args:
        path: the file.
        head: its first bytes after decompression.
        text: the same as text.
        prefix: prefix of the source's keys in messages, such as ``products.shop.``.

    Raises:
        InputError: if the file has a format that cannot be read. The message names the format and
            the remedy.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        if _is_workbook(path):
            return "excel"
        raise InputError(
            f"{path} is a zip archive. Extract it, and set {prefix}files to the extracted file."
        )
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "excel"
    for start, description in _UNREADABLE.items():
        if head.startswith(start):
            raise InputError(f"{path} is {description}.")
    if head[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive. Extract it with tar -xf.")
    return _detect_text_format(path, text.lstrip())


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(_WORKBOOK_PARTS & set(archive.namelist()))
    except (zipfile.BadZipFile, OSError):
        return False


def _detect_text_format(path: Path, text: str) -> DetectedFormat:
    if _MARKUP.match(text):
        raise InputError(f"{path} is an HTML page. Open it in a spreadsheet and save it as CSV.")
    if text.startswith("<?xml"):
        raise InputError(f"{path} is an XML file. Convert it to CSV or JSON lines.")
    if _JSON_ARRAY.match(text):
        return "json"
    if _ARRAY_OF_VALUES.match(text):
        raise InputError(
            f"{path} has JSON arrays of values, which have no column names. Write each record as "
            'an object, such as {"customer": "c1", "product": "p1"}, or save the file as CSV.'
        )
    lines = [line.strip() for line in text[: 1 << 20].splitlines()]
    lines = [line for line in lines if line][:_DETECTED_LINES]
    objects = sum(_is_object(line) for line in lines)
    if objects and 2 * objects >= len(lines):
        return "jsonl"
    if _is_object_of_several_lines(text):
        return "json"
    return "jsonl" if text.startswith('{"') and len(lines) == 1 else "csv"


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except RecursionError:
        return True
    except ValueError:
        return False


def _is_object_of_several_lines(text: str) -> bool:
    """Return whether a text begins with an object that has line breaks."""
    if not re.match(r'\{\s*"', text):
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except RecursionError:
        return True
    except ValueError as error:
        # The first bytes may end within the object.
        return isinstance(error, json.JSONDecodeError) and error.pos >= len(text) - 8
    return "\n" in text[:end]
