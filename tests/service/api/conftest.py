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
from tests.service.store.postgresql import Server, explain_missing_server, run_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if reason := explain_missing_server():
        pytest.skip(reason)
    with run_server() as running:
        yield running


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as files, which no test changes."""
    return write_example(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LiveStore]:
    opened = LiveStore(f"sqlite:///{tmp_path}/live.db")
    yield opened
    opened.close()


Connect = Callable[..., TestClient]
"""Function that starts a process of the service and returns a client, with the options given."""


@pytest.fixture
def connect(store: LiveStore, bundle: Path) -> Iterator[Connect]:
    with ExitStack() as stack:

        def start(
            uses_keys: bool = False,
            folder: Path = bundle,
            rules: Path | None = None,
            **options: object,
        ) -> TestClient:
            loader = BundleLoader(folder, store, rules)
            app = create_app(loader, ServiceOptions.model_validate(options), uses_keys)
            client = TestClient(app, "http://localhost", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield start


@pytest.fixture
def client(connect: Connect) -> TestClient:
    return connect()
