"""Read files, and do other numbered work, on Spark workers."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from bazar.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


F = TypeVar("F")
_PROBLEMS = pa.schema([pa.field("number", pa.int64()), pa.field("message", pa.string())])


def read_on_workers(
    session: "SparkSession",
    files: Sequence[F],
    check: Callable[[F], None],
    read: Callable[[F], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> "DataFrame":
    """Check all files, and return their rows as a lazy Spark frame.

    Each file is one task, because a gzip file cannot be split. The workers need the packages of
    ``check`` and ``read``, and must see the files under the same paths.

    Args:
        session: the Spark session.
        files: descriptions of the files, which are sent to the workers.
        check: raises InputError if a file cannot be used.
        read: yields the rows of a file in batches of any size, with the columns of ``schema``.
        schema: names and types of the columns.

    Returns:
        The rows. The rows of one file are in order and in one partition.

    Raises:
        InputError: the error of the first file that ``check`` rejects.
    """

    def check_one(number: int) -> Iterator[pa.RecordBatch]:
        try:
            check(files[number])
        except InputError as error:
            row = {"number": [number], "message": [str(error)]}
            yield pa.record_batch(row, schema=_PROBLEMS)

    def read_one(number: int) -> Iterator[pa.RecordBatch]:
        for batch in read(files[number]):
            yield batch.select(schema.names).cast(schema)

    problems = map_numbers(session, len(files), check_one, _PROBLEMS).collect()
    if problems:
        raise InputError(min(problems)["message"])
    return map_numbers(session, len(files), read_one, schema)


def map_numbers(
    session: "SparkSession",
    count: int,
    make: Callable[[int], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> "DataFrame":
    """Return a lazy frame with one partition per number: the batches that ``make`` yields for it.

    Args:
        session: the Spark session.
        count: how many numbers there are, from 0.
        make: yields the rows of a number. It is called on a worker.
        schema: names and types of the columns.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    def make_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from make(number)

    numbers = session.range(0, count, 1, numPartitions=max(1, count))
    return numbers.mapInArrow(make_all, from_arrow_schema(schema))
