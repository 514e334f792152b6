"""Train SASRec of RecTools with a full softmax. run.py starts it in RecTools' environment."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from peers.exchange import TOP_K, Part, SplitArrays
from peers.progress import parse_command_line

# All settings: two blocks, Adam at 0.001 and a softmax over the full catalogue.
SETTINGS: dict[str, dict[str, Any]] = {
    # The defaults of the library. Its public benchmark on Amazon Beauty also uses them.
    "defaults": {
        "n_factors": 256,
        "n_heads": 4,
        "dropout_rate": 0.2,
        "session_max_len": 100,
        "batch_size": 128,
    },
    # The defaults with shorter histories. Only 5% of the customers have more than 20 purchases. An
    # epoch takes a fifth of the time.
    "short": {
        "n_factors": 256,
        "n_heads": 4,
        "dropout_rate": 0.2,
        "session_max_len": 20,
        "batch_size": 128,
    },
    # A narrow network with high dropout, as in papers that tune SASRec for this data.
    "narrow": {
        "n_factors": 64,
        "n_heads": 2,
        "dropout_rate": 0.5,
        "session_max_len": 20,
        "batch_size": 128,
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


def recommend(model: SASRecModel, split: SplitArrays, part: Part) -> np.ndarray:
    """Return the best unseen items for the rows of a part, shape (rows, 20), int32."""
    users, histories = split.get_users(part), split.get_histories(part)
    interactions = build_dataset(
        np.repeat(users, [len(history) for history in histories]), np.concatenate(histories)
    )
    found = model.recommend(
        users, interactions, k=TOP_K, filter_viewed=True, on_unsupported_targets="ignore"
    )
    row_of = np.full(len(split.starts), -1)
    row_of[users] = np.arange(len(users))
    top = np.zeros((len(users), TOP_K), np.int32)
    top[row_of[found[Columns.User]], found[Columns.Rank] - 1] = found[Columns.Item]
    return top


def main() -> None:
    """Train the model of the command line and evaluate it."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    progress, seed = parse_command_line("rectools", SETTINGS)
    pl.seed_everything(seed)
    dataset = build_dataset(*progress.split.get_training_interactions())
    progress.start()
    model = SASRecModel(loss="softmax", **progress.facts["settings"])
    is_finished = False
    while not is_finished:
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        is_finished = progress.finish_epoch(lambda part: recommend(model, progress.split, part))


if __name__ == "__main__":
    main()
