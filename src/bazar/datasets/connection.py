"""The Ibis connection that the raw files and the tables of a run share."""

import json
import sys
from typing import Any

import ibis

_connections: dict[str, ibis.BaseBackend] = {}


class SharedConnection:
    """Mixin for a catalog type: equal connection settings share one backend, so that tables join.

    Attributes:
        _connection_config: ``backend``, the name of an Ibis backend, and the arguments of its
            ``connect``.
    """

    _connection_config: dict[str, Any]

    @property
    def connection(self) -> ibis.BaseBackend:
        """The backend. It is connected at the first use."""
        key = json.dumps(self._connection_config, sort_keys=True)
        if key not in _connections:
            arguments = dict(self._connection_config)
            backend = getattr(ibis, arguments.pop("backend")).connect(**arguments)
            if backend.name == "duckdb" and sys.stdout.isatty():
                # In a log file, every step of a progress bar would be a line.
                backend.raw_sql("SET enable_progress_bar = true; SET progress_bar_time = 2000")
            _connections[key] = backend
        return _connections[key]
