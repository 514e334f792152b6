"""GRU4Rec and SASRec as Cornac has them; started by run.py, in Cornac's environment."""

import sys
from typing import Any

import numpy as np
import torch
from cornac.data import SequentialDataset
from cornac.models import GRU4Rec, SASRec
from cornac.models.gru4rec import recom_gru4rec
from cornac.models.sasrec import recom_sasrec

from peers.exchange import TOP_K, Part, SplitArrays, top_unseen
from peers.progress import Progress, from_command_line

BATCH_SIZE = 512

GRU4REC: dict[str, dict[str, Any]] = {
    # Cornac's example with all its next-item models (transformer_rec_diginetica.py).
    "example": {
        "layers": [100],
        "loss": "cross-entropy",
        "dropout_p_hidden": 0.3,
        "sample_alpha": 0.75,
        "n_sample": 512,
        "batch_size": 64,
        "learning_rate": 0.1,
    },
    # What the authors of GRU4Rec found best for a shop (RetailRocket).
    "retailrocket": {
        "layers": [224],
        "loss": "bpr-max",
        "elu_param": 0.5,
        "bpreg": 1.95,
        "dropout_p_embed": 0.5,
        "dropout_p_hidden": 0.05,
        "sample_alpha": 0.4,
        "n_sample": 2048,
        "batch_size": 80,
        "learning_rate": 0.05,
        "momentum": 0.4,
    },
    # What they found best with cross-entropy for a shop (REES46).
    "rees46": {
        "layers": [512],
        "loss": "cross-entropy",
        "logq": 1.0,
        "dropout_p_embed": 0.45,
        "dropout_p_hidden": 0.0,
        "sample_alpha": 0.5,
        "n_sample": 2048,
        "batch_size": 240,
        "learning_rate": 0.065,
    },
}
SASREC: dict[str, dict[str, Any]] = {
    # The same example.
    "example": {
        "embedding_dim": 64,
        "loss": "cross-entropy",
        "n_sample": 512,
        "batch_size": 128,
        "max_len": 20,
        "num_blocks": 2,
        "num_heads": 2,
        "learning_rate": 0.01,
    },
    # The library's own, with the latest 20 purchases in place of 50.
    "short": {
        "embedding_dim": 100,
        "loss": "ce",
        "n_sample": 2048,
        "batch_size": 512,
        "max_len": 20,
        "num_blocks": 2,
        "num_heads": 1,
        "learning_rate": 0.001,
    },
}


class TrainingOver(Exception):  # noqa: N818
    """Leaves Cornac's loop over epochs, which knows no other end than the last one."""


def as_dataset(split: SplitArrays) -> SequentialDataset:
    """Put the training part into Cornac's form: one session per user."""
    users, items = (array.tolist() for array in split.training())
    rows = list(zip(users, users, items, range(len(items)), strict=True))
    return SequentialDataset.from_usit(rows)


def score_gru4rec(model: GRU4Rec, histories: list[np.ndarray]) -> np.ndarray:
    """Score every item, as Cornac does it for one history at a time.

    Args:
        model: a trained model.
        histories: Cornac's indices of the items, one array a row, the longest first.

    Returns:
        shape (rows, items), float32.
    """
    network = model.model
    network.eval()
    lengths = np.array([len(history) for history in histories])
    states = [torch.zeros(len(histories), units) for units in model.layers]
    any_item = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        for place in range(lengths.max(initial=0)):
            longer = int((lengths > place).sum())
            latest = torch.tensor([int(history[place]) for history in histories[:longer]])
            now = [state[:longer] for state in states]
            network(latest, now, any_item)
            for state, new in zip(states, now, strict=True):
                state[:longer] = new
        scores = network.score_items(states[-1], network.Wy.weight, network.By.weight)
    return scores[:, : model.total_items].numpy()


def score_sasrec(model: SASRec, histories: list[np.ndarray]) -> np.ndarray:
    """Score every item; see :func:`score_gru4rec`."""
    padded = np.full((len(histories), model.max_len), model.pad_idx)
    for row, history in enumerate(histories):
        latest = history[-model.max_len :]
        padded[row, model.max_len - len(latest) :] = latest
    model.model.eval()
    with torch.no_grad():
        scores = model.model(None, torch.tensor(padded), torch.arange(model.total_items))
    return scores.numpy()


def recommend(model: GRU4Rec | SASRec, split: SplitArrays, part: Part) -> np.ndarray:
    """Recommend to the rows of a part, history filtered, shape (rows, 20), int32."""
    score = score_gru4rec if isinstance(model, GRU4Rec) else score_sasrec
    inner_of = np.full(int(split.n_items) + 1, -1)
    inner_of[list(model.iid_map)] = list(model.iid_map.values())
    histories = split.histories(part)
    # Longest first: rows of a batch are then of like length.
    order = np.argsort([-len(history) for history in histories], kind="stable")
    top = np.zeros((len(histories), TOP_K), np.int32)
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        known = [inner_of[histories[row]] for row in rows]
        known = [history[history >= 0] for history in known]
        by_length = np.argsort([-len(history) for history in known], kind="stable")
        scores = np.full((len(rows), int(split.n_items) + 1), -np.inf, np.float32)
        found = score(model, [known[row] for row in by_length])
        scores[np.ix_(by_length, list(model.iid_map))] = found
        top[rows] = top_unseen(scores, [histories[row] for row in rows])
    return top


def train(model: GRU4Rec | SASRec, progress: Progress) -> None:
    """Train, and measure between the epochs."""
    dataset = as_dataset(progress.split)

    def after_epoch(trained: GRU4Rec | SASRec, *_: Any, **__: Any) -> None:
        if progress.epoch_done(lambda part: recommend(trained, progress.split, part)):
            raise TrainingOver

    # What Cornac calls to judge a model after an epoch; by its own it would score row after row.
    for module in (recom_gru4rec, recom_sasrec):
        module.val_score = after_epoch
    progress.start()
    try:
        model.fit(dataset, dataset)
    except TrainingOver:
        return


def main() -> None:
    """Train the model that the first argument names."""
    kind = sys.argv.pop(1)
    settings = GRU4REC if kind == "gru4rec" else SASREC
    progress, seed = from_command_line("cornac", settings)
    torch.manual_seed(seed)
    arguments = progress.facts["settings"] | {
        "n_epochs": progress.limits.epochs,
        "model_selection": "best",
        "val_eval_every": 1,
        "seed": seed,
    }
    train(GRU4Rec(**arguments) if kind == "gru4rec" else SASRec(**arguments), progress)


if __name__ == "__main__":
    main()
