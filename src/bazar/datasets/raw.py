"""Catalog type of raw files. All files of a source are one table of text."""

from collections import Counter
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import ibis
import ibis.expr.types as ir
from kedro.io import AbstractDataset, DatasetError

from bazar.config.sources import (
    InteractionColumn,
    InteractionSource,
    ProductColumn,
    ProductSource,
)
from bazar.datasets.connection import SharedConnection
from bazar.datasets.preview import TablePreview
from bazar.errors import InputError
from bazar.ingestion.readers.paths import find_files
from bazar.ingestion.readers.raw_file import RawFile, build_records_schema
from bazar.ingestion.readers.records import check_file, read_batches, select_records
from bazar.ingestion.spark import read_on_workers

_KINDS: dict[str, tuple[type[InteractionSource] | type[ProductSource], tuple[str, ...]]] = {
    "interactions": (InteractionSource, get_args(InteractionColumn)),
    "products": (ProductSource, get_args(ProductColumn)),
}


class RawDataset(SharedConnection, AbstractDataset[None, dict[str, ir.Table]]):
    """The raw files of several sources, as one Ibis table of text per source.

    A table has a row for each record of the source's files, with the columns of
    :func:`bazar.ingestion.readers.raw_file.build_records_schema`. Interactions have a column
    ``condition_<number>`` for each column that the conditions of their source read. Files are read
    when the table is used. CSV files are also read once while loading, to find their malformed
    lines.
    """

    def __init__(
        self,
        *,
        path: str,
        sources: dict[str, dict[str, Any]],
        kind: Literal["interactions", "products"],
        max_rows: int,
        max_bytes: int,
        connection: dict[str, Any],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store the settings. No file is opened.

        Args:
            path: folder of the raw files. ``~`` is expanded to the home folder.
            sources: :class:`bazar.config.sources.InteractionSource` or ``ProductSource`` by name.
            kind: content of the files.
            max_rows: maximum number of lines of a file.
            max_bytes: maximum size in bytes of a file after decompression.
            connection: name and arguments of the Ibis backend, the same as for the tables.
            metadata: metadata for Kedro-Viz.
        """
        source_type, self._columns = _KINDS[kind]
        self._filepath = _expand_home(path)
        self._sources = {
            name: source_type.model_validate(source) for name, source in sources.items()
        }
        self._kind = kind
        self._limits = {"max_rows": max_rows, "max_bytes": max_bytes}
        self._connection_config = connection
        self.metadata = metadata

    @property
    def folder(self) -> Path:
        """The folder of the raw files."""
        return Path(self._filepath)

    def list_files(self) -> list[Path]:
        """Return the files of all sources, each once, sorted by name.

        Raises:
            InputError: if a source that is not optional has no file.
        """
        found = (self._find_paths(name, source) for name, source in self._sources.items())
        return sorted(set(chain.from_iterable(found)))

    def load(self) -> dict[str, ir.Table]:
        """Check the files, and return a lazy table per source.

        Optional sources without files are not returned. Products may have no source at all.

        Raises:
            InputError: if no file of the sources exists, or a file is missing or empty, lacks a
                mapped column, or cannot be parsed. Errors in later lines of a JSON lines file are
                raised when the table is read.
        """
        tables = {
            name: self._build_table(self._list_raw_files(name, source, paths))
            for name, source in self._sources.items()
            if (paths := self._find_paths(name, source))
        }
        if self._sources and not tables:
            patterns = ", ".join(
                pattern for source in self._sources.values() for pattern in source.patterns
            )
            raise InputError(
                f"{self._filepath} has no file of {self._kind}. Expected one of {patterns}.\n"
                "Set the folder with --params raw_dir=PATH, or raw_dir in globals.yml."
            )
        return tables

    def save(self, data: None) -> None:
        """Raise DatasetError: raw files are read-only."""
        raise DatasetError("Raw files are read-only.")

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first records of the first source, for Kedro-Viz.

        Args:
            nrows: number of records.
        """
        if not self._sources:
            return TablePreview({"index": [], "columns": [], "data": []})
        name, table = next(iter(self.load().items()))
        columns = list(self._sources[name].columns)
        rows = table.select(*columns).limit(nrows).to_pyarrow().to_pylist()
        return TablePreview(
            {
                "index": list(range(len(rows))),
                "columns": columns,
                "data": [[row[column] for column in columns] for row in rows],
            }
        )

    def _find_paths(self, name: str, source: InteractionSource | ProductSource) -> list[Path]:
        """Return the files of a source, each once, sorted by name."""
        folder = Path(self._filepath)
        found: set[Path] = set()
        for pattern in source.patterns:
            matched = find_files(folder, pattern)
            if not matched and not source.optional:
                raise InputError(
                    f"No file matches {folder / pattern}.\nSet the folder with --params "
                    f"raw_dir=PATH, or raw_dir and {self._kind}.{name}.files in globals.yml."
                )
            found.update(matched)
        if source.optional and not any(path.is_file() for path in found):
            return []
        return sorted(found)

    def _list_raw_files(
        self, name: str, source: InteractionSource | ProductSource, paths: list[Path]
    ) -> list[RawFile]:
        """Return the files of a source with their column mapping."""
        mapping: dict[str, str | list[str]] = dict(source.columns)  # type: ignore[arg-type]
        columns: dict[str, list[str]] = {column: [] for column in self._columns}
        for column, mapped in mapping.items():
            columns[column] = [mapped] if isinstance(mapped, str) else mapped
        keys = {}
        if isinstance(source, InteractionSource):
            for number, condition in enumerate(source.condition_columns):
                columns[f"condition_{number}"] = [condition]
                keys[f"condition_{number}"] = (
                    "where" if condition in source.where else "returns.where"
                )
        return [
            RawFile(
                path=path,
                name=shown,
                file_format=source.format,
                columns=columns,
                setting=f"{self._kind}.{name}",
                encoding=source.encoding,
                sheet=source.sheet,
                keys=keys,
                **self._limits,
            )
            for path, shown in zip(paths, self._name_files(paths), strict=True)
        ]

    def _name_files(self, paths: list[Path]) -> list[str]:
        """Return the paths within the raw folder, or the names of files outside of it.

        If several files have the same name, their complete paths are returned.
        """
        folder = Path(self._filepath)
        names = [
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
            for path in paths
        ]
        counts = Counter(names)
        return [
            name if counts[name] == 1 else path.as_posix()
            for name, path in zip(names, paths, strict=True)
        ]

    def _build_table(self, files: list[RawFile]) -> ir.Table:
        if self.connection.name == "pyspark":
            return self._build_spark_table(files)
        duckdb = self.connection.con
        return self.connection.sql(
            " UNION ALL ".join(select_records(file, duckdb) for file in files)
        )

    def _build_spark_table(self, files: list[RawFile]) -> ir.Table:
        from pyspark.sql import SparkSession

        frame = read_on_workers(
            SparkSession.active(),
            files,
            check_file,
            read_batches,
            build_records_schema(files[0].columns),
        )
        name = ibis.util.gen_name("raw")
        frame.createOrReplaceTempView(name)
        return self.connection.table(name)

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._filepath), "kind": self._kind, "sources": list(self._sources)}

    def _exists(self) -> bool:
        return any(self._find_paths(name, source) for name, source in self._sources.items())


def _expand_home(path: str) -> PurePosixPath:
    """Expand ``~`` in a path, even if Kedro has prepended the project folder."""
    parts = PurePosixPath(path).parts
    if "~" in parts:
        return PurePosixPath(Path.home(), *parts[parts.index("~") + 1 :])
    return PurePosixPath(path)
