"""Stream the lines of a text file as Arrow batches.

The file is decompressed, and its size and encoding are checked. A thread reads ahead, so that one
core decompresses while another core parses the lines.
"""

import codecs
import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from isal import isal_zlib
from tqdm import tqdm

from bazar.errors import InputError

MAX_LINE_BYTES = 32 * 1024 * 1024
SCHEMA = pa.schema(
    [("row_number", pa.int64()), ("line", pa.string()), ("encoding_problem", pa.string())],
)
_PLAIN_CHUNK_BYTES = 1 << 22
_COMPRESSED_CHUNK_BYTES = 1 << 18
_MAX_DECOMPRESSED_BYTES = 1 << 24
_BATCHES_AHEAD = 4
_NEWLINE = ord("\n")
_MARK_UNDECODABLE = "bazar.mark_undecodable"

FileVersion = tuple[int, int]
"""Size in bytes and time of modification in nanoseconds. It changes when a file is written."""


class Lines:
    """The lines of a file as an Arrow stream, which can be read several times.

    The columns are ``row_number`` (int64, from 1), ``line`` (string, with its line end) and
    ``encoding_problem`` (string, such as ``not UTF-8`` if the line has bytes that the encoding
    does not have, otherwise null). Those bytes are replaced.
    """

    def __init__(
        self, path: Path, name: str, max_rows: int, max_bytes: int, encoding: str = "utf-8"
    ) -> None:
        """Store the path, the limits, and the version of the file. The file is not opened.

        Args:
            path: the file, gzipped or not.
            name: the name shown while it is read.
            max_rows: maximum number of lines.
            max_bytes: maximum size in bytes after decompression.
            encoding: encoding of the text.
        """
        self._path = path
        self._name = name
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._encoding = encoding
        self._version = find_version(path)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return a new Arrow stream (https://arrow.apache.org/docs/format/CDataInterface)."""
        reader = pa.RecordBatchReader.from_batches(SCHEMA, _read_ahead(self.batches()))
        return reader.__arrow_c_stream__(requested_schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the lines in batches.

        Raises:
            InputError: if the file is truncated, is not a valid gzip file or changes while it is
                read, or if the file or one of its lines is too large.
        """
        rest, number = b"", 1
        problem = describe_encoding_problem(self._encoding)
        for chunk in read_chunks(
            self._path, self._name, self._max_rows, self._max_bytes, self._encoding
        ):
            data = rest + chunk if rest else chunk
            if number == 1:
                data = data.removeprefix(codecs.BOM_UTF8)
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
            if not len(ends):
                rest = data
                continue
            offsets = np.concatenate([[0], ends + 1])
            rest = data[offsets[-1] :]
            yield _make_batch(data, offsets, number, problem)
            number += len(ends)
        if rest:
            yield _make_batch(rest, np.array([0, len(rest)]), number, problem)
        check_unchanged(self._path, self._version)


def read_chunks(
    path: Path,
    name: str,
    max_rows: int,
    max_bytes: int,
    encoding: str = "utf-8",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[bytes]:
    """Yield the decompressed content of a file as UTF-8 in chunks, with a progress bar.

    A character that cannot be decoded becomes bytes that are not UTF-8.

    Args:
        path: the file, gzipped or not.
        name: the name shown while it is read.
        max_rows: maximum number of lines.
        max_bytes: maximum size in bytes after decompression.
        encoding: encoding of the text.
        max_line_bytes: maximum size of a line in bytes.

    Raises:
        InputError: if the file is truncated or is not a valid gzip file, or if the file or one of
            its lines is too large.
    """
    rows = n_bytes = line_bytes = 0
    progress = tqdm(
        desc=f"reading {name}",
        total=path.stat().st_size,
        unit="B",
        unit_scale=True,
        delay=2,
        mininterval=1,
        disable=None,
    )
    with path.open("rb") as file, progress:
        for chunk in _convert_to_utf8(_decompress(path, file), encoding):
            progress.n = file.tell()
            progress.update(0)
            n_bytes += len(chunk)
            first_end = chunk.find(b"\n")
            if line_bytes + (len(chunk) if first_end < 0 else first_end) > max_line_bytes:
                raise InputError(
                    f"{path}, line {rows + 1}: the line is longer than "
                    f"{max_line_bytes // 2**20} MB. Check the format of the file in globals.yml."
                )
            if first_end < 0:
                line_bytes += len(chunk)
            else:
                line_bytes = len(chunk) - chunk.rfind(b"\n") - 1
            rows += chunk.count(b"\n")
            if rows > max_rows:
                raise make_size_error(path, f"{max_rows:,} rows")
            if n_bytes > max_bytes:
                raise make_size_error(path, f"{max_bytes:,} bytes after decompression")
            yield chunk


def read_head(path: Path, n_bytes: int) -> bytes:
    """Return at least the first bytes of a file after decompression, or all if it has fewer.

    Raises:
        InputError: if these bytes are not those of a valid gzip file.
    """
    head = b""
    with path.open("rb") as file:
        for chunk in _decompress(path, file):
            head += chunk
            if len(head) >= n_bytes:
                break
    return head


def find_version(path: Path) -> FileVersion:
    """Return the version of a file. It changes when the file is written."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_unchanged(path: Path, version: FileVersion) -> None:
    """Raise InputError if the file was changed or removed since it had the version."""
    with contextlib.suppress(FileNotFoundError):
        if find_version(path) == version:
            return
    raise InputError(f"{path} changed while it was read. Run again when the export has finished.")


def is_utf8(encoding: str) -> bool:
    """Return whether text of an encoding can be parsed without conversion."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def describe_encoding_problem(encoding: str) -> str:
    """Return the reject reason for a record that is not in the encoding of its file."""
    return f"not {'UTF-8' if is_utf8(encoding) else encoding}"


def make_size_error(path: Path, limit: str) -> InputError:
    """Return the error for a file that has more rows or bytes than the limit."""
    return InputError(
        f"{path} has more than {limit}. Check that it is the right file.\nIf it is, increase "
        "max_rows or max_bytes in conf/base/catalog_ingestion.yml, or split the file."
    )


def is_gzip(path: Path) -> bool:
    """Return whether a file begins with the signature of gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _decompress(path: Path, file: BinaryIO) -> Iterator[bytes]:
    if is_gzip(path):
        yield from _decompress_gzip(path, file)
    else:
        while chunk := file.read(_PLAIN_CHUNK_BYTES):
            yield chunk


def _decompress_gzip(path: Path, file: BinaryIO) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(wbits=31)
    try:
        while compressed := file.read(_COMPRESSED_CHUNK_BYTES):
            while compressed:
                # The size is limited, because a small file may decompress to a huge one.
                yield member.decompress(compressed, _MAX_DECOMPRESSED_BYTES)
                compressed = member.unconsumed_tail or member.unused_data
                if member.eof and compressed.strip(b"\0"):
                    member = isal_zlib.decompressobj(wbits=31)
                elif member.eof:
                    break
        while not member.eof and (rest := member.decompress(b"", _MAX_DECOMPRESSED_BYTES)):
            yield rest
    except isal_zlib.error as error:  # type: ignore[misc]
        raise InputError(f"{path} is not a valid gzip file: {error}. Download it again.") from error
    if not member.eof:
        raise InputError(f"{path} is truncated (incomplete gzip stream). Download it again.")


def _convert_to_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if is_utf8(encoding):
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(_MARK_UNDECODABLE)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """Return a lone surrogate, whose bytes are not UTF-8, so that the record is rejected."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_MARK_UNDECODABLE, _mark_undecodable)


def _make_batch(
    data: bytes, offsets: np.ndarray, first_number: int, problem: str
) -> pa.RecordBatch:
    """Return adjacent lines as a batch, without copying them if they are UTF-8."""
    count = len(offsets) - 1
    buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)
    lines = pa.StringArray.from_buffers(count, *buffers)
    problems = pa.nulls(count, pa.string())
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        raw = pa.BinaryArray.from_buffers(pa.binary(), count, [None, *buffers]).to_pylist()
        lines = pa.array([line.decode(errors="replace") for line in raw], pa.string())
        problems = pa.array([None if _is_valid(line) else problem for line in raw], pa.string())
    numbers = pa.array(np.arange(first_number, first_number + count))
    return pa.record_batch([numbers, lines, problems], schema=SCHEMA)


def _is_valid(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches. A thread reads the next batches while the current one is used."""
    ready: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
    is_stopped = threading.Event()

    def put(item: pa.RecordBatch | BaseException | None) -> None:
        while not is_stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for batch in batches:
                put(batch)
                if is_stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=read, daemon=True, name="read ahead").start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_stopped.set()
