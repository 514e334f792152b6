"""Run the application in one process or in several, until a signal ends them."""

import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits
from uvicorn.supervisors import Multiprocess

from bazar.config.service import ServiceOptions
from bazar.errors import InputError
from bazar.service.api.app import create_app
from bazar.service.api.logs import configure_logging
from bazar.service.api.protocol import BoundedProtocol
from bazar.service.loading import BundleLoader
from bazar.service.opening import OpenedBundle
from bazar.service.process import settle_process
from bazar.service.store import LiveStore, StoreError

logger = logging.getLogger(__name__)

# A worker that does not answer its supervisor for so long is replaced.
_HANG_SECONDS = 60
# Files of the bundle, of the database and of the metrics.
_N_FILES = 250
# Other systems have sockets that share a port, but give all connections to one of them.
_SPREADS_CONNECTIONS = sys.platform == "linux"
_SOCKETS_PER_WORKER = 4


@dataclass(frozen=True)
class ServerSettings:
    """What a process needs to start. It can be sent to another process.

    Attributes:
        folder: the bundle, or ``data/06_models/<dataset>``.
        database_url: URL of the store.
        options: limits and defaults.
        uses_keys: whether requests need a key.
        has_shop: whether the demo shop is at ``/``.
    """

    folder: Path
    database_url: str
    options: ServiceOptions
    uses_keys: bool
    has_shop: bool = False


class _WorkerPort:
    """The port of a listening socket. Sent to a worker, it becomes a socket of the worker alone.

    All these sockets share the port, and Linux spreads new connections over them evenly. A single
    socket is uneven: the worker that wakes first takes all connections that wait. A worker listens
    when it can answer, and no more when it has died.
    """

    def __init__(self, listener: socket.socket) -> None:
        """Keep the port.

        Args:
            listener: a socket that shares its port.
        """
        self._family, self._address = listener.family, listener.getsockname()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a worker creates its socket, which does not listen yet."""
        return _bind, (self._family, self._address)


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that shares a port, and does not listen yet."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        # As socket.create_server does.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind(address)
    return bound


class _Supervisor(Multiprocess):
    """Starts the workers, replaces those that died, and passes SIGHUP on to them."""

    def handle_hup(self) -> None:
        """Let each worker look for a new bundle, and keep it running."""
        for process in self.processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)


def open_loader(
    settings: ServerSettings, store: LiveStore, opened: OpenedBundle | None = None
) -> BundleLoader:
    """Open the bundle for this process.

    Args:
        settings: what the process needs.
        store: the store.
        opened: the bundle and the rules of the settings, if they are open already.

    Raises:
        InputError: if the database, the bundle or the rules cannot be used.
        StoreError: if the database fails.
    """
    # Several threads of BLAS are slower under load than one for each request.
    threadpool_limits(1)
    options = settings.options
    return BundleLoader(settings.folder, store, options.rules, options.max_live_events, opened)


def run_server(settings: ServerSettings, loader: BundleLoader, listener: socket.socket) -> None:
    """Answer requests in this process until SIGTERM or SIGINT.

    Args:
        settings: what the process needs.
        loader: the result of :func:`open_loader`.
        listener: the bound socket.
    """
    configure_logging()
    _allow_connections(settings.options)
    app = create_app(loader, settings.options, settings.uses_keys, settings.has_shop)

    def end(*_: object) -> None:
        if getattr(app.state, "is_stuck", False):
            # Python would wait without a timeout for the threads that wait for the database.
            os._exit(0)
        sys.exit(0)

    # The web server passes the signal on after it has ended. It is no failure.
    signal.signal(signal.SIGTERM, end)
    settle_process()
    uvicorn.Server(_configure(app, settings.options)).run([listener])


def run_workers(settings: ServerSettings, listener: socket.socket, n_workers: int) -> None:
    """Answer requests in several processes until SIGTERM or SIGINT.

    Args:
        settings: what each process needs.
        listener: a socket of :func:`listen` that shares its port.
        n_workers: number of processes.
    """
    configure_logging()
    with tempfile.TemporaryDirectory(prefix="bazar-metrics-") as folder:
        # The processes write their metrics there, so that each can answer with the sums.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        config = _configure(partial(_open_in_worker, settings), settings.options, n_workers)
        # The common socket keeps the connections that arrive before a worker can answer. With
        # several sockets for each worker, it gets only a few of the later ones.
        sockets: list[Any] = [listener]
        if _SPREADS_CONNECTIONS:
            sockets += [_WorkerPort(listener) for _ in range(_SOCKETS_PER_WORKER)]
        _Supervisor(config, sockets).run()


def listen(host: str, port: int, shares_port: bool = False) -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        host: a name or an address.
        port: 0 for any free port.
        shares_port: whether further sockets of this user can have the same port, where the system
            spreads connections over them.

    Raises:
        InputError: if the address is invalid or in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
        if shares_port and _SPREADS_CONNECTIONS:
            # The first socket has shown that no other program has the port.
            address = listener.getsockname()
            listener.close()
            listener = socket.create_server(
                address[:2], family=family, backlog=2048, reuse_port=True
            )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The service cannot listen on {host}, port {port}: {error}. Choose another --port or "
            "--host."
        ) from error
    listener.set_inheritable(True)
    return listener


def _open_in_worker(settings: ServerSettings) -> FastAPI:
    configure_logging()
    _allow_connections(settings.options)
    threading.Thread(target=_stop_with_supervisor, daemon=True).start()
    try:
        loader = open_loader(settings, LiveStore(settings.database_url))
        app = create_app(loader, settings.options, settings.uses_keys, settings.has_shop)
    except (InputError, StoreError) as error:
        logger.error("the process cannot start: %s", error)
        # The supervisor starts another one. With uvicorn's own status for a failed start, it would
        # stop all others, too.
        raise SystemExit(1) from None
    settle_process()
    return app


def _stop_with_supervisor() -> None:
    """Stop this worker when its supervisor has ended. Otherwise it would keep the port."""
    supervisor = parent_process()
    assert supervisor is not None
    supervisor.join()
    logger.error("the main process has ended: this process stops, too")
    os.kill(os.getpid(), signal.SIGTERM)


def _allow_connections(options: ServiceOptions) -> None:
    """Raise the limit of open files, which is 1,024 on many hosts, if connections need more."""
    limit, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * options.max_connections + _N_FILES
    if resource.RLIM_INFINITY not in {limit, maximum}:
        needed = min(needed, maximum)
    if limit != resource.RLIM_INFINITY and limit < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, maximum))


def _configure(
    app: FastAPI | Callable[[], FastAPI], options: ServiceOptions, n_workers: int = 1
) -> uvicorn.Config:
    protocol = partial(
        BoundedProtocol,
        # The guard answers those above the half of it.
        max_connections=2 * options.max_connections,
        timeout_seconds=options.body_timeout_seconds,
    )
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]
        factory=not isinstance(app, FastAPI),
        workers=n_workers,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=options.shutdown_seconds,
        timeout_worker_healthcheck=_HANG_SECONDS,
    )
