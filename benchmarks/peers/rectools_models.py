"""Train SASRec and eSASRec of RecTools. run.py starts this module in the environment of RecTools.

RecTools saves the weights, the optimizer and the epoch as a checkpoint of PyTorch Lightning. A
training that was stopped continues after its last complete epoch.
"""

import logging
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from peers.exchange import TOP_K, FilterMode, Part, SplitArrays
from peers.progress import Progress, parse_command_line

# The limits of the training stop it, not its maximum number of epochs.
COMMON: dict[str, Any] = {"batch_size": 128, "lr": 0.001, "epochs": 100_000}
SETTINGS: dict[str, dict[str, Any]] = {
    # The defaults of the library, with the latest 20 purchases instead of 100. Only 5% of the
    # customers of Amazon Beauty have more than 20.
    "sasrec": COMMON
    | {
        "loss": "softmax",
        "n_blocks": 2,
        "n_heads": 4,
        "n_factors": 256,
        "dropout_rate": 0.2,
        "session_max_len": 20,
    },
    # The configuration for Amazon Beauty of Tikhonovich et al. (2025), "eSASRec: Enhancing
    # Transformer-based Recommendations in a Modular Fashion".
    "esasrec": COMMON
    | {
        "loss": "sampled_softmax",
        "n_negatives": 256,
        "transformer_layers_type": "rectools.models.nn.transformers.ligr.LiGRLayers",
        "transformer_layers_kwargs": {"ff_factors_multiplier": 4},
        "use_key_padding_mask": True,
        "n_blocks": 1,
        "n_heads": 1,
        "n_factors": 64,
        "dropout_rate": 0.2,
        "session_max_len": 50,
    },
}


def build_dataset(users: np.ndarray, items: np.ndarray) -> Dataset:
    """Return a RecTools data set. The purchases of each user must be in order."""
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: users,
                Columns.Item: items,
                Columns.Weight: 1,
                # Timestamps define the order. Each purchase is one second later.
                Columns.Datetime: pd.to_datetime(np.arange(len(items)), unit="s"),
            }
        )
    )


def recommend(
    model: SASRecModel, split: SplitArrays, part: Part, filter_mode: FilterMode
) -> np.ndarray:
    """Return the best items for the rows of a part, shape (rows, 20), int32."""
    users, histories = split.get_users(part), split.get_histories(part)
    interactions = build_dataset(
        np.repeat(users, [len(history) for history in histories]), np.concatenate(histories)
    )
    found = model.recommend(
        users,
        interactions,
        k=TOP_K,
        filter_viewed=filter_mode == "filtered",
        on_unsupported_targets="ignore",
    )
    row_of = np.full(len(split.starts), -1)
    row_of[users] = np.arange(len(users))
    top = np.zeros((len(users), TOP_K), np.int32)
    top[row_of[found[Columns.User]], found[Columns.Rank] - 1] = found[Columns.Item]
    return top


def train(progress: Progress) -> None:
    """Train a model until the progress stops it, and recommend for the test rows if it converged.

    Each epoch has its own seed, so that a resumed training has the same result as an uninterrupted
    one.
    """
    dataset = build_dataset(*progress.split.get_training_interactions())
    checkpoint = progress.get_checkpoint_path(progress.epoch)
    if progress.epoch:
        model = SASRecModel.load_from_checkpoint(checkpoint)
    else:
        model = SASRecModel.from_params({"cls": "SASRecModel"} | progress.facts["settings"])
    progress.start()
    while not progress.is_stopped:
        pl.seed_everything(progress.facts["seed"] + progress.epoch)
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        progress.finish_epoch(
            lambda part, mode: recommend(model, progress.split, part, mode),
            model.fit_trainer.save_checkpoint,
        )
    if progress.has_converged:
        best = SASRecModel.load_from_checkpoint(progress.get_checkpoint_path(progress.best_epoch))
        progress.write_test_tables(lambda part, mode: recommend(best, progress.split, part, mode))


def main() -> None:
    """Train the model of the first command-line argument."""
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    progress = parse_command_line("rectools", SETTINGS[sys.argv.pop(1)])
    progress.load()
    train(progress)


if __name__ == "__main__":
    main()
