"""The choice of the weight of title similarity."""

import numpy as np
import pytest

from bazar.data.splits import split_leave_one_out
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.scorers import make_scorer
from bazar.training import title_weight
from tests.data.test_splits import sequences_of
from tests.training.test_trainer import block, train, vectors


def test_title_weight_has_the_best_validation_ndcg() -> None:
    # Random purchases: the best weight depends on chance, and many weights differ.
    n_items = 60
    lists = np.random.default_rng(4).integers(1, n_items + 1, (60, 6)).tolist()
    split = split_leave_one_out(sequences_of(lists), n_items, history_length=8)
    described = block(
        {"epochs": 1, "learning_rate": 0.01}, item="title", temperature=0.1, history_decay=0.6,
        add_title_similarity=True,
    )  # fmt: skip
    trained = train(split, described)
    chosen, reached = (trained.facts[name] for name in ("title_weight", "val_ndcg@10"))

    def ndcg(weight: float) -> float:
        trained.network.title_weight.assign(weight)
        scorer = make_scorer(trained.network, vectors(n_items))
        ranks = rank_catalogue(scorer, split.validation, 20, 16)["filtered"].ranks
        rows = split.validation.list_targets()[0]
        return float(compute_row_metrics(ranks, rows)["ndcg@10"].mean())

    assert trained.network.title_weight.numpy() == np.float32(chosen)
    figures = {weight: ndcg(weight) for weight in title_weight._TITLE_WEIGHTS}
    assert reached == pytest.approx(max(figures.values()), abs=1e-6)
    assert figures[chosen] == pytest.approx(reached, abs=1e-6)
    assert figures[0.0] == pytest.approx(trained.training_log["val_ndcg@10"][0], abs=1e-6)
    assert len(set(figures.values())) > 3
