"""Progress of the training of a peer: timer, evaluation and early stopping."""

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

from peers.exchange import Part, SplitArrays, compute_mean_metrics

Recommend = Callable[[Part], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """Limits of a training.

    Attributes:
        minutes: maximum training time, without evaluations. Training stops before an epoch that
            would exceed it.
        epochs: maximum number of epochs.
        evaluate_every: number of epochs between evaluations.
        patience: number of evaluations without improvement after which training stops.
    """

    minutes: float
    epochs: int
    evaluate_every: int
    patience: int


@dataclass
class Progress:
    """Measures and evaluates a training. The time of evaluations is not included.

    Every few epochs, the model is evaluated on the validation part. If its validation NDCG@10 is
    the best so far, the recommendations for the test rows are saved. There is no other use of the
    test part.

    Attributes:
        split: the data.
        folder: output folder of ``curve.json`` and ``top.npy``. They are written after evaluations.
        limits: limits of the training.
        facts: metadata of the training, saved with the curve.
    """

    split: SplitArrays
    folder: Path
    limits: Limits
    facts: dict[str, Any]
    seconds: float = 0.0
    stopped: str = ""
    epoch: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    _resumed: float = 0.0

    def start(self) -> None:
        """Start the timer."""
        self._resumed = time.perf_counter()

    def finish_epoch(self, recommend: Recommend) -> bool:
        """Record an epoch, evaluate the model if needed, and return whether training stops.

        Args:
            recommend: function that returns the best items for the rows of a part, shape
                (rows, 20), with seen items filtered.
        """
        self.seconds += time.perf_counter() - self._resumed
        self.epoch += 1
        self.stopped = self._find_stop_reason()
        if self.stopped or self.epoch % self.limits.evaluate_every == 0:
            self._evaluate(recommend)
            n_worse = sum(point["epoch"] > self.best_epoch for point in self.curve)
            if not self.stopped and n_worse >= self.limits.patience:
                self.stopped = f"{n_worse} evaluations without improvement"
            self._write()
        self._resumed = time.perf_counter()
        return bool(self.stopped)

    def _find_stop_reason(self) -> str:
        if self.epoch >= self.limits.epochs:
            return f"{self.epoch} epochs"
        if self.seconds * (self.epoch + 1) / self.epoch > self.limits.minutes * 60:
            return f"{self.limits.minutes:g} minutes"
        return ""

    def _evaluate(self, recommend: Recommend) -> None:
        metrics = compute_mean_metrics(
            recommend("validation"), self.split.get_targets("validation")
        )
        best = max((point["val_ndcg@10"] for point in self.curve), default=-math.inf)
        self.curve.append(
            {
                "epoch": self.epoch,
                "seconds": round(self.seconds, 2),
                "val_ndcg@10": metrics["ndcg@10"],
                "val_hr@10": metrics["hr@10"],
            }
        )
        print(
            f"epoch {self.epoch}, {self.seconds:.0f} s of training: "
            f"validation NDCG@10 {metrics['ndcg@10']:.4f}, HR@10 {metrics['hr@10']:.4f}",
            flush=True,
        )
        if metrics["ndcg@10"] > best:
            self.best_epoch = self.epoch
            np.save(self.folder / "top.npy", recommend("test"), allow_pickle=False)

    def _write(self) -> None:
        document = self.facts | {
            "epochs": self.epoch,
            "seconds": round(self.seconds, 2),
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "curve": self.curve,
        }
        temporary = self.folder / ".curve.json"
        temporary.write_text(json.dumps(document, indent=2), encoding="utf-8")
        temporary.replace(self.folder / "curve.json")


def parse_command_line(library: str, settings: dict[str, dict[str, Any]]) -> tuple[Progress, int]:
    """Return the progress and the seed from the command line of a peer.

    Args:
        library: name of the library's distribution.
        settings: arguments of the model by the name of the setting.

    Returns:
        The progress and the seed. ``progress.facts["settings"]`` holds the arguments of the model.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--setting", choices=list(settings), required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--evaluate-every", type=int, required=True)
    parser.add_argument("--patience", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "library": f"{library} {importlib.metadata.version(library)}",
        "setting": arguments.setting,
        "settings": settings[arguments.setting],
        "seed": arguments.seed,
        "threads": os.cpu_count(),
    }
    limits = Limits(
        arguments.minutes, arguments.epochs, arguments.evaluate_every, arguments.patience
    )
    return Progress(
        SplitArrays.load(arguments.split), arguments.folder, limits, facts
    ), arguments.seed
