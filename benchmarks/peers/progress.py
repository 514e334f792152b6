"""Progress of the training of a peer: timer, validation, early stopping, and files to resume it."""

import argparse
import importlib.metadata
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bazar.atomic import atomic_path
from bazar.errors import InputError
from peers.exchange import FilterMode, Part, SplitArrays, compute_mean_metrics

PROGRESS_FILE, TEST_FILE = "progress.json", "test.npz"
# A function that returns the best items for the rows of a part, shape (rows, 20).
Recommend = Callable[[Part, FilterMode], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """When a training stops.

    Attributes:
        patience: number of epochs without a better validation NDCG@10 after which the training has
            converged.
        minutes: maximum training time, without evaluations. The training stops before an epoch that
            would exceed it, and is not finished. It continues with a higher limit.
    """

    patience: int
    minutes: float = math.inf


@dataclass
class Progress:
    """Measures and evaluates a training, and writes all that is needed to resume it.

    The model is evaluated on the validation rows after each epoch. The time of evaluations is not
    counted. The test rows are used once: when the training has converged, with the best weights.

    If the library has checkpoints, one is saved after each epoch. ``progress.json`` is written
    after the checkpoint, so that a killed training resumes at its last complete epoch. Only the
    checkpoints of the latest and of the best epoch are kept.

    Attributes:
        split: the data.
        folder: folder of the files.
        limits: when the training stops.
        facts: metadata of the training, saved with the curve.
        seconds: training time.
        curve: a point per epoch: ``epoch`` (from 1), ``seconds``, ``val_ndcg@10``, ``val_hr@10``.
    """

    split: SplitArrays
    folder: Path
    limits: Limits
    facts: dict[str, Any]
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    _resumed: float = 0.0

    def load(self) -> None:
        """Continue with the epochs that ``progress.json`` lists, if it exists.

        Raises:
            InputError: if it was written with other settings, another seed, version or split.
        """
        path = self.folder / PROGRESS_FILE
        if not path.is_file():
            return
        written = json.loads(path.read_text(encoding="utf-8"))
        for name, value in self.facts.items():
            if written["facts"].get(name) != value:
                raise InputError(
                    f"{self.folder} has a training with another {name}: "
                    f"{written['facts'].get(name)!r} instead of {value!r}. Delete the folder, or "
                    "select another one with --folder."
                )
        self.seconds, self.curve = written["seconds"], written["curve"]

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return len(self.curve)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation NDCG@10, from 1. 0 before the first epoch."""
        values = [point["val_ndcg@10"] for point in self.curve]
        return values.index(max(values)) + 1 if values else 0

    @property
    def has_converged(self) -> bool:
        """Whether the latest epochs brought no improvement."""
        return self.epoch - self.best_epoch >= self.limits.patience

    @property
    def is_out_of_time(self) -> bool:
        """Whether another epoch would exceed the time limit."""
        return self.seconds * (self.epoch + 1) / max(self.epoch, 1) > self.limits.minutes * 60

    @property
    def is_stopped(self) -> bool:
        """Whether no further epoch is trained."""
        return self.has_converged or self.is_out_of_time

    @property
    def is_finished(self) -> bool:
        """Whether the training has converged and the recommendations for the test rows exist."""
        return self.has_converged and (self.folder / TEST_FILE).is_file()

    def get_checkpoint_path(self, epoch: int) -> Path:
        """Return the path of the checkpoint of an epoch."""
        return self.folder / f"epoch_{epoch}.ckpt"

    def start(self) -> None:
        """Start the timer."""
        self._resumed = time.perf_counter()

    def finish_epoch(
        self, recommend: Recommend, save_checkpoint: Callable[[Path], None] | None = None
    ) -> None:
        """Record an epoch, evaluate the model on the validation rows, and write the files.

        Args:
            recommend: recommends with the weights after this epoch.
            save_checkpoint: writes the state of the training to a path. None: the library has no
                checkpoints.
        """
        self.seconds += time.perf_counter() - self._resumed
        top = recommend("validation", "filtered")
        metrics = compute_mean_metrics(top, self.split.get_targets("validation"))
        self.curve.append(
            {
                "epoch": self.epoch + 1,
                "seconds": round(self.seconds, 2),
                "val_ndcg@10": metrics["ndcg@10"],
                "val_hr@10": metrics["hr@10"],
            }
        )
        print(
            f"epoch {self.epoch}, {self.seconds / 60:.1f} min of training: "
            f"validation NDCG@10 {metrics['ndcg@10']:.4f}, best epoch {self.best_epoch}",
            flush=True,
        )
        if save_checkpoint is not None:
            save_checkpoint(self.get_checkpoint_path(self.epoch))
        self._write()
        self.start()

    def write_test_tables(self, recommend: Recommend) -> None:
        """Write the recommendations for the test rows.

        Args:
            recommend: recommends with the weights of the best epoch.
        """
        filtered, unfiltered = recommend("test", "filtered"), recommend("test", "unfiltered")
        with atomic_path(self.folder / TEST_FILE) as path:
            np.savez(path, filtered=filtered, unfiltered=unfiltered)

    def _write(self) -> None:
        document = {"facts": self.facts, "seconds": round(self.seconds, 2), "curve": self.curve}
        with atomic_path(self.folder / PROGRESS_FILE) as path:
            path.write_text(json.dumps(document, indent=2), encoding="utf-8")
        kept = {self.get_checkpoint_path(epoch) for epoch in (self.epoch, self.best_epoch)}
        for checkpoint in set(self.folder.glob("epoch_*.ckpt")) - kept:
            checkpoint.unlink()


def parse_command_line(library: str, settings: dict[str, Any]) -> Progress:
    """Return the progress of the training that the command line of a peer describes.

    Args:
        library: name of the library's distribution.
        settings: arguments of the model, written to ``progress.json``.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--max-minutes", type=float, required=True)
    parser.add_argument("--patience", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    split = SplitArrays.load(arguments.split)
    facts = {
        "library": f"{library} {importlib.metadata.version(library)}",
        "settings": settings,
        "seed": arguments.seed,
        "split": split.compute_fingerprint(),
        "threads": os.cpu_count(),
    }
    limits = Limits(arguments.patience, arguments.max_minutes)
    return Progress(split, arguments.folder, limits, facts)
