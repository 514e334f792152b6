"""Files of live data that the online service exports for the next training.

A file of purchases contains those whose sequence in the store is in a range, and has the range in
its name: ``live_purchases_000000000001_000000004711.parquet``. The ranges of all files follow one
another without a gap, so that each purchase is in exactly one file.
"""

import re
from collections.abc import Iterable
from pathlib import PurePath

import pyarrow as pa

from bazar.errors import InputError

LIVE_PURCHASES_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("order_id", pa.string()),
        pa.field("quantity", pa.float64()),
        pa.field("price", pa.float64()),
        pa.field("event_type", pa.string(), nullable=False),
    ]
)
"""Columns of a file of purchases. ``timestamp`` is UTC milliseconds."""

DELETED_USERS = "deleted_users.parquet"
"""Name of the file of deleted users."""
DELETED_USERS_SCHEMA = pa.schema(
    [
        pa.field("user_hash", pa.string(), nullable=False),
        pa.field("deleted_at", pa.int64(), nullable=False),
    ]
)
"""Columns of the file of deleted users: the SHA-256 of the UTF-8 user id as hexadecimal digits, and
UTC milliseconds. Purchases of the user up to this time are left out."""

_PREFIX = "live_purchases_"
_NAME = re.compile(rf"{_PREFIX}(\d+)_(\d+)\.parquet")


def name_live_purchases(first: int, last: int) -> str:
    """Return the name of the file of the purchases with the sequences ``first`` to ``last``."""
    return f"{_PREFIX}{first:012d}_{last:012d}.parquet"


def is_live_purchases(name: str) -> bool:
    """Return whether a path is one of a file of live purchases. Hidden files are none."""
    return PurePath(name).name.startswith(_PREFIX)


def find_last_sequence(names: Iterable[str]) -> int:
    """Return the last sequence of the files of live purchases, the watermark; 0 without files.

    Args:
        names: paths of files. Other files than those of live purchases are ignored.

    Raises:
        InputError: if a file is missing between others or before them, if two files overlap, or if
            a name has no range.
    """
    last, previous = 0, "the first purchase"
    for first, end, name in sorted(_read_range(name) for name in names if is_live_purchases(name)):
        if first > last + 1:
            raise InputError(
                f"The live purchases {last + 1} to {first - 1} are missing: no file is between "
                f"{previous} and {name}.\nPut the file back. Each file of the folder is needed in "
                "every training."
            )
        if first <= last:
            raise InputError(
                f"{previous} and {name} contain the same live purchases: {first} to "
                f"{min(last, end)}.\nKeep the files as bazar export-training wrote them, and "
                "remove copies."
            )
        last, previous = end, name
    return last


def _read_range(name: str) -> tuple[int, int, str]:
    """Return the first and the last sequence of a file, and its path."""
    match = _NAME.fullmatch(PurePath(name).name)
    first, last = map(int, match.groups()) if match is not None else (0, 0)
    if not 1 <= first <= last:
        raise InputError(
            f"{name} must be named {_PREFIX}<first>_<last>.parquet, with the first and the last "
            "sequence of its purchases. Give it the name that bazar export-training chose."
        )
    return first, last, name
