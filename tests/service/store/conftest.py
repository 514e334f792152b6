from collections.abc import Iterator
from pathlib import Path

import pytest

from bazar.service.store import LiveStore
from tests.service.store.postgresql import Server, explain_missing_server, run_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if reason := explain_missing_server():
        pytest.skip(reason)
    with run_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database or schema."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/live.db"
    running: Server = request.getfixturevalue("server")
    return running.create_schema()


@pytest.fixture
def store(url: str) -> Iterator[LiveStore]:
    opened = LiveStore(url)
    yield opened
    opened.close()
