"""Metrics for Prometheus. No label names a user, an item or an address."""

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from bazar.errors import InputError

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1, 2.5, 5)
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# As the library chooses. All labels need less.
_FILE_BYTES = 1 << 20


class Metrics:
    """The metrics of one process.

    If the environment variable ``PROMETHEUS_MULTIPROC_DIR`` names a folder, the processes write
    their values there, and each answers with the sums over all of them.
    """

    def __init__(self) -> None:
        """Start at zero.

        Raises:
            InputError: if there is no space for the files of several processes.
        """
        if _FOLDER in os.environ:
            _reserve_space(Path(os.environ[_FOLDER]))
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "bazar_requests", "Answered requests.", ["route", "method", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "bazar_request_seconds", "Time from the headers of a request to its answer.", ["route"],
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._answers = Counter(
            "bazar_answers", "Lists by what answered, a model or a method.", ["model"],
            registry=self._registry,
        )  # fmt: skip
        self._events = Counter(
            "bazar_events", "Received events: new, duplicate or conflict.", ["status"],
            registry=self._registry,
        )  # fmt: skip
        self._bundles = Counter(
            "bazar_bundle_loads", "Bundles that were loaded, and that could not be.", ["status"],
            registry=self._registry,
        )  # fmt: skip
        self._known_bundles = {"loaded": 0, "failed": 0}
        if _FOLDER not in os.environ:
            ProcessCollector(registry=self._registry)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_answer(self, model: str) -> None:
        """Count a list."""
        self._answers.labels(model).inc()

    def count_event(self, outcome: str) -> None:
        """Count a received event."""
        self._events.labels(outcome).inc()

    def set_bundles(self, n_loaded: int, n_failed: int) -> None:
        """Report the numbers of bundles that this process loaded and could not load."""
        for status, number in (("loaded", n_loaded), ("failed", n_failed)):
            self._bundles.labels(status).inc(number - self._known_bundles[status])
            self._known_bundles[status] = number

    def write(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        registry = self._registry
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)


def _reserve_space(folder: Path) -> None:
    """Create the files of this process in their full size.

    They are mapped into memory. Without space on the disk, the system would kill the process when
    it writes to a new part of them.

    Raises:
        InputError: if the disk is full.
    """
    for kind in ("counter", "histogram"):
        path = folder / f"{kind}_{os.getpid()}.db"
        # An earlier process may have had this number.
        if not path.exists():
            try:
                path.write_bytes(bytes(_FILE_BYTES))
            except OSError as error:
                path.unlink(missing_ok=True)
                raise InputError(
                    f"{folder} has no space for the metrics: {error}. Free space, or name another "
                    "folder for temporary files in the environment variable TMPDIR."
                ) from error
