"""The clock of a peer's training: what it reached after how many seconds, and when it stops."""

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

from peers.exchange import Part, SplitArrays, mean_metrics

Recommend = Callable[[Part], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """When a training stops.

    Attributes:
        minutes: of training, evaluation excluded; no epoch is begun that would end later.
        epochs: at most.
        evaluate_every: epochs between evaluations; they are not timed.
        patience: evaluations without a better validation NDCG@10.
    """

    minutes: float
    epochs: int
    evaluate_every: int
    patience: int


@dataclass
class Progress:
    """Keeps what a training reached: its clock runs in training alone.

    The validation part is measured every few epochs. When it is better than ever, the test rows
    are recommended to, and the table is kept: the test part is not looked at otherwise.

    Attributes:
        split: what is trained and measured on.
        folder: where ``curve.json`` and ``top.npy`` are written, after every evaluation.
        limits: when to stop.
        facts: what the training is, written beside the curve.
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
        """Start the clock."""
        self._resumed = time.perf_counter()

    def epoch_done(self, recommend: Recommend) -> bool:
        """Stop the clock, measure if it is time to, and start the clock again.

        Args:
            recommend: gives the top items of the rows of a part, shape (rows, 20), history filtered.

        Returns:
            Whether training is over.
        """
        self.seconds += time.perf_counter() - self._resumed
        self.epoch += 1
        self.stopped = self._why_to_stop()
        if self.stopped or self.epoch % self.limits.evaluate_every == 0:
            self._evaluate(recommend)
            waited = sum(point["epoch"] > self.best_epoch for point in self.curve)
            if not self.stopped and waited >= self.limits.patience:
                self.stopped = f"{waited} evaluations without a better one"
            self._write()
        self._resumed = time.perf_counter()
        return bool(self.stopped)

    def _why_to_stop(self) -> str:
        if self.epoch >= self.limits.epochs:
            return f"{self.epoch} epochs"
        if self.seconds * (self.epoch + 1) / self.epoch > self.limits.minutes * 60:
            return f"{self.limits.minutes:g} minutes"
        return ""

    def _evaluate(self, recommend: Recommend) -> None:
        metrics = mean_metrics(recommend("validation"), self.split.targets("validation"))
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


def from_command_line(library: str, settings: dict[str, dict[str, Any]]) -> tuple[Progress, int]:
    """Read what the driver asks of a peer.

    Args:
        library: the distribution's name.
        settings: arguments of the model, by the name of the setting.

    Returns:
        The progress, with the model's arguments as its fact ``settings``, and the seed.
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
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "library": f"{library} {importlib.metadata.version(library)}",
        "setting": given.setting,
        "settings": settings[given.setting],
        "seed": given.seed,
        "threads": os.cpu_count(),
    }
    limits = Limits(given.minutes, given.epochs, given.evaluate_every, given.patience)
    return Progress(SplitArrays.load(given.split), given.folder, limits, facts), given.seed
