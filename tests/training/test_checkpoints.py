"""Checkpoints: an interrupted training ends with the same weights."""

import errno
import logging
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bazar.config.networks import NetworkBlock
from bazar.data.splits import Splits
from bazar.errors import InputError
from bazar.models.networks.files import load_network, save_network
from bazar.training.checkpoints import Checkpoint, fingerprint
from bazar.training.trainer import TrainedNetwork, train_network
from bazar.training.warm_start import WarmStart
from tests.training.test_trainer import (
    BLOCKS,
    N_ITEMS,
    assert_same,
    block,
    change_training,
    cycle_split,
    train,
    vectors,
)


class StoppedError(Exception):
    """Raised to stop a training."""


class StopsAfter(Checkpoint):
    """Stops the training after some epochs."""

    def __init__(self, path: Path, epochs: int) -> None:
        super().__init__(path)
        self._left = epochs

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        super().save(fingerprint, arrays, facts)
        self._left -= 1
        if not self._left:
            raise StoppedError


def interrupt(path: Path, epochs: int, split: Splits, described: NetworkBlock) -> None:
    with pytest.raises(StoppedError):
        train(split, described, checkpoint=StopsAfter(path, epochs))
    assert path.is_file()


RESUMED = {
    name: change_training(described, epochs=5, early_stopping_patience=3)
    for name, described in BLOCKS.items()
    if name in {"softmax", "vector", "ids and titles"}
} | {"sampled": block({"epochs": 5, "sample_above": 3, "negatives": 4})}


@pytest.mark.parametrize("described", RESUMED.values(), ids=RESUMED.keys())
def test_interrupted_training_ends_with_the_same_weights(
    tmp_path: Path, described: NetworkBlock, caplog: pytest.LogCaptureFixture
) -> None:
    split, path = cycle_split(users=40), tmp_path / "training" / "state.npz"
    expected = train(split, described)
    # Twice: after the first epoch, and two epochs later.
    interrupt(path, 1, split, described)
    interrupt(path, 2, split, described)
    with caplog.at_level(logging.INFO):
        resumed = train(split, described, checkpoint=Checkpoint(path))
    assert "Resuming training after epoch 3 of 5" in caplog.messages
    assert_same(resumed, expected)
    # The checkpoint stays until the caller has saved the network.
    assert path.is_file()


def test_finished_training_runs_no_epoch(tmp_path: Path) -> None:
    split, described, path = cycle_split(users=40), block({"epochs": 2}), tmp_path / "state.npz"
    interrupt(path, 2, split, described)
    assert_same(train(split, described, checkpoint=Checkpoint(path)), train(split, described))


def test_damaged_checkpoint_is_reported_with_its_path(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "state.npz"
    described = block({"epochs": 2})
    interrupt(path, 1, split, described)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"state.npz cannot be read: .*\nDelete the file"):
        train(split, described, checkpoint=Checkpoint(path))


def test_checkpoint_of_another_training_is_not_used(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "state.npz"
    described = block({"epochs": 2})
    interrupt(path, 1, split, described)
    resumed = train(split, described, seed=2, checkpoint=Checkpoint(path))
    assert_same(resumed, train(split, described, seed=2))
    # Not even if only products without purchases were added.
    interrupt(path, 1, split, described)
    grown = train_network(
        split.train, split.validation, described, N_ITEMS + 3, 1, None, Checkpoint(path)
    )
    assert len(grown.training_log) == 2


def test_different_trainings_have_different_fingerprints() -> None:
    described, items = block(), np.arange(6, dtype=np.int32)
    marks = [
        fingerprint(*arguments)
        for arguments in (
            (described, 1, [items]),
            (described, 2, [items]),
            (block({"epochs": 3}), 1, [items]),
            (block(temperature=0.1), 1, [items]),
            (described, 1, [items[::-1]]),
            (described, 1, [items.astype(np.int64)]),
            (described, 1, [items.reshape(2, 3)]),
            (described, 1, [items[:3], items[3:]]),
            (described, 1, [items, items]),
        )
    ]
    assert len(set(marks)) == len(marks)
    assert fingerprint(block(), 1, [items.copy()]) == marks[0]


def test_checkpoint_is_loaded_unchanged_and_cleared(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "folder" / "state.npz")
    assert checkpoint.load("a") is None
    arrays = [np.arange(3), np.float32(0.5), np.zeros((2, 0))]
    checkpoint.save("a", arrays, {"epochs": [{"loss": 0.1}]})
    loaded = checkpoint.load("a")
    assert loaded is not None
    for found, expected in zip(loaded[0], arrays, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert loaded[1] == {"epochs": [{"loss": 0.1}]}
    assert checkpoint.load("b") is None
    checkpoint.clear()
    checkpoint.clear()
    assert checkpoint.load("a") is None


def test_full_disk_is_reported_in_one_line_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.npz"
    checkpoint = Checkpoint(path)
    checkpoint.save("a", [np.arange(3)], {"steps": 1})

    def raise_no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for written_by in ("numpy.savez", "os.fsync"):
        with monkeypatch.context() as patch, pytest.raises(InputError) as error:
            patch.setattr(written_by, raise_no_space)
            checkpoint.save("a", [np.ones(3)], {"steps": 2})
        assert str(error.value).startswith(f"No space is left on the disk of {path}.")
        assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    loaded = checkpoint.load("a")
    assert loaded is not None
    assert loaded[1] == {"steps": 1}


def test_checkpoint_that_cannot_be_written_is_reported_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    path = tmp_path / "folder" / "state.npz"
    with pytest.raises(InputError, match=rf"{path} cannot be written: .*"):
        Checkpoint(path).save("a", [np.ones(3)], {})


def test_two_processes_never_write_the_same_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, names = tmp_path / "state.npz", []
    write = np.savez

    def save_within_a_save(file: Any, **arrays: Any) -> None:
        names.append(file.name)
        if len(names) == 1:
            # Another process saves the same checkpoint at the same time.
            Checkpoint(path).save("a", [np.ones(3)], {"steps": 2})
        write(file, **arrays)

    monkeypatch.setattr("numpy.savez", save_within_a_save)
    Checkpoint(path).save("a", [np.zeros(3)], {"steps": 1})
    assert len(set(names)) == 2
    loaded = Checkpoint(path).load("a")
    assert loaded is not None
    assert loaded[1] == {"steps": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]


def test_interruption_is_logged_with_the_way_to_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split, described = cycle_split(users=20), block({"epochs": 3})
    checkpoint = Checkpoint(tmp_path / "state.npz")

    def interrupt_second_epoch(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        train_network(
            split.train, split.validation, described, N_ITEMS, 1, None, checkpoint,
            interrupt_second_epoch,
        )  # fmt: skip
    assert caplog.messages[-1] == (
        "Training was interrupted. Run the same command again to resume after the last finished "
        "epoch"
    )


def test_interrupted_warm_start_ends_with_the_same_weights(tmp_path: Path) -> None:
    split = cycle_split(users=40)
    described = change_training(BLOCKS["ids and titles"], epochs=3, average_weights=True)
    last = tmp_path / "last.keras"
    trained = train(split, change_training(described, epochs=1))
    network = trained.network
    network.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    save_network(network, last, last)

    def continue_training(checkpoint: Checkpoint | None, after_epoch: Any = None) -> TrainedNetwork:
        # Another process draws other numbers before it loads the network.
        random.seed()
        return train_network(
            split.train, split.validation, described, N_ITEMS, 2, vectors(), checkpoint,
            after_epoch,
            WarmStart(load_network(last), trained.optimizer.variables),
        )  # fmt: skip

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.raises(KeyboardInterrupt):
        continue_training(checkpoint, stop)
    resumed = []
    assert_same(continue_training(checkpoint, resumed.append), continue_training(None))
    assert [figures["epoch"] for figures in resumed] == [3]
