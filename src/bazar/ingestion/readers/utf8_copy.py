"""Copy text of any encoding to UTF-8, so that one parser reads all files."""

import codecs
import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bazar.errors import InputError
from bazar.ingestion.lines import MAX_LINE_BYTES, read_chunks
from bazar.ingestion.readers.raw_file import RawFile


@contextmanager
def copy_as_utf8(
    file: RawFile, encoding: str, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[Path]:
    """Yield the path of a copy in UTF-8, without compression and byte order mark.

    The copy is in a private temporary folder, which is removed at the end of the block.

    Raises:
        InputError: if the disk is full, or see :func:`bazar.ingestion.lines.read_chunks`.
    """
    with tempfile.TemporaryDirectory(prefix="bazar-") as folder:
        copy = Path(folder) / "utf-8"
        limits = file.max_rows, file.max_bytes, encoding, max_line_bytes
        try:
            with copy.open("wb") as written:
                for number, chunk in enumerate(read_chunks(file.path, file.name, *limits)):
                    written.write(chunk if number else chunk.removeprefix(codecs.BOM_UTF8))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(
                    f"No space is left in {tempfile.gettempdir()} for a copy of {file.path} in "
                    "UTF-8. Set the environment variable TMPDIR to a folder with more space."
                ) from error
            raise
        yield copy
