import numpy as np
import pytest

from bazar.config.models import BASELINES
from bazar.data.windows import build_interaction_rows
from bazar.models.extended_catalogue import ExtendedCatalogueScorer
from bazar.models.registry import ModelRegistry
from tests.service.engine.example_store import ITEM_IDS, make_bundle

N = len(ITEM_IDS) + 1


@pytest.fixture(scope="module")
def registry() -> ModelRegistry:
    bundle = make_bundle()
    products = bundle.products

    def read_network(model: str, seed: int):  # type: ignore[no-untyped-def]
        raise AssertionError(model, seed)

    return ModelRegistry(
        products.vectors,
        build_interaction_rows(bundle.customers),
        products.counts,
        products.recent_counts,
        bundle.options.baselines,
        read_network,
    )


@pytest.mark.parametrize("model", [name for name in BASELINES if name != "nearest_titles"])
def test_added_items_get_the_lowest_score(registry: ModelRegistry, model: str) -> None:
    rows = make_bundle().customers
    fitted = registry.get_scorer(model, 1)
    extended = ExtendedCatalogueScorer(fitted, N, N + 2).extend(N + 3)
    scores = extended.score(rows)
    assert scores.shape == (len(rows), N + 3)
    np.testing.assert_array_equal(scores[:, :N], fitted.score(rows))
    known = np.where(np.isneginf(scores[:, 1:N]), np.inf, scores[:, 1:N])
    np.testing.assert_array_equal(scores[:, N:], np.tile(known.min(axis=1)[:, None], 3))
    assert extended.predicts_repeats == fitted.predicts_repeats
    assert extended.informative_items is not None
    assert extended.informative_items[:N].all()
    assert not extended.informative_items[N:].any()
