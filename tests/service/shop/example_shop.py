"""The demo shop with the example store."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from bazar.service.gateway import Gateway
from bazar.service.shop.router import add_shop
from bazar.service.store import LiveStore
from tests.service.engine.example_store import make_engine


@contextmanager
def open_gateway(folder: Path) -> Iterator[Gateway]:
    store = LiveStore(f"sqlite:///{folder}/live.db")
    yield Gateway(store, make_engine())
    store.close()


def make_app(gateway: Gateway) -> FastAPI:
    app = FastAPI()
    add_shop(app, gateway)
    return app


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Serve an application in a thread, and return its address.

    The socket accepts connections before the server runs, so that nobody needs to wait for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def read_list(html: str, heading_id: str) -> list[str]:
    """Return the ids of the products of a section, in order."""
    section = html.partition(f'aria-labelledby="{heading_id}"')[2].partition("</section>")[0]
    return re.findall(r'data-bazar-item="([^"]*)"', section)
