from pathlib import Path

import pytest

from bazar.serving.bundle import Bundle, write_bundle
from bazar.serving.recommender import Recommender
from tests.serving.example_bundle import make_bundle, train_networks


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle(train_networks())


@pytest.fixture(scope="session")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as files. Tests that change it copy it."""
    path = tmp_path_factory.mktemp("models") / "bundle"
    write_bundle(bundle, path)
    return path


@pytest.fixture(scope="session")
def recommender(folder: Path) -> Recommender:
    return Recommender.load(folder)
