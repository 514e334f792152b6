"""The Ibis connection that the raw files and the tables of a run share."""

import sys
from typing import Any

import ibis
from kedro_datasets._utils import ConnectionMixin


class SharedConnection(ConnectionMixin):
    """Mixin for a catalog type: entries of one ``connection`` share it, so that tables join."""

    _CONNECTION_GROUP = "ibis"
    _connection_config: dict[str, Any]

    @property
    def connection(self) -> ibis.BaseBackend:
        """The backend, shared with every entry of the same configuration."""
        return self._connection

    def _connect(self) -> ibis.BaseBackend:
        config = dict(self._connection_config)
        backend = getattr(ibis, config.pop("backend")).connect(**config)
        if backend.name == "duckdb" and sys.stdout.isatty():
            # Bars are for eyes: in a file, every step of one would be a line.
            backend.raw_sql("SET enable_progress_bar = true; SET progress_bar_time = 2000")
        return backend
