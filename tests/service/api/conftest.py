import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bazar.config.service import ServiceOptions
from bazar.service.api.app import create_app
from bazar.service.loading import BundleLoader
from bazar.service.store import LiveStore
from tests.service.example_bundles import write_example
from tests.service.store.conftest import server, store, url  # noqa: F401

Connect = Callable[..., TestClient]
"""Function that starts a process of the service and returns a client, with the options given."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as files, which no test changes."""
    return write_example(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[LiveStore]:
    opened = LiveStore(f"sqlite:///{tmp_path}/live.db")
    yield opened
    opened.close()


def open_client(
    stack: ExitStack,
    folder: Path,
    live_store: LiveStore,
    rules: Path | None = None,
    uses_keys: bool = False,
    **options: object,
) -> TestClient:
    """Start a process of the service and return its client."""
    loader = BundleLoader(folder, live_store, rules)
    app = create_app(loader, ServiceOptions.model_validate(options), uses_keys)
    client = TestClient(app, "http://localhost", raise_server_exceptions=False)
    client.app_state["loader"] = loader
    return stack.enter_context(client)


@pytest.fixture
def connect(sqlite_store: LiveStore, bundle: Path) -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda **values: open_client(
            stack, **({"folder": bundle, "live_store": sqlite_store} | values)
        )


@pytest.fixture(scope="session")
def client(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a service that no test changes."""
    path = tmp_path_factory.mktemp("store") / "live.db"
    with ExitStack() as stack:
        opened = LiveStore(f"sqlite:///{path}")
        stack.callback(opened.close)
        yield open_client(stack, bundle, opened)


@pytest.fixture(autouse=True)
def _log_requests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bazar.service")
