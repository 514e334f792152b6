"""Networks that learn to recommend products that nobody has bought, by titles and by words."""

from typing import Any

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
# Fewer than items: whitening would make the titles of all items unrelated.
DIMENSION = 8


def make_split() -> Splits:
    """Make a shop whose customers buy products of one kind. Nobody buys the last of each kind."""
    rng = np.random.default_rng(7)
    lists = []
    for user in range(240):
        items = np.arange(1, N_PER_KIND) + user % N_KINDS * N_PER_KIND
        lists.append([int(item) for item in rng.choice(items, 6)])
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def make_texts() -> ItemTexts:
    titles = [f"Thing kind{item // N_PER_KIND} no{item}" for item in range(N_ITEMS)]
    return ItemTexts(np.array([None, *titles], object), np.full(N_ITEMS + 1, None, object))


def train(vectors: np.ndarray, texts: ItemTexts | None = None, **changes: Any) -> TrainedNetwork:
    described = block(
        {"id_dropout": changes.pop("id_dropout", 0)}, item="id+title", head="tied_softmax",
        temperature=0.1, layers=[RESIDUAL], **changes,
    )  # fmt: skip
    split = make_split()
    return train_network(split.train, split.validation, described, N_ITEMS, 1, vectors, texts=texts)


def make_vectors(shows_kind: bool) -> np.ndarray:
    """Make title vectors. Those of one kind are near to each other, or unrelated."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(N_ITEMS + 1, DIMENSION))
    if shows_kind:
        vectors[1:] += 2 * np.repeat(rng.normal(size=(N_KINDS, DIMENSION)), N_PER_KIND, axis=0)
    return unit(vectors)


def measure_share_of_own_kind(trained: TrainedNetwork, vectors: np.ndarray) -> float:
    """Return how often the new product of the customer's kind is the first of the new products."""
    test = make_split().test
    new = np.arange(1, N_KINDS + 1) * N_PER_KIND
    best = make_scorer(trained.network, vectors).score(test)[:, new].argmax(axis=1)
    return float(np.mean(best == (test.list_targets()[1] - 1) // N_PER_KIND))


def test_products_that_nobody_bought_are_ranked_by_their_words() -> None:
    vectors, texts = make_vectors(shows_kind=False), make_texts()
    with_words, without = (
        measure_share_of_own_kind(train(vectors, texts, words=words, id_dropout=0.5), vectors)
        for words in ("title", None)
    )
    assert with_words > 0.6
    # A sixth would be chance.
    assert without < 0.3


def test_products_that_nobody_bought_are_ranked_by_their_titles() -> None:
    vectors = make_vectors(shows_kind=True)
    found = measure_share_of_own_kind(train(vectors, id_dropout=0.5), vectors)
    # At least three times as often as by chance.
    assert found > 3 / N_KINDS


def test_learned_vectors_are_used_in_the_other_steps_only() -> None:
    vectors = make_vectors(shows_kind=True)
    lengths = {}
    for share in (0, 0.98):
        network = train(vectors, id_dropout=share).network
        embeddings = network.item_embedding.embeddings.numpy()[network.id_weights.numpy() > 0]
        lengths[share] = np.linalg.norm(embeddings, axis=1).mean()
    assert lengths[0.98] < 0.5 * lengths[0]
    # After the training, all of them are used.
    table = network.embed_catalogue(network.prepare_vectors(vectors))
    titles = network.title_adapter(network.prepare_vectors(vectors))
    np.testing.assert_allclose(
        (table - titles).numpy()[network.id_weights.numpy() > 0], embeddings, atol=1e-5
    )


def test_words_need_texts() -> None:
    with pytest.raises(ValueError, match="texts are required"):
        train(make_vectors(shows_kind=False), words="title")
