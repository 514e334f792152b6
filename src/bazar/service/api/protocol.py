"""HTTP connections with limits of size and time.

The web server limits neither the size of the headers nor the time in which they are sent, and has
no timeout for a client that does not read its answer. Such a client needs no key, because requests
are checked only when their headers are complete.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bazar.service.api.problems import ProblemError, make_busy_error, make_response

MAX_OVERHEAD_BYTES = 65_536
"""Largest size of a request without its body: the address, the headers, and the frames of chunks.
More than a read of the socket is never kept."""

# The frame of a chunk without extensions has at most 20 bytes.
_FRAME_BYTES = 20


class BoundedProtocol(HttpToolsProtocol):
    """A connection with a client.

    It is closed if a request is not complete in time, if the part of a request that is not its body
    is too large, if the client does not read an answer in time, or if there are too many
    connections.
    """

    def __init__(
        self, *arguments: Any, max_connections: int, timeout_seconds: float, **keywords: Any
    ) -> None:
        """Prepare a connection.

        Args:
            arguments: arguments of the web server.
            max_connections: number of connections of a process.
            timeout_seconds: how long a client may take to send the headers of a request, then to
                send its body, and then to read the answer.
            keywords: arguments of the web server.
        """
        super().__init__(*arguments, **keywords)
        self._max_connections = max_connections
        self._timeout = timeout_seconds
        self._answered: RequestResponseCycle | None = None
        self._overhead = 0
        self._has_headers = False
        self._is_complete = True
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    # The names are those of the web server and its parser.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or close it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self._reject(make_busy_error("The service has too many connections. Try again."))
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers of a connection that has ended."""
        super().connection_lost(exc)
        self._stop_answering()
        self._stop_waiting()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what a client sent."""
        self._overhead += len(data)
        super().data_received(data)
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if (self._is_complete and is_answering) or self.transport.is_closing():
            return
        # The client has to send the rest of a request, or the next one.
        if self._overhead <= MAX_OVERHEAD_BYTES:
            self._wait()
        elif is_answering:
            self._give_up()
        else:
            self._reject(
                ProblemError(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The headers of a request must have at most {MAX_OVERHEAD_BYTES} bytes.",
                )
            )

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Fields after the body, which could replace checked ones, are ignored."""
        if not self._has_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer a request."""
        super().on_headers_complete()
        self._has_headers = True
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Pass a part of a body on."""
        self._overhead -= len(body) + _FRAME_BYTES
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        self._overhead = 0
        self._has_headers, self._is_complete = False, True
        self._stop_waiting()

    def pause_writing(self) -> None:
        """Give a client that reads slowly a limited time."""
        super().pause_writing()
        self._sending = self.loop.call_later(self._timeout, self._give_up)

    def resume_writing(self) -> None:
        """Go on with a client that has read."""
        super().resume_writing()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Answer a request when those before it are answered."""
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _wait(self) -> None:
        """Give a client a limited time to send the rest of a request."""
        if self._receiving is None:
            # The guard answers a slow body with the status 408 before this ends.
            seconds = 2 * self._timeout if self._has_headers else self._timeout
            self._receiving = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _give_up(self) -> None:
        """Close the connection without an answer."""
        self._stop_answering()
        self.transport.abort()

    def _stop_answering(self) -> None:
        """Drop what the application still sends.

        The web server does so only for the latest of several requests of a connection.
        """
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _reject(self, error: ProblemError) -> None:
        """Answer without the application, and close the connection."""
        response = make_response(error)
        lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}", "connection: close"]
        lines += [f"{name.decode()}: {value.decode()}" for name, value in response.raw_headers]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + bytes(response.body))
        self.transport.close()
