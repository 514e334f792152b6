"""Catalog type of raw interactions, and of the users whose interactions are left out."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from kedro.io import AbstractDataset, DatasetError

from bazar.datasets.preview import TablePreview
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError
from bazar.ingestion.deleted_users import RawInteractions
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA, find_last_sequence


class RawInteractionsDataset(AbstractDataset[None, RawInteractions]):
    """The raw files of interactions, and the file of deleted users. They are read-only."""

    def __init__(
        self,
        *,
        path: str,
        deleted_users: str,
        sources: dict[str, dict[str, Any]],
        max_rows: int,
        max_bytes: int,
        connection: dict[str, Any],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store the settings. No file is opened.

        Args:
            path: folder of the raw files.
            deleted_users: path of the file of deleted users, within the folder or absolute. It may
                be missing.
            sources: see :class:`bazar.datasets.raw.RawDataset`.
            max_rows: see there.
            max_bytes: see there.
            connection: see there.
            metadata: metadata for Kedro-Viz.

        Raises:
            DatasetError: if ``deleted_users`` is not a path.
        """
        if not isinstance(deleted_users, str) or not deleted_users:
            raise DatasetError(
                f"deleted_users in globals.yml must be a path, found {deleted_users!r}."
            )
        self._files = RawDataset(
            path=path,
            sources=sources,
            kind="interactions",
            max_rows=max_rows,
            max_bytes=max_bytes,
            connection=connection,
        )
        self._deleted_users = self._files.folder / Path(deleted_users).expanduser()
        self.metadata = metadata

    def load(self) -> RawInteractions:
        """Check the files, and return a lazy table per source, and the deleted users.

        Raises:
            InputError: as :meth:`bazar.datasets.raw.RawDataset.load` does; if a file of live
                purchases is missing between others; or if the file of deleted users cannot be read
                or has other columns or invalid values.
        """
        find_last_sequence(str(path) for path in self._files.list_files())
        return RawInteractions(self._files.load(), read_deleted_users(self._deleted_users))

    def save(self, data: None) -> None:
        """Raise DatasetError: raw files are read-only."""
        self._files.save(data)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first records of the first source, for Kedro-Viz.

        Args:
            nrows: number of records.
        """
        return self._files.preview(nrows)

    def _describe(self) -> dict[str, Any]:
        return {**self._files._describe(), "deleted_users": str(self._deleted_users)}

    def _exists(self) -> bool:
        return self._files.exists()


def read_deleted_users(path: Path) -> pa.Table:
    """Return the deleted users in a file; a table without rows if there is no file.

    Raises:
        InputError: if the file cannot be read, or has other columns or invalid values.
    """
    if not path.exists():
        return DELETED_USERS_SCHEMA.empty_table()
    names = DELETED_USERS_SCHEMA.names
    try:
        # With a schema, a missing column would be read as nulls.
        table = pq.ParquetFile(path).read().select(names).cast(DELETED_USERS_SCHEMA)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise _explain(path, f"cannot be read: {str(error).rstrip('.')}") from error
    is_hash = pc.match_substring_regex(table["user_hash"], "^[0-9a-f]{64}$")
    if not pc.all(is_hash).as_py() and table.num_rows:
        raise _explain(path, "has values of user_hash that are not 64 lower-case hex digits")
    return table


def _explain(path: Path, problem: str) -> InputError:
    return InputError(
        f"{path} {problem}.\nRun bazar export-training again, or set the key deleted_users in "
        "globals.yml to another file."
    )
