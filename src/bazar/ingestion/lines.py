"""The lines of a file as a stream of Arrow batches: read, unpacked and checked once.

A thread reads ahead, so that one core unpacks while the other takes the lines apart.
"""

import codecs
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

LONGEST_LINE = 32 * 1024 * 1024
"""In bytes."""
SCHEMA = pa.schema(
    [("row_number", pa.int64()), ("line", pa.string()), ("unread", pa.string())],
)
_PLAIN_CHUNK = 1 << 22
_PACKED_CHUNK = 1 << 18
_UNPACKED_AT_MOST = 1 << 24
_BATCHES_AHEAD = 4
_NEWLINE = ord("\n")


class Lines:
    """The lines of a file, for any number of readings by whatever reads Arrow streams.

    Each reading gives the columns ``row_number`` (int64, from 1), ``line`` (string, with its line
    end) and ``unread`` (string, ``not UTF-8`` where the line is not: its bytes are then put as
    they can be; null elsewhere).
    """

    def __init__(self, path: Path, name: str, max_rows: int, max_bytes: int) -> None:
        """Point to a file.

        Args:
            path: the file, gzip or not.
            name: what it is called while it is read.
            max_rows: lines that it may have.
            max_bytes: bytes that it may have when it is unpacked.
        """
        self._path = path
        self._name = name
        self._max_rows = max_rows
        self._max_bytes = max_bytes

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Begin a reading (https://arrow.apache.org/docs/format/CDataInterface)."""
        reader = pa.RecordBatchReader.from_batches(SCHEMA, _read_ahead(self.batches()))
        return reader.__arrow_c_stream__(requested_schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the lines.

        Raises:
            InputError: if the file is cut, is no whole gzip file, or is too large, or one of its
                lines is.
        """
        rest, number = b"", 1
        for chunk in checked_chunks(self._path, self._name, self._max_rows, self._max_bytes):
            data = rest + chunk if rest else chunk
            if number == 1:
                data = data.removeprefix(codecs.BOM_UTF8)
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
            if not len(ends):
                rest = data
                continue
            offsets = np.concatenate([[0], ends + 1])
            rest = data[offsets[-1] :]
            yield _batch(data, offsets, number)
            number += len(ends)
        if rest:
            yield _batch(rest, np.array([0, len(rest)]), number)


def checked_chunks(path: Path, name: str, max_rows: int, max_bytes: int) -> Iterator[bytes]:
    """Read a file to its end, unpacked, with a bar that shows how far it is.

    Raises:
        InputError: as :meth:`Lines.batches`.
    """
    rows = unpacked = of_line = 0
    bar = tqdm(
        desc=f"reading {name}",
        total=path.stat().st_size,
        unit="B",
        unit_scale=True,
        delay=2,
        mininterval=1,
    )
    with path.open("rb") as opened, bar:
        for chunk in _chunks(path, opened):
            bar.n = opened.tell()
            bar.update(0)
            unpacked += len(chunk)
            first = chunk.find(b"\n")
            if of_line + (len(chunk) if first < 0 else first) > LONGEST_LINE:
                raise InputError(
                    f"{path}, line {rows + 1}: longer than {LONGEST_LINE // 2**20} MB. Is its "
                    "format what globals.yml says?"
                )
            of_line = of_line + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1
            rows += chunk.count(b"\n")
            if rows > max_rows:
                raise too_large(path, f"{max_rows:,} rows")
            if unpacked > max_bytes:
                raise too_large(path, f"{max_bytes:,} bytes when it is unpacked")
            yield chunk


def too_large(path: Path, what: str) -> InputError:
    """The error of a file with more rows or bytes than it may have."""
    return InputError(
        f"{path} has more than {what}: is it what it should be?\nIf so, allow more in "
        "conf/base/catalog_ingestion.yml (max_rows, max_bytes), or cut it into several files"
    )


def is_gzip(path: Path) -> bool:
    """What the first bytes say, whatever the name does."""
    with path.open("rb") as opened:
        return opened.read(2) == b"\x1f\x8b"


def _chunks(path: Path, opened: BinaryIO) -> Iterator[bytes]:
    if is_gzip(path):
        yield from _unpacked(path, opened)
    else:
        while chunk := opened.read(_PLAIN_CHUNK):
            yield chunk


def _unpacked(path: Path, opened: BinaryIO) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(wbits=31)
    try:
        while packed := opened.read(_PACKED_CHUNK):
            while packed:
                # At most so much at a time: a small file may unpack to a huge one.
                yield member.decompress(packed, _UNPACKED_AT_MOST)
                packed = member.unconsumed_tail or member.unused_data
                if member.eof and packed.strip(b"\0"):
                    member = isal_zlib.decompressobj(wbits=31)
                elif member.eof:
                    break
        while not member.eof and (rest := member.decompress(b"", _UNPACKED_AT_MOST)):
            yield rest
    except isal_zlib.error as error:  # type: ignore[misc]
        raise InputError(f"{path} is not a whole gzip file: {error}; fetch it again") from error
    if not member.eof:
        raise InputError(f"{path} is cut: its gzip stream has no end; fetch it again")


def _batch(data: bytes, offsets: np.ndarray, first_number: int) -> pa.RecordBatch:
    """Lines that lie one after another, without copying them where they are UTF-8."""
    count = len(offsets) - 1
    buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)
    lines = pa.StringArray.from_buffers(count, *buffers)
    unread = pa.nulls(count, pa.string())
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        raw = pa.BinaryArray.from_buffers(pa.binary(), count, [None, *buffers]).to_pylist()
        lines = pa.array([line.decode(errors="replace") for line in raw], pa.string())
        unread = pa.array([None if _is_utf8(line) else "not UTF-8" for line in raw], pa.string())
    numbers = pa.array(np.arange(first_number, first_number + count))
    return pa.record_batch([numbers, lines, unread], schema=SCHEMA)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, made by a thread while those before them are used."""
    made: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
    stopped = threading.Event()

    def put(item: pa.RecordBatch | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for batch in batches:
                put(batch)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=make, daemon=True, name="read ahead").start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
