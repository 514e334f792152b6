"""The test part is read by evaluations alone: not to train, to tune, or to choose weights."""

from dataclasses import dataclass
from pathlib import Path

import ibis
import numpy as np
import pytest

from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BlendOptions
from bazar.config.networks import ModelOptions
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.modelling.nodes import make_training_function
from bazar.models.baselines import LastItemCooccurrence
from bazar.models.blend import Component
from bazar.models.popularity import Popularity
from bazar.pipelines.modelling_blend.nodes import choose_weights
from bazar.pipelines.tuning.nodes import tune
from bazar.training.previous_training import PreviousTraining
from tests.training.test_tuning import BAD, N_ITEMS, VECTORS, cycle, options_of

OPTIONS = ModelOptions(network="bad", networks={"bad": BAD})
INDEX = {"item_id": [f"P{item}" for item in range(N_ITEMS)], "item_index": range(1, N_ITEMS + 1)}


@dataclass(frozen=True)
class SplitsWithoutTest:
    """Splits whose test part cannot be read."""

    splits: Splits

    @property
    def train(self) -> Windows:
        return self.splits.train

    @property
    def validation(self) -> Windows:
        return self.splits.validation

    @property
    def training_counts(self) -> np.ndarray:
        return self.splits.training_counts

    @property
    def filter_seen(self) -> bool:
        return self.splits.filter_seen

    @property
    def test(self) -> Windows:
        raise AssertionError("the test part was read")


@pytest.fixture
def splits() -> SplitsWithoutTest:
    return SplitsWithoutTest(cycle())


@pytest.fixture
def item_index() -> ibis.Table:
    return ibis.memtable({name: list(values) for name, values in INDEX.items()})


@pytest.fixture
def products(item_index: ibis.Table) -> ibis.Table:
    return item_index.select("item_id", title=ibis.null(str), attributes=ibis.null(str))


def test_training_does_not_read_the_test_part(
    splits: SplitsWithoutTest, item_index: ibis.Table, products: ibis.Table, tmp_path: Path
) -> None:
    train = make_training_function("classifier")
    state, training = train(
        splits, item_index, VECTORS, products, OPTIONS, 42, False, PreviousTraining(tmp_path)
    )
    assert state.network.n_items == N_ITEMS
    assert len(training["log"]) == BAD.training.epochs


def test_tuning_does_not_read_the_test_part(
    splits: SplitsWithoutTest, products: ibis.Table, tmp_path: Path
) -> None:
    _, trials, _ = tune(
        splits, products, VECTORS, OPTIONS, OPTIONS, options_of(trials=2), 42,
        PreviousTraining(tmp_path),
    )  # fmt: skip
    assert len(trials) == 2


def test_weights_of_the_blend_do_not_depend_on_the_test_part(splits: SplitsWithoutTest) -> None:
    components = {
        "popularity": Component(Popularity(splits.training_counts)),
        "last_item_cooccurrence": Component(
            LastItemCooccurrence(splits.train, splits.training_counts)
        ),
    }
    blend = BlendOptions.model_validate(
        {
            "components": [{"model": name} for name in components],
            "seeds": [], "rows": 100, "rounds": 2, "seed": 1,
        }
    )  # fmt: skip
    evaluation = EvaluationOptions.model_validate(
        {
            "top_k": 20, "batch_size": 64, "bootstrap_resamples": 100, "validation_rows": 50,
            "seed": 1,
        }
    )  # fmt: skip
    training = choose_weights(components, {}, splits, blend, evaluation, 42)
    assert sum(training["weights"].values()) == pytest.approx(1)
