"""Logs: one JSON object a line, without personal data.

Requests are logged with their route and not with their path, which can contain the id of a user,
and without addresses, queries or bodies.
"""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REQUESTS = logging.getLogger("bazar.service.requests")
"""Logger of answered requests. Their ``extra`` has the key ``request``."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object.

    Messages of exceptions can quote values of a request. Therefore only their types and places are
    logged.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": os.getpid(),
        }
        if (request := getattr(record, "request", None)) is not None:
            content |= request
        else:
            content["message"] = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            content["error"] = type(error).__name__
            content["places"] = [
                f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)[-12:]
            ]
        return json.dumps(content)


def configure_logging() -> None:
    """Write the logs of the service and of the web server to standard error."""
    # What the formatter does not use is not looked up for each line; see "Optimization" in
    # Python's Logging HOWTO.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("bazar", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
