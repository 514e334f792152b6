"""Raw files with their column mapping, and the schema that every reader returns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from bazar.config.sources import FileFormat
from bazar.errors import InputError

EXAMPLE_LENGTH = 200
"""Maximum number of characters of a record in the column ``raw``."""
_SHOWN_NAMES = 40
_ADVICE_IF_MISSING = {"attributes": ", or remove the key if no column contains them"}


@dataclass(frozen=True)
class RawFile:
    """A raw file with its format and column mapping.

    Attributes:
        path: path of the file.
        name: path within the raw folder, used in tables and messages.
        file_format: the configured format; ``auto`` if the content decides.
        columns: for each column of the result, its source columns in the file. If there is none,
            the column is null. If there are several, their texts are combined into a JSON list.
        setting: the key of the source in the configuration, for messages.
        max_rows: maximum number of lines or records.
        max_bytes: maximum size in bytes after decompression.
        encoding: the configured encoding; ``auto`` if the content decides.
        sheet: sheet of a workbook; None for the first one.
        keys: key of the source that names the source column, by column of the result; only those
            that are not ``columns.<column>``.
    """

    path: Path
    name: str
    file_format: FileFormat
    columns: dict[str, list[str]]
    setting: str
    max_rows: int
    max_bytes: int
    encoding: str = "auto"
    sheet: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)

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
    """Raise InputError if the file is missing or empty."""
    path = file.path
    if not path.is_file():
        names = sorted(entry.name for entry in path.parent.glob("*"))[:10]
        content = f"contains {', '.join(names)}" if names else "is empty or does not exist"
        raise InputError(
            f"{path} does not exist.\n  {path.parent} {content}\n"
            f"Set the folder with --params raw_dir=PATH, or raw_dir and "
            f"{file.setting}.files in globals.yml."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Export or download it again.")


def find_positions(file: RawFile, available: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the source columns among the columns of the file.

    Args:
        file: the file with its column mapping.
        available: the names of the columns in the file, in order. Names may repeat.

    Returns:
        For each column of the result, the positions (from 0) of its source columns.

    Raises:
        InputError: if a mapped column is missing, or several columns have its name.
    """
    return {
        column: [_find_position(file, column, name, available) for name in names]
        for column, names in file.columns.items()
    }


def suggest_columns(name: str, available: Sequence[str]) -> str:
    """Return a hint for a name that is not among the columns of a file.

    Names are quoted, so that spaces and control characters are visible.
    """
    unique = list(dict.fromkeys(available))
    by_key = {_simplify(known): known for known in reversed(unique)}
    close = get_close_matches(_simplify(name), by_key, n=1)
    question = f" Did you mean {by_key[close[0]]!r}?" if close else ""
    shown = ", ".join(repr(known) for known in unique[:_SHOWN_NAMES]) or "none"
    rest = f" and {len(unique) - _SHOWN_NAMES} more" if len(unique) > _SHOWN_NAMES else ""
    return f"{question} Available: {shown}{rest}."


def _find_position(file: RawFile, column: str, name: str, available: Sequence[str]) -> int:
    count = available.count(name)
    if count == 1:
        return available.index(name)
    key = file.keys.get(column, f"columns.{column}")
    if count > 1:
        raise InputError(
            f"{file.path}: {count} columns are named {name!r}, which {file.setting}.{key} reads. "
            "Rename them in the header."
        )
    problem = f"{file.path} has no column {name!r}.{suggest_columns(name, available)}"
    if column in file.keys:
        raise InputError(f"{problem}\nCorrect the name in {file.setting}.{key} in globals.yml.")
    raise InputError(
        f"{problem}\nSet {file.setting}.{key} in globals.yml to the column that "
        f"contains the {column}{_ADVICE_IF_MISSING.get(column, '')}."
    )


def _simplify(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
