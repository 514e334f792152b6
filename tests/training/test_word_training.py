"""Networks that learn from the words of products."""

import numpy as np
import pytest

from bazar.data.item_words import ItemTexts
from bazar.data.splits import Splits, split_leave_one_out
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import TrainedNetwork, train_network
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import unit
from tests.training.test_trainer import RESIDUAL, block

N_KINDS, N_PER_KIND = 6, 5
N_ITEMS = N_KINDS * N_PER_KIND


def make_split() -> Splits:
    """Make a shop whose customers buy products of one kind. Nobody buys the last of each kind."""
    rng = np.random.default_rng(7)
    lists = []
    for user in range(90):
        items = np.arange(1, N_PER_KIND) + user % N_KINDS * N_PER_KIND
        lists.append([int(item) for item in rng.choice(items, 6)])
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def make_texts() -> ItemTexts:
    titles = [f"Thing kind{item // N_PER_KIND} no{item}" for item in range(N_ITEMS)]
    return ItemTexts(np.array([None, *titles], object), np.full(N_ITEMS + 1, None, object))


def train(words: str | None, texts: ItemTexts | None) -> TrainedNetwork:
    described = block(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.6,
        layers=[RESIDUAL], words=words,
    )  # fmt: skip
    split, vectors = make_split(), make_vectors()
    return train_network(split.train, split.validation, described, N_ITEMS, 1, vectors, texts=texts)


def make_vectors() -> np.ndarray:
    """Make title vectors that do not show the kind."""
    return unit(np.random.default_rng(3).normal(size=(N_ITEMS + 1, 24)))


def measure_share_of_own_kind(trained: TrainedNetwork) -> float:
    """Return how often the new product of the customer's kind is the first of the new products."""
    rows = make_split().test
    scorer = make_scorer(trained.network, make_vectors())
    new = np.arange(1, N_KINDS + 1) * N_PER_KIND
    best = np.concatenate(
        [scorer.score(part)[:, new].argmax(axis=1) for part in rows.iter_batches(32)]
    )
    targets = rows.list_targets()[1]
    return float(np.mean(best == (targets - 1) // N_PER_KIND))


def test_products_that_nobody_bought_are_ranked_by_their_words() -> None:
    texts = make_texts()
    # A sixth would be chance.
    assert measure_share_of_own_kind(train("title", texts)) > 0.6
    assert measure_share_of_own_kind(train(None, texts)) < 0.3


def test_words_need_texts() -> None:
    with pytest.raises(ValueError, match="texts are required"):
        train("title", None)
