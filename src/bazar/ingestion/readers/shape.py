"""Inspect a file: its format, encoding, delimiter, sheets and columns."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bazar.config.sources import FileFormat
from bazar.errors import InputError
from bazar.ingestion.lines import (
    MAX_LINE_BYTES,
    FileVersion,
    find_version,
    is_gzip,
    read_head,
)
from bazar.ingestion.readers.csv_header import CsvHeader, read_header
from bazar.ingestion.readers.encodings import decode_head, detect_encoding, find_byte_order_mark
from bazar.ingestion.readers.formats import DESCRIPTIONS, DetectedFormat, detect_format
from bazar.ingestion.readers.parquet_columns import list_parquet_columns
from bazar.ingestion.readers.python_literals import list_literal_keys
from bazar.ingestion.readers.workbook import read_sheet

_HEAD_BYTES = 1 << 22
_OBJECTS_WITH_KEYS = 10_000
"""Number of first objects whose keys are the columns of a JSON file."""
_ELEMENTS_WITH_KEYS = 1000
"""Number of first elements of a list whose keys are columns."""
_MAX_DEPTH = 4
_MAX_KEYS = 2000
_WHITE = re.compile(r"[\s,]*")


class JsonPointer(NamedTuple):
    """Where the value of a column is in a JSON object.

    Attributes:
        path: JSON pointer (RFC 6901) within the object, or within an element of the last list.
        lists: JSON pointers of the lists that contain the value, the outermost first. Each one is
            within an element of the list before it.
    """

    path: str
    lists: tuple[str, ...] = ()


_OBJECT = JsonPointer("")


@dataclass(frozen=True)
class FileShape:
    """The format, encoding and columns of a file, found in its content.

    Attributes:
        file_format: ``csv``, ``jsonl``, ``json``, ``parquet``, ``excel`` or ``python``.
        columns: names in file order; names may repeat. In JSON, the keys of the first objects;
            ``customer.id`` is the key ``id`` of the object ``customer``, or of the objects in the
            list ``customer``. A column of a CSV file or a sheet that has no name is
            ``column <number>``.
        is_gzip: whether the file is gzipped.
        encoding: encoding of a text file; None for Parquet and Excel.
        delimiter: character between the cells of a CSV file; None for other formats.
        sheets: names of the sheets of a workbook.
        sheet: the sheet that is read.
        header: the header of a CSV file.
        pointers: where the columns of a JSON file are.
        version: the version of the file that was inspected.
    """

    file_format: FileFormat
    columns: list[str]
    is_gzip: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    sheets: list[str] = field(default_factory=list)
    sheet: str | None = None
    header: CsvHeader | None = None
    pointers: list[JsonPointer] = field(default_factory=list)
    version: FileVersion = (0, 0)

    def select_list(self, lists: tuple[str, ...]) -> "FileShape":
        """Return the shape without the columns of other lists, which cannot be read together.

        Args:
            lists: the pointers of a list, and of those that contain it.
        """
        kept = [
            (name, pointer)
            for name, pointer in zip(self.columns, self.pointers, strict=True)
            if pointer.lists == lists[: len(pointer.lists)]
        ]
        names, pointers = [name for name, _ in kept], [pointer for _, pointer in kept]
        return replace(self, columns=names, pointers=pointers)


def inspect_file(
    path: Path,
    encoding: str = "auto",
    sheet: str | None = None,
    file_format: FileFormat = "auto",
    mapped: Collection[str] = (),
    setting: str = "",
) -> FileShape:
    """Return the format, encoding and columns of a file, found in its content.

    Only the first megabytes are read. A workbook is read completely.

    Args:
        path: the file.
        encoding: encoding of a text file; ``auto`` if the content decides.
        sheet: sheet of a workbook; None for the first one.
        file_format: the configured format; ``auto`` to detect it.
        mapped: the names of columns that are read. They help to find the delimiter.
        setting: the key of the source in the configuration, for messages.

    Raises:
        InputError: if the file is missing or empty, has a format that cannot be read, has
            another format than the configured one, or has no column.
    """
    prefix = f"{setting}." if setting else ""
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name the files in it, for example {path}/*.csv.")
    if not path.is_file() or path.stat().st_size == 0:
        problem = (
            "is empty (0 bytes). Export or download it again."
            if path.is_file()
            else "does not exist."
        )
        raise InputError(f"{path} {problem}")
    version = find_version(path)
    head = _read_lines_of_head(path)
    if not head:
        raise InputError(f"{path} is empty: it has no record. Export or download it again.")
    known = detect_encoding(head) if encoding == "auto" else encoding
    _check_byte_order_mark(path, head, encoding, prefix)
    text = decode_head(head, known)
    found = detect_format(path, head, text, prefix)
    chosen = _choose_format(path, file_format, found, prefix)
    packed = is_gzip(path)
    if chosen in ("parquet", "excel") and packed:
        raise InputError(
            f"{path} is {DESCRIPTIONS[found]} within a gzip file. Extract it with gunzip."
        )
    shape = _inspect_content(path, chosen, text, sheet, mapped, prefix)
    if chosen not in ("parquet", "excel"):
        shape = replace(shape, is_gzip=packed, encoding=known)
    return replace(shape, version=version)


def _inspect_content(
    path: Path,
    file_format: FileFormat,
    text: str,
    sheet: str | None,
    mapped: Collection[str],
    prefix: str,
) -> FileShape:
    """Return what depends on the format of a file."""
    if file_format == "parquet":
        return FileShape(file_format, list_parquet_columns(path))
    if file_format == "excel":
        workbook = read_sheet(path, sheet, prefix)
        return FileShape(
            file_format, workbook.columns, sheets=workbook.sheets, sheet=workbook.sheet
        )
    if file_format == "csv":
        header = read_header(path, text, mapped)
        return FileShape(file_format, header.columns, delimiter=header.delimiter, header=header)
    if file_format == "python":
        return FileShape(file_format, list_literal_keys(path, text, prefix))
    keys = _list_keys(path, text, file_format, prefix)
    return FileShape(file_format, list(keys), pointers=list(keys.values()))


def _read_lines_of_head(path: Path) -> bytes:
    """Return the first bytes of a file, with at least one complete line."""
    head = read_head(path, _HEAD_BYTES)
    if len(head) >= _HEAD_BYTES and b"\n" not in head:
        return read_head(path, MAX_LINE_BYTES)
    return head


def _check_byte_order_mark(path: Path, head: bytes, encoding: str, prefix: str) -> None:
    mark = find_byte_order_mark(head)
    if encoding != "auto" and mark is not None and mark.split("-")[1] not in encoding:
        raise InputError(
            f"{path} begins with the byte order mark of {mark.upper()}, but {prefix}encoding is "
            f"{encoding}.\nSet {prefix}encoding to auto."
        )


def _choose_format(
    path: Path, configured: FileFormat, found: DetectedFormat, prefix: str
) -> FileFormat:
    """Return the format to read, or raise InputError if the content contradicts it."""
    if configured in ("auto", found):
        return found
    is_text = found not in ("parquet", "excel")
    if configured == "python" and is_text:
        return configured
    # An array within a file of JSON lines is read, and the reverse. Lines are read as JSON lines
    # if that is the configured format, so that a broken first line does not change it.
    if configured == "jsonl" and is_text:
        return "json" if found == "json" else configured
    if configured == "json" and found == "jsonl":
        return found
    raise InputError(
        f"{path} is {DESCRIPTIONS[found]}, but {prefix}format is {configured}.\n"
        f"Set {prefix}format in globals.yml to {found}, or to auto."
    )


def _list_keys(path: Path, text: str, file_format: str, prefix: str) -> dict[str, JsonPointer]:
    """Return where each key of the first objects is.

    Raises:
        InputError: if there is no object.
    """
    keys: dict[str, JsonPointer] = {}
    nested: dict[str, JsonPointer] = {}
    parse = _parse_lines if file_format == "jsonl" else _parse_values
    for _, value in zip(range(_OBJECTS_WITH_KEYS), parse(text), strict=False):
        if isinstance(value, dict):
            for key in value:
                keys.setdefault(key, JsonPointer(_make_pointer(key)))
            _add_nested_keys(nested, value)
    if not keys:
        _raise_no_object(path, text, file_format, prefix)
    found = {**nested, **keys}
    order = [*keys, *(name for name in nested if name not in keys)]
    return {name: found[name] for name in order[:_MAX_KEYS] if _is_text(name)}


def _raise_no_object(path: Path, text: str, file_format: str, prefix: str) -> None:
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None or (file_format == "json" and not text.strip("[] \t\r\n")):
        raise InputError(f"{path} is empty: it has no record. Export or download it again.")
    kind = "no line is a JSON object" if file_format == "jsonl" else "it has no JSON object"
    raise InputError(
        f"{path}: {kind}. The first line is\n  {first[:80]!r}\n"
        f"Write one JSON object per line, or set {prefix}format in globals.yml to the format of "
        "the file."
    )


def _parse_lines(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _parse_values(text: str) -> Iterator[Any]:
    """Yield the values of a JSON array, or one value after the other, as far as they are valid."""
    decoder, position = json.JSONDecoder(), 0
    text = text.lstrip().removeprefix("[")
    while True:
        if match := _WHITE.match(text, position):
            position = match.end()
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield value


def _add_nested_keys(
    nested: dict[str, JsonPointer],
    value: dict[str, Any],
    name: str = "",
    parent: JsonPointer = _OBJECT,
    depth: int = 1,
) -> None:
    for key, inner in value.items():
        inner_name = f"{name}{key}"
        inner_pointer = JsonPointer(parent.path + _make_pointer(key), parent.lists)
        if depth > 1:
            nested.setdefault(inner_name, inner_pointer)
        if depth == _MAX_DEPTH or len(nested) >= _MAX_KEYS:
            continue
        objects = [inner]
        if isinstance(inner, list):
            objects = inner[:_ELEMENTS_WITH_KEYS]
            inner_pointer = JsonPointer("", (*inner_pointer.lists, inner_pointer.path))
        for each in objects:
            if isinstance(each, dict):
                _add_nested_keys(nested, each, f"{inner_name}.", inner_pointer, depth + 1)


def _make_pointer(key: str) -> str:
    """Return the JSON pointer of a key (RFC 6901)."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _is_text(name: str) -> bool:
    """Return whether a key can be written in SQL: it has no lone surrogate and no zero."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False
