import pytest

from bazar.service.engine.engine import Engine
from tests.service.engine.example_store import make_engine


@pytest.fixture(scope="session")
def shared_engine() -> Engine:
    """An engine that no test changes."""
    return make_engine()


@pytest.fixture
def engine() -> Engine:
    """An engine that a test may change."""
    return make_engine()
