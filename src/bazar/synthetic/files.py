"""Functions that format synthetic purchases as lines, and write them to one or more files."""

import argparse
import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal, cast, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

TEXT = pa.large_string()
ORACLE_SCHEMA = pa.schema({"user_id": pa.string(), "item_id": pa.string(), "score": pa.float32()})
"""The probability of products in the last order of a customer. Other products are less probable."""


def join_text(*parts: pa.Array | str) -> pa.Array:
    """Return texts that are concatenated row by row.

    Args:
        parts: arrays of equal length, and texts that are repeated in each row.

    Returns:
        Large strings, one per row.
    """
    columns = [
        pa.scalar(part, TEXT) if isinstance(part, str) else pc.cast(part, TEXT) for part in parts
    ]
    return pc.binary_join_element_wise(*columns, pa.scalar("", TEXT))


def write_lines(files: Sequence[IO[bytes]], lines: pa.Array, customers: np.ndarray) -> None:
    """Write lines in order. All lines of a customer are written to the same file.

    Args:
        files: open files.
        lines: large strings that include their line breaks, without nulls.
        customers: number of the customer of each line.
    """
    for number, file in enumerate(files):
        selected = lines.filter(pa.array(customers % len(files) == number)) if files[1:] else lines
        # The last buffer of a string array holds its texts without gaps.
        selected = pa.concat_arrays([selected])
        offsets = np.frombuffer(selected.buffers()[1], np.int64)[selected.offset :]
        file.write(memoryview(selected.buffers()[2] or b"")[offsets[0] : offsets[len(selected)]])


def name_parts(name: str, parts: int) -> list[str]:
    """Return the names of the parts of a file. A single part has the name of the file.

    Args:
        name: name of the file, such as ``purchases.csv.gz``.
        parts: number of parts. With 2, the names are ``purchases-1.csv.gz`` and
            ``purchases-2.csv.gz``.
    """
    stem, dot, suffix = name.partition(".")
    return [name] if parts == 1 else [f"{stem}-{part + 1}{dot}{suffix}" for part in range(parts)]


@contextmanager
def open_atomically(paths: Sequence[Path], level: int) -> Iterator[list[IO[bytes]]]:
    """Open temporary files that are renamed when all of them are complete.

    Args:
        paths: final paths. Files with the suffix ``.gz`` are compressed with gzip. The gzip header
            contains no name and no time.
        level: compression level, 1 to 9.

    Yields:
        The files, open for writing bytes.
    """
    temporary = [path.with_name(f".{path.name}") for path in paths]
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("wb")) for path in temporary]
            yield [
                _compress(path, file, level, opened)
                for path, file in zip(paths, files, strict=True)
            ]
        for path, complete in zip(paths, temporary, strict=True):
            complete.replace(path)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)


def _compress(path: Path, file: IO[bytes], level: int, opened: ExitStack) -> IO[bytes]:
    if path.suffix != ".gz":
        return file
    return cast(IO[bytes], opened.enter_context(gzip.GzipFile("", "wb", level, file, mtime=0)))


def add_arguments(parser: argparse.ArgumentParser, defaults: BaseModel) -> None:
    """Add an argument for each field of the options. A field ``name: bool`` adds ``--no-name`` too.

    A field of the type ``Literal`` accepts only its values.

    Args:
        parser: the parser of the command.
        defaults: options with the default values.
    """
    for name, value in defaults:
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=value)
        else:
            annotation = type(defaults).model_fields[name].annotation
            choices = get_args(annotation) if get_origin(annotation) is Literal else None
            parser.add_argument(flag, type=type(value), default=value, choices=choices)
