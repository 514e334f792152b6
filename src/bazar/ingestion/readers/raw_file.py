"""Raw files with their column mapping, and the schema that every reader returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bazar.errors import InputError, suggest_names

EXAMPLE_LENGTH = 200
"""Maximum number of characters of a record in the column ``raw``."""
_ADVICE_IF_MISSING = {"attributes": ", or remove the key if no column contains them"}


@dataclass(frozen=True)
class RawFile:
    """A raw file with its format and column mapping.

    Attributes:
        path: path of the file.
        name: path within the raw folder, used in tables and messages.
        file_format: ``csv`` (with a header), ``jsonl``, ``python`` (one Python literal per line)
            or ``parquet``.
        columns: for each column of the result, its source columns in the file. If there is none,
            the column is null. If there are several, their texts are combined into a JSON list.
        setting: the key of the source in the configuration, for messages.
        max_rows: maximum number of lines.
        max_bytes: maximum size in bytes after decompression.
    """

    path: Path
    name: str
    file_format: str
    columns: dict[str, list[str]]
    setting: str
    max_rows: int
    max_bytes: int

    @property
    def source_columns(self) -> list[str]:
        """Names of the columns that are read from the file."""
        return [name for names in self.columns.values() for name in names]


def build_records_schema(columns: Iterable[str]) -> pa.Schema:
    """Return the schema of the records of a file.

    Its columns are ``source_file`` (string), ``row_number`` (int64, from 1, in the order of the
    file), ``raw`` (string, the first 200 characters of the record), ``problem`` (string, the reason
    why the record could not be parsed, otherwise null), and a nullable string column for each
    mapped column.
    """
    texts = [(name, pa.string()) for name in ("raw", "problem", *columns)]
    return pa.schema([("source_file", pa.string()), ("row_number", pa.int64()), *texts])


def check_exists(file: RawFile) -> None:
    """Raise InputError if the file is missing, empty or a zip archive."""
    path = file.path
    if not path.is_file():
        names = sorted(entry.name for entry in path.parent.glob("*"))[:10]
        content = f"contains {', '.join(names)}" if names else "is empty or does not exist"
        raise InputError(
            f"no file {path}\n  {path.parent} {content}\n"
            f"Set the folder with --params raw_dir=PATH, or raw_dir and "
            f"{file.setting}.files in globals.yml."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    with path.open("rb") as opened:
        start = opened.read(4)
    if start.startswith(b"PK\x03\x04"):
        raise InputError(
            f"{path} is a zip archive. Extract it, and set {file.setting}.files to the "
            "extracted file."
        )


def check_columns(file: RawFile, available: list[str]) -> None:
    """Raise InputError if a mapped column is not among the columns of the file."""
    for column, names in file.columns.items():
        for name in names:
            if name not in available:
                raise InputError(
                    f"{file.path} has no column {name!r}.{suggest_names(name, available)}\n"
                    f"Set {file.setting}.columns.{column} in globals.yml to the column that "
                    f"contains the {column}{_ADVICE_IF_MISSING.get(column, '')}."
                )
