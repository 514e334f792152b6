"""SASRec with a full softmax as RecTools has it; started by run.py, in RecTools' environment."""

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
from peers.progress import from_command_line

# All with the library's two blocks, Adam at 0.001 and a softmax over the whole catalogue.
SETTINGS: dict[str, dict[str, Any]] = {
    # The library's own, and those of its public benchmark on Amazon Beauty.
    "defaults": {
        "n_factors": 256,
        "n_heads": 4,
        "dropout_rate": 0.2,
        "session_max_len": 100,
        "batch_size": 128,
    },
    # The same with shorter histories: one customer in twenty has more than 20 purchases there, and
    # an epoch costs a fifth.
    "short": {
        "n_factors": 256,
        "n_heads": 4,
        "dropout_rate": 0.2,
        "session_max_len": 20,
        "batch_size": 128,
    },
    # As papers that tune SASRec for this data do: narrow, with much dropout.
    "narrow": {
        "n_factors": 64,
        "n_heads": 2,
        "dropout_rate": 0.5,
        "session_max_len": 20,
        "batch_size": 128,
    },
}


def as_dataset(users: np.ndarray, items: np.ndarray) -> Dataset:
    """Put purchases, in order within each user, into RecTools' form."""
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: users,
                Columns.Item: items,
                Columns.Weight: 1,
                # It orders by a clock: a second for each purchase.
                Columns.Datetime: pd.to_datetime(np.arange(len(items)), unit="s"),
            }
        )
    )


def recommend(model: SASRecModel, split: SplitArrays, part: Part) -> np.ndarray:
    """Recommend to the rows of a part, history filtered, shape (rows, 20), int32."""
    users, histories = split.users(part), split.histories(part)
    known = as_dataset(
        np.repeat(users, [len(history) for history in histories]), np.concatenate(histories)
    )
    found = model.recommend(
        users, known, k=TOP_K, filter_viewed=True, on_unsupported_targets="ignore"
    )
    row_of = np.full(len(split.starts), -1)
    row_of[users] = np.arange(len(users))
    top = np.zeros((len(users), TOP_K), np.int32)
    top[row_of[found[Columns.User]], found[Columns.Rank] - 1] = found[Columns.Item]
    return top


def main() -> None:
    """Train and measure."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    progress, seed = from_command_line("rectools", SETTINGS)
    pl.seed_everything(seed)
    dataset = as_dataset(*progress.split.training())
    progress.start()
    model = SASRecModel(loss="softmax", **progress.facts["settings"])
    over = False
    while not over:
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        over = progress.epoch_done(lambda part: recommend(model, progress.split, part))


if __name__ == "__main__":
    main()
