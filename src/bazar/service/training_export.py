"""Export purchases and deleted users for the next training."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bazar.atomic import atomic_path, explain_disk_faults
from bazar.errors import InputError
from bazar.ingestion.live_files import (
    DELETED_USERS,
    DELETED_USERS_SCHEMA,
    LIVE_PURCHASES_SCHEMA,
    find_last_sequence,
    is_live_purchases,
    name_live_purchases,
)
from bazar.service.store import LiveStore, hash_user_id


@dataclass(frozen=True)
class TrainingExport:
    """What an export wrote.

    Attributes:
        path: the new file of purchases; None if there were no new ones.
        n_purchases: number of its purchases.
        last_sequence: the last sequence of all files. A bundle that is trained on them has it as
            its watermark.
        n_deleted_users: number of users in the file of deleted users.
        n_anonymised: number of purchases of deleted users from which the ids were removed.
    """

    path: Path | None
    n_purchases: int
    last_sequence: int
    n_deleted_users: int
    n_anonymised: int


def export_for_training(
    store: LiveStore, folder: Path, is_restored: bool = False
) -> TrainingExport:
    """Export the purchases since the last export, and all deleted users.

    Each call with new purchases writes one new file; see :mod:`bazar.ingestion.live_files`. The
    file of deleted users is replaced, and the ids of their users and orders are removed from the
    purchases up to the deletion, in all files. Every file is written atomically.

    Args:
        store: the store.
        folder: the folder of the files. It is created if it is missing.
        is_restored: whether an older backup of the database was restored. Then later events get
            sequences above those of all files.

    Raises:
        InputError: if a file is missing, damaged or belongs to another database, if another export
            is writing to the folder, or if the folder cannot be written.
        StoreError: if the database fails.
    """
    with _lock_folder(folder):
        last = find_last_sequence(path.name for path in folder.iterdir())
        if is_restored:
            store.raise_sequence(last)
        if (found := store.read_last_sequence()) < last:
            raise InputError(
                f"{folder} has purchases up to sequence {last}, but the newest event of the "
                f"database has sequence {found}. Use the database that they were exported from, "
                "or another folder. If an older backup of the database was restored, use "
                "--restored."
            )
        newest = store.newest_sequence()
        batches = store.read_purchases(last, newest)
        first = next(batches, None)
        path, n_purchases = None, 0
        if first is None:
            deletion_times = _write_deleted_users(store, folder)
        else:
            path = folder / name_live_purchases(last + 1, newest)
            last = newest
            with atomic_path(path) as temporary:
                n_purchases = _write_purchases(temporary, chain([first], batches))
                # Written before the purchases are visible: no training reads those of a user who
                # was deleted during the export.
                deletion_times = _write_deleted_users(store, folder)
        n_anonymised = sum(
            _anonymise_deleted_users(live, deletion_times)
            for live in sorted(folder.iterdir())
            if is_live_purchases(live.name)
        )
    return TrainingExport(path, n_purchases, last, len(deletion_times), n_anonymised)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder, and raise InputError if another process has locked it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file. Choose a folder for the files of the export.")
    with explain_disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"Another export is writing to {folder}. Wait until it ends."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _write_purchases(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write a file of purchases, and return their number."""
    n_purchases = 0
    with pq.ParquetWriter(str(path), LIVE_PURCHASES_SCHEMA) as writer:
        for batch in batches:
            event_type = pa.repeat("purchase", batch.num_rows)
            arrays = [
                event_type if name == "event_type" else batch[name]
                for name in LIVE_PURCHASES_SCHEMA.names
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=LIVE_PURCHASES_SCHEMA))
            n_purchases += batch.num_rows
    return n_purchases


def _write_deleted_users(store: LiveStore, folder: Path) -> dict[str, int]:
    """Write the file of deleted users, and return the time of deletion by hash of the user id."""
    deletion_times = {
        tombstone.user_hash: tombstone.deleted_at for tombstone in store.list_tombstones()
    }
    columns = [[*deletion_times], [*deletion_times.values()]]
    table = pa.table(columns, DELETED_USERS_SCHEMA)
    with atomic_path(folder / DELETED_USERS) as temporary:
        pq.write_table(table, temporary)
    return deletion_times


def _anonymise_deleted_users(path: Path, deletion_times: Mapping[str, int]) -> int:
    """Remove the ids of deleted users and of their orders from a file of purchases.

    The rows stay, so that the file keeps its range and is never empty.

    Returns:
        The number of purchases that were changed.
    """
    if not deletion_times:
        return 0
    try:
        file = pq.ParquetFile(path)
        found = file.read(["user_id", "timestamp"])
        users = found["user_id"].combine_chunks().dictionary_encode()
        hashes = map(hash_user_id, users.dictionary.to_pylist())
        times = pa.array([deletion_times.get(user_hash) for user_hash in hashes], pa.int64())
        deleted_at = times.take(users.indices)
        is_deleted = pc.fill_null(pc.less_equal(found["timestamp"], deleted_at), False)
        n_deleted: int = pc.sum(is_deleted).as_py() or 0
        if n_deleted == 0:
            return 0
        table = file.read()
    except (pa.ArrowException, KeyError, OSError) as error:
        raise InputError(
            f"{path} cannot be read: {str(error).rstrip('.')}.\nRestore the file from a backup."
        ) from error
    for name in ("user_id", "order_id"):
        ids = pc.if_else(is_deleted, pa.scalar(None, pa.string()), table[name])
        table = table.set_column(table.schema.get_field_index(name), name, ids)
    with atomic_path(path) as temporary:
        pq.write_table(table.cast(LIVE_PURCHASES_SCHEMA), temporary)
    return n_deleted
