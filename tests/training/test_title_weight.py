"""The choice of the weight of title similarity."""

import numpy as np
import pytest

from bazar.config.networks import NetworkBlock
from bazar.data.splits import Splits, split_leave_one_out, split_next_order
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.training import title_weight
from bazar.training.title_weight import choose_title_weight
from tests.data.test_splits import sequences_of
from tests.models.order_rows import make_order_sequences
from tests.training.test_trainer import block, train, vectors

N_ITEMS = 60
VECTORS = vectors(N_ITEMS)


@pytest.fixture(scope="module")
def random_split() -> Splits:
    # Random purchases: the best weight depends on chance, and many weights differ.
    lists = np.random.default_rng(4).integers(1, N_ITEMS + 1, (60, 6)).tolist()
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


@pytest.fixture(scope="module")
def circle_split() -> Splits:
    """Purchases of neighbours on a circle: each customer buys six items, one after another."""
    starts = np.random.default_rng(4).integers(N_ITEMS, size=60)
    lists = ((starts[:, None] + np.arange(6)) % N_ITEMS + 1).tolist()
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def describe(item: str, **training: float) -> NetworkBlock:
    return block(
        {"epochs": 1, "learning_rate": 0.01, **training}, item=item, temperature=0.1,
        history_decay=0.6, add_title_similarity=True,
    )  # fmt: skip


@pytest.fixture
def circle_network() -> RecurrentNetwork:
    """A network whose learned vectors are on the circle. The title adapter and the head are 0."""
    network = build_network(describe("id+title").network, N_ITEMS, VECTORS.shape[1])
    angles = 2 * np.pi * np.arange(N_ITEMS + 1) / N_ITEMS
    table = np.zeros(network.item_embedding.embeddings.shape, np.float32)
    table[:, :2] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    network.item_embedding.embeddings.assign(table)
    for weight in (*network.title_adapter.weights, *network.head.weights):
        weight.assign(np.zeros(weight.shape, np.float32))
    return network


def measure_ndcg_by_weight(network: RecurrentNetwork, split: Splits) -> np.ndarray:
    """Rank the catalogue with each weight, as an evaluation does."""
    figures = []
    for weight in title_weight._TITLE_WEIGHTS:
        network.title_weight.assign(weight)
        scorer = make_scorer(network, VECTORS)
        ranks = rank_catalogue(scorer, split.validation, 20, 16)["filtered"].ranks
        rows = split.validation.list_targets()[0]
        figures.append(compute_row_metrics(ranks, rows)["ndcg@10"].mean())
    return np.array(figures)


def test_title_weight_has_the_best_validation_ndcg(
    random_split: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(title_weight, "VALIDATION_BATCH_ROWS", 16)
    trained = train(random_split, describe("title"))
    chosen, reached = (trained.facts[name] for name in ("title_weight", "val_ndcg@10"))
    assert trained.network.title_weight.numpy() == np.float32(chosen)
    figures = measure_ndcg_by_weight(trained.network, random_split)
    assert reached == pytest.approx(figures.max(), abs=1e-6)
    assert figures[title_weight._TITLE_WEIGHTS.index(chosen)] == pytest.approx(reached, abs=1e-6)
    assert figures[0] == pytest.approx(trained.training_log["val_ndcg@10"][0], abs=1e-6)
    assert len(set(figures)) > 3


def test_share_of_cold_items_weights_the_results_without_learned_vectors(
    circle_split: Splits, circle_network: RecurrentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With one group, all learned vectors are left out at the same time.
    monkeypatch.setattr(title_weight, "_GROUPS", 1)
    monkeypatch.setattr(title_weight, "VALIDATION_BATCH_ROWS", 16)
    id_weights = circle_network.id_weights.numpy()
    known = measure_ndcg_by_weight(circle_network, circle_split)
    circle_network.id_weights.assign(np.zeros_like(id_weights))
    new = measure_ndcg_by_weight(circle_network, circle_split)
    circle_network.id_weights.assign(id_weights)
    assert known[0] == pytest.approx(1)
    assert new[0] < new.max() < 1
    for share in (0.0, 0.25, 0.5, 1.0):
        facts = choose_title_weight(circle_network, VECTORS, circle_split.validation, True, share)
        position = int(((1 - share) * known + share * new).argmax())
        assert facts["title_weight"] == title_weight._TITLE_WEIGHTS[position]
        # A small share does not outweigh the results of known items.
        assert (facts["title_weight"] > 0) == (share >= 0.5)
        assert facts["val_ndcg@10"] == pytest.approx(known[position], abs=1e-6)
        if share:
            assert facts["val_ndcg@10_as_cold_items"] == pytest.approx(new[position], abs=1e-6)
        np.testing.assert_array_equal(circle_network.id_weights.numpy(), id_weights)


def test_only_a_tenth_of_the_learned_vectors_is_left_out_at_a_time(
    circle_split: Splits, circle_network: RecurrentNetwork
) -> None:
    # The neighbours of a left-out item keep their vectors, and have scores near the maximum. A
    # left-out item can only be above them if the weight of its title is large.
    facts = choose_title_weight(circle_network, VECTORS, circle_split.validation, True, 1)
    assert facts["title_weight"] >= 1
    assert facts["val_ndcg@10_as_cold_items"] > 0


def test_every_target_is_measured_once_as_a_cold_item(
    circle_split: Splits, circle_network: RecurrentNetwork
) -> None:
    # If the learned vectors are 0, it makes no difference to leave them out.
    table = circle_network.item_embedding.embeddings
    table.assign(np.zeros(table.shape, np.float32))
    facts = choose_title_weight(circle_network, VECTORS, circle_split.validation, True, 0.5, 3)
    assert facts["val_ndcg@10_as_cold_items"] == pytest.approx(facts["val_ndcg@10"], abs=1e-6)
    assert facts["val_ndcg@10"] > 0


def test_items_without_titles_are_not_measured_as_cold_items(
    circle_split: Splits, circle_network: RecurrentNetwork
) -> None:
    untitled = np.zeros_like(VECTORS)
    facts = choose_title_weight(circle_network, untitled, circle_split.validation, True, 0.5)
    assert facts == {"title_weight": 0, "val_ndcg@10": pytest.approx(1)}


def test_repeats_are_not_measured_as_cold_items(
    circle_network: RecurrentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(title_weight, "_GROUPS", 1)
    # The validation target of half of the customers is an item that they bought before.
    lists = [
        [user, user + 1, user + 2, user + 3, user + 2 if user % 2 else user + 4, 60]
        for user in range(1, 51)
    ]
    split = split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)
    network, validation = circle_network, split.validation
    is_repeat = validation.find_repeats()
    assert is_repeat.mean() == 0.5
    facts = choose_title_weight(network, VECTORS, validation, False, 1)
    alone = choose_title_weight(network, VECTORS, validation.filter(~is_repeat), False, 1)
    name = "val_ndcg@10_as_cold_items"
    assert facts[name] == pytest.approx(alone[name])
    assert facts[name] > 0
    repeats = validation.filter(is_repeat)
    assert name not in choose_title_weight(network, VECTORS, repeats, False, 1)


def test_orders_of_several_items_count_once(
    circle_network: RecurrentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With one group and without learned vectors, both results are those of the complete orders.
    monkeypatch.setattr(title_weight, "_GROUPS", 1)
    table = circle_network.item_embedding.embeddings
    table.assign(np.zeros(table.shape, np.float32))
    several = [[[item], [item + 1, item + 2], [item + 3, item + 8], [60]] for item in range(1, 31)]
    single = [[[item], [item + 6], [item + 2], [60]] for item in range(1, 31)]
    orders = [*several, *single]
    split = split_next_order(make_order_sequences(orders), N_ITEMS, history_length=8)
    facts = choose_title_weight(circle_network, VECTORS, split.validation, True, 0.5)
    assert facts["val_ndcg@10_as_cold_items"] == pytest.approx(facts["val_ndcg@10"], abs=1e-6)
    assert set(split.validation.n_targets) == {1, 2}


def test_training_uses_the_share_of_cold_items(random_split: Splits) -> None:
    facts = train(random_split, describe("id+title", cold_item_share=0.5)).facts
    assert 0 < facts["val_ndcg@10_as_cold_items"] <= 1
