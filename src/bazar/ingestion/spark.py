"""Files read on Spark's workers, each by one of them, with a reader written for one machine."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from bazar.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


F = TypeVar("F")
_TOLD = pa.schema([pa.field("place", pa.int64()), pa.field("told", pa.string())])


def read_on_workers(
    session: "SparkSession",
    files: Sequence[F],
    check: Callable[[F], None],
    read: Callable[[F], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> "DataFrame":
    """Check every file now, and return their rows as a frame that is read when it is used.

    A file is a task of its own: it cannot be split, as gzip cannot. The workers need the
    packages of ``check`` and ``read``, and must see the files under the same paths.

    Args:
        session: the Spark session.
        files: what says where a file is and how to read it; goes to the workers.
        check: raises InputError if a file cannot be used.
        read: gives a file's rows in batches of any size, with the columns of ``schema``.
        schema: names and types of the columns.

    Returns:
        The rows; those of a file stay in order, within one partition.

    Raises:
        InputError: that of the first file whose ``check`` raised one.
    """

    def tell(place: int) -> Iterator[pa.RecordBatch]:
        try:
            check(files[place])
        except InputError as error:
            yield pa.record_batch({"place": [place], "told": [str(error)]}, schema=_TOLD)

    def rows(place: int) -> Iterator[pa.RecordBatch]:
        for batch in read(files[place]):
            yield batch.select(schema.names).cast(schema)

    told = _for_each(session, len(files), tell, _TOLD).collect()
    if told:
        raise InputError(min(told)["told"])
    return _for_each(session, len(files), rows, schema)


def _for_each(
    session: "SparkSession",
    number: int,
    make: Callable[[int], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> "DataFrame":
    """Frame of what ``make`` gives for each number from 0, each number a partition."""
    from pyspark.sql.pandas.types import from_arrow_schema

    def make_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch.column(0).to_pylist():
                yield from make(place)

    places = session.range(0, number, 1, numPartitions=number)
    return places.mapInArrow(make_all, from_arrow_schema(schema))
