"""Networks with their checksum and the state of their optimizer, and what a next training reads."""

from pathlib import Path

import keras
import numpy as np
import pytest
from kedro.io import DatasetError

from bazar.config.networks import NetworkOptions
from bazar.datasets.network import NetworkDataset
from bazar.datasets.previous_training import PreviousTrainingDataset
from bazar.models.networks.files import get_checksum_path, remove_old_checksums
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.training.optimizer_files import OptimizerState
from bazar.training.warm_start import NetworkState
from tests.evaluation.test_ranking import make_windows

OPTIONS = NetworkOptions.model_validate(
    {
        "item": "id",
        "item_dimension": 3,
        "layers": [{"type": "gru", "units": 4}],
        "head": "softmax",
    }
)
ROWS = make_windows([[1, 2], [3, 4, 5]], [6, 7])


def make_state(with_optimizer: bool = True) -> NetworkState:
    """Return an untrained network with the item ids 1 to 9."""
    network = build_network(OPTIONS, 9)
    network.item_ids = np.array(["", *map(str, range(1, 10))], object)
    variables = [np.array(7), np.arange(4, dtype=np.float32)]
    return NetworkState(network, OptimizerState("adam", variables) if with_optimizer else None)


def make_dataset(folder: Path, model: str = "classifier") -> NetworkDataset:
    return NetworkDataset(filepath=str(folder / f"{model}.keras"))


def assert_same_network(loaded: RecurrentNetwork, saved: RecurrentNetwork) -> None:
    scores = [make_scorer(network, None).score(ROWS) for network in (loaded, saved)]
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(loaded.item_ids, saved.item_ids)


def test_network_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    dataset, state = make_dataset(tmp_path), make_state()
    assert not dataset.exists()
    dataset.save(state)
    assert dataset.exists()
    assert_same_network(dataset.load(), state.network)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "classifier.keras", "classifier.keras.sha256", "classifier_optimizer.npz",
    ]  # fmt: skip
    assert get_checksum_path(tmp_path / "classifier.keras").read_text().count("\n") == 1


def test_saved_network_replaces_the_checkpoint_of_its_training(tmp_path: Path) -> None:
    previous = PreviousTrainingDataset(filepath=str(tmp_path)).load()
    for model in ("classifier", "regressor"):
        previous.get_checkpoint(model).save("fingerprint", [np.arange(3)], {"epoch": 1})
    make_dataset(tmp_path).save(make_state())
    assert previous.get_checkpoint("classifier").load("fingerprint") is None
    assert previous.get_checkpoint("regressor").load("fingerprint") is not None


def test_failed_save_leaves_the_earlier_network_and_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, earlier = make_dataset(tmp_path), make_state()
    dataset.save(earlier)
    checkpoint = PreviousTrainingDataset(filepath=str(tmp_path)).load().get_checkpoint("classifier")
    checkpoint.save("fingerprint", [np.arange(3)], {"epoch": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def save_half(network: RecurrentNetwork, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(RecurrentNetwork, "save", save_half)
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(make_state())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same_network(dataset.load(), earlier.network)


def test_network_that_carries_code_is_not_loaded(tmp_path: Path) -> None:
    history = keras.Input((3,))
    network = keras.Model(history, keras.layers.Lambda(lambda x: x)(history))
    path = tmp_path / "classifier.keras"
    network.save(path)
    remove_old_checksums(path)
    with pytest.raises(DatasetError, match=r"safe_mode|Lambda|lambda"):
        make_dataset(tmp_path).load()


def test_previous_network_is_loaded_with_its_optimizer(tmp_path: Path) -> None:
    previous = PreviousTrainingDataset(filepath=str(tmp_path)).load()
    assert previous.load_network("classifier") is None
    state = make_state()
    make_dataset(tmp_path).save(state)
    make_dataset(tmp_path, "regressor").save(make_state(with_optimizer=False))
    loaded = previous.load_network("classifier")
    assert loaded is not None
    assert loaded.optimizer is not None
    assert_same_network(loaded.network, state.network)
    assert loaded.optimizer.name == "adam"
    assert state.optimizer is not None
    for variable, expected in zip(
        loaded.optimizer.variables, state.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(variable, expected)
    without_optimizer = previous.load_network("regressor")
    assert without_optimizer is not None
    assert without_optimizer.optimizer is None


def test_optimizer_of_an_earlier_network_is_not_used(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_state())
    dataset.save(make_state(with_optimizer=False))
    loaded = PreviousTrainingDataset(filepath=str(tmp_path)).load().load_network("classifier")
    assert loaded is not None
    assert loaded.optimizer is None


def test_previous_training_is_read_only(tmp_path: Path) -> None:
    dataset = PreviousTrainingDataset(filepath=str(tmp_path))
    with pytest.raises(DatasetError, match="is read-only"):
        dataset.save(make_state())
    assert dataset.load().get_study_path() == tmp_path / "tuning.db"
