"""Share one Ibis connection between the raw files and the tables of a run."""

import atexit
import json
import sys
from typing import Any

import ibis

from bazar.datasets.spill_folder import make_spill_folder

_connections: dict[str, ibis.BaseBackend] = {}


class SharedConnection:
    """Mixin for catalog types that share a backend, so that their tables can be joined.

    Data sets with equal connection settings share one backend.

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
            name = arguments.pop("backend")
            if name == "duckdb":
                arguments["temp_directory"] = str(make_spill_folder())
            backend = getattr(ibis, name).connect(**arguments)
            if name == "duckdb":
                # Otherwise the process completes a query that Ctrl+C interrupted before it ends.
                atexit.register(backend.con.interrupt)
                if sys.stdout.isatty():
                    # Not in a log file, where every step of a progress bar would be a line.
                    backend.raw_sql("SET enable_progress_bar = true; SET progress_bar_time = 2000")
            _connections[key] = backend
        return _connections[key]
