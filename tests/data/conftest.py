import pytest

from bazar.data.title_embeddings import Encoder
from tests.data.tiny_encoder import build_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A small sentence encoder with random weights, which no test changes."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))
