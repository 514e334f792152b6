"""The bundle as a data set: a folder that is replaced as a unit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from kedro.io import DatasetError

from bazar.config.recommendation import BundleOptions
from bazar.datasets.bundle import BundleDataset
from bazar.serving.bundle import Bundle
from bazar.serving.recommender import Recommender
from tests.serving.example_bundle import PURCHASES, make_bundle


@pytest.fixture
def bundle() -> Bundle:
    """A bundle that recommends by baselines alone."""
    return make_bundle({}, models=("ease", "popularity"), weights={})


def list_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def change_filter(bundle: Bundle) -> Bundle:
    options = BundleOptions.model_validate(bundle.options.model_dump() | {"filter_seen": False})
    return replace(bundle, options=options)


def test_bundle_is_loaded_as_it_was_saved(tmp_path: Path, bundle: Bundle) -> None:
    dataset = BundleDataset(filepath=str(tmp_path / "bundle"))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"checksums\.sha256"):
        dataset.load()
    dataset.save(bundle)
    assert dataset.exists()
    loaded = dataset.load()
    assert loaded.options == bundle.options
    assert loaded.products.item_ids.tolist() == bundle.products.item_ids.tolist()
    history = bundle.products.item_ids[PURCHASES[0]].tolist()
    expected = Recommender(bundle).recommend(history, 5).to_json()
    assert Recommender(loaded).recommend(history, 5).to_json() == expected


def test_saved_bundle_replaces_the_earlier_folder(tmp_path: Path, bundle: Bundle) -> None:
    dataset = BundleDataset(filepath=str(tmp_path / "bundle"))
    dataset.save(bundle)
    (tmp_path / "bundle" / "of_an_earlier_run.txt").write_text("")
    dataset.save(change_filter(bundle))
    assert dataset.load().options.filter_seen is False
    assert "of_an_earlier_run.txt" not in list_files(tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_failed_save_leaves_the_earlier_bundle(tmp_path: Path, bundle: Bundle) -> None:
    dataset = BundleDataset(filepath=str(tmp_path / "bundle"))
    dataset.save(bundle)
    before = list_files(tmp_path)
    incomplete = make_bundle({}, models=("classifier",), weights={})
    with pytest.raises(DatasetError, match=r"not trained: seed_42/classifier"):
        dataset.save(incomplete)
    assert list_files(tmp_path) == before


def test_earlier_bundle_is_found_after_a_kill_between_both_renames(
    tmp_path: Path, bundle: Bundle
) -> None:
    dataset = BundleDataset(filepath=str(tmp_path / "bundle"))
    dataset.save(bundle)
    # A save first renames the earlier folder, then the new one.
    (tmp_path / "bundle").rename(tmp_path / ".earlier.bundle")
    assert dataset.exists()
    assert dataset.load().options == bundle.options


def test_copied_bundle_is_loaded_elsewhere(tmp_path: Path, bundle: Bundle) -> None:
    BundleDataset(filepath=str(tmp_path / "bundle")).save(bundle)
    shutil.move(tmp_path / "bundle", tmp_path / "elsewhere")
    recommender = Recommender.load(tmp_path / "elsewhere")
    assert recommender.models == ("ease", "popularity")
    assert len(recommender.recommend(recommender.history("u000"), 3)) == 3
