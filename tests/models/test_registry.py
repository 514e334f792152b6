import subprocess
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from bazar.config.models import BASELINES, BlendComponent, BlendOptions
from bazar.data.splits import Splits
from bazar.errors import InputError
from bazar.models.baselines import NearestTitles
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import NetworkClassifier, NetworkRegressor
from bazar.models.registry import (
    ModelRegistry,
    get_network_path,
    make_network_reader,
)
from tests.models.networks.test_networks import (
    build_random_network,
    describe_network,
    make_title_vectors,
)
from tests.models.test_baselines import BASELINE_OPTIONS, make_random_split

# A process that builds all baselines and ranks rows with them.
BASELINES_ALONE = """
import sys
import numpy as np
from bazar.config.models import BASELINES, BaselineOptions
from bazar.data.windows import Windows
from bazar.data.sequences import Sequences
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.recommending import recommend_items
from bazar.models.registry import ModelRegistry, make_network_reader
import pyarrow as pa

users = pa.array(["a", "b", "c"], pa.large_string())
items = np.array([1, 2, 3, 2, 3, 4, 1, 4, 5], np.int32)
sequences = Sequences(users, items, np.array([0, 3, 6, 9]))
rows = Windows(sequences, np.array([1, 2, 4, 5, 7, 8]), 5)
counts = np.bincount(items, minlength=6)
vectors = np.vstack([np.zeros(5), np.eye(5)]).astype(np.float32)
options = BaselineOptions.model_validate({
    "decayed_cooccurrence": {"distance_power": 0.5, "backward_weight": 0.25,
                             "popularity_power": 0.1, "history_decay": 0.5},
    "session_knn": {"neighbours": 2, "history_decay": 0.5},
    "ease": {"regularisation": 2.0, "history_decay": 0.7, "max_items": 10},
    "recent_personal_frequency": {"decay": 0.8},
    "tifu_knn": {"groups": 3, "order_decay": 0.9, "group_decay": 0.7, "neighbours": 2,
                 "own_weight": 0.7},
    "repurchase_timing": {"smoothing": 2},
})
registry = ModelRegistry(vectors, rows, counts, counts, options, make_network_reader({}))
components = {}
for name in BASELINES:
    scorer = registry.get_scorer(name, 42)
    rankings = rank_catalogue(scorer, rows, 3, 4)
    assert rankings["filtered"].items.shape == (6, 3), name
    recommend_items(scorer, rows, 3, True)
    scorer.to_shares(scorer.score(rows))
loaded = {"tensorflow", "keras", "torch", "sentence_transformers", "kedro"} & set(sys.modules)
assert not loaded, loaded
assert "bazar.models.networks.recurrent" not in sys.modules
"""


def make_registry(
    split: Splits, networks: Mapping[str, Callable[[], RecurrentNetwork]] | None = None
) -> ModelRegistry:
    return ModelRegistry(
        make_title_vectors(),
        split.train,
        split.training_counts,
        split.recent_counts,
        BASELINE_OPTIONS,
        make_network_reader(networks or {}),
    )


def test_baselines_import_no_tensorflow() -> None:
    run = subprocess.run(
        [sys.executable, "-c", BASELINES_ALONE], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_every_model_is_built_once() -> None:
    loads: list[str] = []

    def load(head: str) -> RecurrentNetwork:
        loads.append(head)
        item = {"item": "title", "item_dimension": None} if head == "vector" else {}
        return build_random_network(describe_network(head=head, **item))

    split = make_random_split(6, n_items=20)
    registry = make_registry(
        split,
        {
            "seed_42/classifier": lambda: load("softmax"),
            "seed_42/regressor": lambda: load("vector"),
            "seed_43/classifier": lambda: load("tied_softmax"),
        },
    )
    assert set(registry.names) == {"blend", "classifier", "regressor", *BASELINES}
    for name in registry.names:
        if name != "blend":
            assert registry.get_scorer(name, 42) is registry.get_scorer(name, 42)
    classifiers = [registry.get_scorer("classifier", seed) for seed in (42, 43)]
    assert classifiers[0] is not classifiers[1]
    assert loads == ["softmax", "vector", "tied_softmax"]
    assert all(isinstance(scorer, NetworkClassifier) for scorer in classifiers)
    regressor, nearest = (
        registry.get_scorer("regressor", 42),
        registry.get_scorer("nearest_titles", 42),
    )
    assert isinstance(regressor, NetworkRegressor)
    assert isinstance(nearest, NearestTitles)
    # The title vectors are indexed once for both.
    assert regressor.index is nearest.index


def test_networks_are_found_by_model_and_seed() -> None:
    assert get_network_path("classifier", 42) == "seed_42/classifier"
    assert get_network_path("short.keras", 7) == "seed_7/short"


def test_a_missing_network_is_reported_with_the_command_that_trains_it() -> None:
    registry = make_registry(make_random_split(6, n_items=20))
    expected = r"no regressor with seed 43.*--pipelines modelling_regressor --params seed=43"
    with pytest.raises(InputError, match=expected):
        registry.get_scorer("regressor", 43)
    with pytest.raises(InputError, match=r"seed_42/other.keras is not among the trained networks"):
        registry.get_scorer("other.keras", 42)


def test_a_blend_needs_the_weights_of_its_own_components() -> None:
    registry = make_registry(make_random_split(6, n_items=20))
    options = BlendOptions(
        components=(BlendComponent(model="popularity"), BlendComponent(model="ease")),
        seeds=(), rows=50, rounds=3, seed=1,
    )  # fmt: skip
    expected = r"chosen for\n  popularity\nThe .*\n  popularity; ease\nRun the pipeline"
    with pytest.raises(InputError, match=expected):
        registry.build_blend(options, {"popularity": 1.0}, 42)
    blend = registry.build_blend(options, {"popularity": 1.0, "ease": 0.0}, 42)
    rows = make_random_split(6, n_items=20).test
    np.testing.assert_array_equal(
        blend.score(rows), registry.get_scorer("popularity", 42).score(rows)
    )
