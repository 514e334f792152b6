"""Train GRU4Rec and SASRec of Cornac. run.py starts this module in the environment of Cornac.

Cornac trains a model in one call, which creates the weights and the optimizer. It has no
checkpoints, so a training that was stopped starts again with the first epoch.
"""

import contextlib
import copy
import sys
from typing import Any

import numpy as np
import torch
from cornac.data import SequentialDataset
from cornac.models import GRU4Rec, SASRec
from cornac.models.gru4rec import recom_gru4rec
from cornac.models.sasrec import recom_sasrec

from peers.exchange import TOP_K, FilterMode, Part, SplitArrays, select_top
from peers.progress import Progress, parse_command_line

BATCH_SIZE = 512

# The limits of the training stop it, not its maximum number of epochs.
COMMON: dict[str, Any] = {"n_epochs": 100_000, "model_selection": "best", "val_eval_every": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    # The best setting with cross-entropy for a shop (REES46) of the authors of GRU4Rec.
    "gru4rec": COMMON
    | {
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
    # The defaults of the library, with the latest 20 purchases instead of 50.
    "sasrec": COMMON
    | {
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


class TrainingStopped(Exception):  # noqa: N818
    """Stops the training of Cornac, which has no option for early stopping."""


def build_dataset(split: SplitArrays) -> SequentialDataset:
    """Return the training part as a Cornac data set, with one session per user."""
    users, items = (array.tolist() for array in split.get_training_interactions())
    rows = list(zip(users, users, items, range(len(items)), strict=True))
    return SequentialDataset.from_usit(rows)


def score_gru4rec(model: GRU4Rec, histories: list[np.ndarray]) -> np.ndarray:
    """Return the scores of all items for a batch of histories. Cornac has no batch function.

    Args:
        model: a trained model.
        histories: item indices of Cornac, one array per row, the longest history first.

    Returns:
        Shape (rows, items), float32.
    """
    network = model.model
    network.eval()
    lengths = np.array([len(history) for history in histories])
    states = [torch.zeros(len(histories), units) for units in model.layers]
    any_item = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        for step in range(lengths.max(initial=0)):
            n_longer = int((lengths > step).sum())
            items = torch.tensor([int(history[step]) for history in histories[:n_longer]])
            step_states = [state[:n_longer] for state in states]
            network(items, step_states, any_item)
            for state, new in zip(states, step_states, strict=True):
                state[:n_longer] = new
        scores = network.score_items(states[-1], network.Wy.weight, network.By.weight)
    return scores[:, : model.total_items].numpy()


def score_sasrec(model: SASRec, histories: list[np.ndarray]) -> np.ndarray:
    """Return the scores of all items; see :func:`score_gru4rec`."""
    padded = np.full((len(histories), model.max_len), model.pad_idx)
    for row, history in enumerate(histories):
        latest = history[-model.max_len :]
        padded[row, model.max_len - len(latest) :] = latest
    model.model.eval()
    with torch.no_grad():
        scores = model.model(None, torch.tensor(padded), torch.arange(model.total_items))
    return scores.numpy()


def recommend(
    model: GRU4Rec | SASRec, split: SplitArrays, part: Part, filter_mode: FilterMode
) -> np.ndarray:
    """Return the best items for the rows of a part, shape (rows, 20), int32."""
    score = score_gru4rec if isinstance(model, GRU4Rec) else score_sasrec
    cornac_index = np.full(int(split.n_items) + 1, -1)
    cornac_index[list(model.iid_map)] = list(model.iid_map.values())
    histories = split.get_histories(part)
    # Sort by length, so that the histories of a batch have similar lengths.
    order = np.argsort([-len(history) for history in histories], kind="stable")
    top = np.zeros((len(histories), TOP_K), np.int32)
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        known = [cornac_index[histories[row]] for row in rows]
        known = [history[history >= 0] for history in known]
        by_length = np.argsort([-len(history) for history in known], kind="stable")
        scores = np.full((len(rows), int(split.n_items) + 1), -np.inf, np.float32)
        known_scores = score(model, [known[row] for row in by_length])
        scores[np.ix_(by_length, list(model.iid_map))] = known_scores
        seen = [histories[row] for row in rows] if filter_mode == "filtered" else None
        top[rows] = select_top(scores, seen)
    return top


def train(model: GRU4Rec | SASRec, progress: Progress) -> None:
    """Train a model until the progress stops it, and recommend for the test rows if it converged.

    Cornac calls the function ``val_score`` of its modules after each epoch, and has no other
    callback. It is replaced, because it scores one row at a time and cannot stop the training.
    """
    dataset = build_dataset(progress.split)
    best_weights: dict[str, torch.Tensor] = {}

    def recommend_for(part: Part, filter_mode: FilterMode) -> np.ndarray:
        return recommend(model, progress.split, part, filter_mode)

    def finish_epoch(*_: Any, **__: Any) -> None:
        progress.finish_epoch(recommend_for)
        if progress.best_epoch == progress.epoch:
            best_weights.update(copy.deepcopy(model.model.state_dict()))
        if progress.is_stopped:
            raise TrainingStopped

    for module in (recom_gru4rec, recom_sasrec):
        module.val_score = finish_epoch
    progress.start()
    with contextlib.suppress(TrainingStopped):
        model.fit(dataset, dataset)
    if progress.has_converged:
        model.model.load_state_dict(best_weights)
        progress.write_test_tables(recommend_for)


def main() -> None:
    """Train the model of the first command-line argument."""
    kind = sys.argv.pop(1)
    progress = parse_command_line("cornac", SETTINGS[kind])
    arguments = SETTINGS[kind] | {"seed": progress.facts["seed"]}
    torch.manual_seed(progress.facts["seed"])
    train(GRU4Rec(**arguments) if kind == "gru4rec" else SASRec(**arguments), progress)


if __name__ == "__main__":
    main()
