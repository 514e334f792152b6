import sys
from datetime import UTC, datetime

import pytest
from kedro.config import OmegaConfigLoader

from bazar.errors import InputError
from bazar.hooks import check_parameters, start_spark
from bazar.settings import CONFIG_LOADER_ARGS, results_folder
from tests.project import ROOT

CUTS = ["validation_from", "test_from"]


def config(env: str = "base", **changes: object) -> OmegaConfigLoader:
    return OmegaConfigLoader(
        str(ROOT / "conf"), env=env, runtime_params=changes, **CONFIG_LOADER_ARGS
    )


def parameters(env: str = "base", **changes: object) -> dict:
    return config(env, **changes)["parameters"]


def bazar(**changes: object) -> dict:
    """Changes of a model's network ``bazar``."""
    return {"networks": {"bazar": changes}}


@pytest.mark.parametrize("env", ["base", "spark", "amazon_beauty_2014", "amazon_all_beauty_2023"])
def test_what_is_committed_is_right(env: str) -> None:
    checked = check_parameters(parameters(env))
    assert checked.dataset == ("sample" if env in {"base", "spark"} else env)
    assert checked.engine == ("spark" if env == "spark" else "duckdb")


def test_one_nested_change_keeps_the_siblings() -> None:
    changed = check_parameters(parameters(classifier=bazar(training={"epochs": 3}))).classifier
    before = check_parameters(parameters()).classifier
    assert changed.block.training.epochs == 3 != before.block.training.epochs
    assert changed.block.network == before.block.network
    assert changed.block.training.batch_size == before.block.training.batch_size
    assert changed.networks["model_i"] == before.networks["model_i"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"split": "random"},
            r"split: .*'temporal', 'cold_items' or 'shuffled_windows', found 'random'",
        ),
        ({"engine": "polars"}, r"engine: .*'duckdb' or 'spark', found 'polars'"),
        ({"epoch": 3}, "epoch: there is no such parameter"),
        (
            {"classifier": bazar(training={"epoch": 3})},
            r"classifier.networks.bazar.training.epoch: there is no",
        ),
        ({"sequencing": {"window_length": 11}}, r"sequencing.window_length: .*10, found 11"),
        ({"sequencing": {"window_length": 1}}, r"sequencing.window_length: .*2, found 1"),
        ({"sequencing": {"test_share": "much"}}, r"sequencing.test_share: .*number.*'much'"),
        ({"sequencing": {"cold_share": 1}}, r"sequencing.cold_share: .*less than 1, found 1"),
        ({"sequencing": {"recent_share": 0}}, r"sequencing.recent_share: .*than 0, found 0"),
        *(
            ({"sequencing": {"temporal": {"test_from": value}}}, rf"test_from: .*share.*{value}")
            for value in ("soon", "2024-13-01", 2024, 1.0, 0, True, None)
        ),
        ({"sequencing": {"temporal": {"test_from": 0.8}}}, r"sequencing.temporal: .*come before"),
        (
            {"sequencing": {"temporal": dict.fromkeys(CUTS, "2024-03-01")}},
            r"sequencing.temporal: .*validation_from must come before test_from",
        ),
        ({"embedding": {"sha256": "abc"}}, r"embedding.sha256: .*match"),
        ({"embedding": {"text": "all"}}, r"embedding.text: .*'title_and_attributes', found 'all'"),
        ({"classifier": bazar(item_dimension=None)}, r"item: id\+title needs an item_dimension"),
        ({"classifier": bazar(training={"loss": "mse"})}, r"bazar: .*mse, .* go with vector"),
        ({"classifier": bazar(layers=[])}, r"classifier.networks.bazar: .*at least one"),
        ({"classifier": bazar(head="softmax", temperature=0.1)}, r"bazar: .*temperature goes with"),
        ({"classifier": bazar(temperature=None)}, r"bazar: .*history_decay needs a temperature"),
        (
            {"regressor": bazar(history_decay=None)},
            r"bazar: .*add_title_similarity needs a history_decay",
        ),
        ({"warm_start": True, "split": "cold_items"}, r"warm_start goes with split leave_one_out"),
        (
            {"classifier": bazar(layers=[{"type": "gruu", "units": 3}])},
            r"bazar.layers.0: .*'gru', 'residual', 'dropout', 'dense', found .*gruu",
        ),
        ({"classifier": {"network": "mine"}}, r"classifier: .*network must be one of bazar, repo"),
        ({"seed": -1}, r"seed: .*greater than or equal to 0"),
        ({"dataset": "../elsewhere"}, r"dataset: .*match"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(change: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_parameters(parameters(**change))


def test_cuts_are_shares_or_times() -> None:
    def cuts(*values: object) -> tuple[object, object]:
        changed = {"sequencing": {"temporal": dict(zip(CUTS, values, strict=True))}}
        checked = check_parameters(parameters(**changed)).sequencing.temporal
        return checked.validation_from, checked.test_from

    assert cuts(0.25, 0.5) == (0.25, 0.5)
    one, other = cuts("2024-03-01", "2024-03-01T02:00:00+01:00")
    assert one == datetime(2024, 3, 1, tzinfo=UTC)
    assert other == datetime(2024, 3, 1, 1, tzinfo=UTC)
    # Which of them is earlier is known with the purchases.
    assert cuts("2024-03-01", 0.9) == (one, 0.9)


def test_every_wrong_key_is_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        check_parameters(parameters(split="x", evaluation={"top_k": 3}))
    assert "split:" in str(error.value)
    assert "evaluation.top_k:" in str(error.value)


def test_splits_do_not_share_a_folder() -> None:
    assert results_folder("shop", "leave_one_out") == "shop"
    assert results_folder("shop", "temporal") == "shop/temporal"
    assert results_folder("shop", "shuffled_windows") == "shop/shuffled_windows"


@pytest.mark.parametrize(
    ("env", "changes", "backend"),
    [
        ("base", {}, "duckdb"),
        ("spark", {}, "pyspark"),
        ("amazon_beauty_2014", {"engine": "spark"}, "pyspark"),
        ("spark", {"engine": "duckdb"}, "duckdb"),
    ],
)
def test_all_tables_are_on_the_engine_that_is_asked_for(
    env: str, changes: dict, backend: str
) -> None:
    catalog = config(env, **changes)["catalog"]
    found = {
        name: entry["connection"]["backend"]
        for name, entry in catalog.items()
        if "connection" in entry and not name.startswith("_")
    }
    assert {"raw_interactions", "products", "sequences"} <= set(found)
    assert set(found.values()) == {backend}


def test_missing_pyspark_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    monkeypatch.setitem(sys.modules, "py4j.protocol", None)
    with pytest.raises(InputError, match=r"(?s)needs PySpark.*pip install -r requirements"):
        start_spark(config("spark")["spark"])
