from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bazar.service.gateway import Gateway
from tests.service.shop.example_shop import make_app, open_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with open_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(gateway: Gateway) -> TestClient:
    """A browser without JavaScript."""
    return TestClient(make_app(gateway))
