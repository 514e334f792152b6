"""Raw files in the catalog: every record of every file of a source, as a table of text."""

from pathlib import Path, PurePosixPath
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from bazar.config.data import InteractionSource, ProductSource
from bazar.datasets.connection import SharedConnection
from bazar.errors import InputError
from bazar.ingestion.readers import RawFile, RawFileReader, check_file, read_batches, records_schema
from bazar.ingestion.spark import read_on_workers

_KINDS: dict[str, tuple[type[InteractionSource] | type[ProductSource], tuple[str, ...]]] = {
    "interactions": (InteractionSource, ("user_id", "item_id", "timestamp", "position", "rating")),
    "products": (ProductSource, ("item_id", "title", "url", "attributes")),
}


class RawDataset(SharedConnection, AbstractDataset[None, dict[str, ir.Table]]):
    """The raw files of some sources, as one Ibis table of text per source.

    A table has a row for each record of the source's files and the columns ``source_file``,
    ``row_number``, ``raw``, ``problem`` and ours, as :class:`bazar.raw_files.RawFileReader`
    tells. They are not read before the table is, except CSV, once to its end, to find the lines
    that are none.
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
        """Point to files.

        Args:
            path: the folder of the raw files.
            sources: by name, as :class:`bazar.options.InteractionSource` or ``ProductSource``.
            kind: what the files hold.
            max_rows: lines that a file may have.
            max_bytes: bytes that a file may have when it is unpacked.
            connection: Ibis backend and its arguments, shared with the tables' entries.
            metadata: for kedro-viz.
        """
        source_type, self._columns = _KINDS[kind]
        self._filepath = PurePosixPath(path)
        self._sources = {
            name: source_type.model_validate(source) for name, source in sources.items()
        }
        self._kind = kind
        self._limits = {"max_rows": max_rows, "max_bytes": max_bytes}
        self._connection_config = connection
        self.metadata = metadata

    def load(self) -> dict[str, ir.Table]:
        """Check the files, and return a table per source that is read when it is used.

        Optional sources without files are left out.

        Raises:
            InputError: if no source is left, or a file is missing or empty, lacks a mapped column,
                or cannot be taken apart. Of JSON lines, what is wrong further on is told when
                the table is read.
        """
        tables = {
            name: self._table([self._file(name, source, path) for path in paths])
            for name, source in self._sources.items()
            if (paths := self._paths(name, source))
        }
        if not tables:
            wanted = ", ".join(
                pattern for source in self._sources.values() for pattern in source.patterns
            )
            raise InputError(
                f"no file in {self._filepath} for {self._kind}: it should hold one of {wanted}\n"
                "Set the folder with --params raw_dir=PATH, or raw_dir in globals.yml"
            )
        return tables

    def save(self, data: None) -> None:
        """Raw files are never written."""
        raise DatasetError("raw files are read only")

    def preview(self, nrows: int = 5) -> TablePreview:
        """First records of the first source for kedro-viz.

        Args:
            nrows: Records to show.
        """
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

    def _paths(self, name: str, source: InteractionSource | ProductSource) -> list[Path]:
        """The files of a source, each once, in order of their names."""
        folder = Path(self._filepath)
        found: set[Path] = set()
        for pattern in source.patterns:
            is_glob = any(letter in pattern for letter in "*?[")
            matched = [
                path
                for path in (folder.glob(pattern) if is_glob else [folder / pattern])
                # What a killed download or an editor leaves behind is hidden.
                if not is_glob or (path.is_file() and not path.name.startswith("."))
            ]
            if is_glob and not matched and not source.optional:
                raise InputError(
                    f"no file {folder / pattern}\nSet the folder with --params raw_dir=PATH, or "
                    f"raw_dir and {self._kind}.{name}.files in globals.yml"
                )
            found.update(matched)
        if source.optional and not any(path.is_file() for path in found):
            return []
        return sorted(found)

    def _file(self, name: str, source: InteractionSource | ProductSource, path: Path) -> RawFile:
        mapped: dict[str, str | list[str]] = dict(source.columns)  # type: ignore[arg-type]
        theirs = {ours: [it] if isinstance(it, str) else it for ours, it in mapped.items()}
        return RawFile(
            path=path,
            name=path.relative_to(self._filepath).as_posix(),
            file_format=source.format,
            columns={ours: theirs.get(ours, []) for ours in self._columns},
            setting=f"{self._kind}.{name}",
            **self._limits,
        )

    def _table(self, files: list[RawFile]) -> ir.Table:
        if self.connection.name == "pyspark":
            return self._table_on_spark(files)
        reader = RawFileReader(self.connection.con)
        return self.connection.sql(" UNION ALL ".join(reader.records(file) for file in files))

    def _table_on_spark(self, files: list[RawFile]) -> ir.Table:
        from pyspark.sql import SparkSession

        frame = read_on_workers(
            SparkSession.active(), files, check_file, read_batches, records_schema(self._columns)
        )
        name = ibis.util.gen_name("raw")
        frame.createOrReplaceTempView(name)
        return self.connection.table(name)

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._filepath), "kind": self._kind, "sources": list(self._sources)}

    def _exists(self) -> bool:
        return any(self._paths(name, source) for name, source in self._sources.items())
