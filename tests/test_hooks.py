import sys

import pytest
from kedro.config import OmegaConfigLoader

from bazar.errors import InputError
from bazar.hooks import check_parameters, start_spark
from bazar.settings import CONFIG_LOADER_ARGS, results_folder
from tests.project import ROOT


def config(env: str = "base", **changes: object) -> OmegaConfigLoader:
    return OmegaConfigLoader(
        str(ROOT / "conf"), env=env, runtime_params=changes, **CONFIG_LOADER_ARGS
    )


def parameters(env: str = "base", **changes: object) -> dict:
    return config(env, **changes)["parameters"]


@pytest.mark.parametrize("env", ["base", "spark", "amazon_beauty_2014", "amazon_all_beauty_2023"])
def test_what_is_committed_is_right(env: str) -> None:
    checked = check_parameters(parameters(env))
    assert checked.dataset == ("sample" if env in {"base", "spark"} else env)
    assert checked.engine == ("spark" if env == "spark" else "duckdb")


def test_one_nested_change_keeps_the_siblings() -> None:
    changed = check_parameters(parameters(classifier={"training": {"epochs": 3}}))
    before = check_parameters(parameters())
    assert changed.classifier.training.epochs == 3
    assert changed.classifier.network == before.classifier.network
    assert changed.classifier.training.batch_size == before.classifier.training.batch_size


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": "random"}, r"split: .*'leave_one_out' or 'paper_windows', found 'random'"),
        ({"engine": "polars"}, r"engine: .*'duckdb' or 'spark', found 'polars'"),
        ({"epoch": 3}, "epoch: there is no such parameter"),
        ({"classifier": {"training": {"epoch": 3}}}, r"classifier.training.epoch: there is no"),
        ({"sequencing": {"window_length": 11}}, r"sequencing.window_length: .*10, found 11"),
        ({"sequencing": {"window_length": 1}}, r"sequencing.window_length: .*2, found 1"),
        ({"sequencing": {"test_share": "much"}}, r"sequencing.test_share: .*number.*'much'"),
        ({"embedding": {"sha256": "abc"}}, r"embedding.sha256: .*match"),
        ({"embedding": {"text": "all"}}, r"embedding.text: .*'title_and_attributes', found 'all'"),
        ({"classifier": {"network": {"item": "title"}}}, r"item_dimension goes with item: id"),
        ({"classifier": {"training": {"loss": "mse"}}}, r"classifier: .*head softmax"),
        ({"classifier": {"network": {"layers": []}}}, r"classifier.network: .*at least one"),
        ({"dataset": "../elsewhere"}, r"dataset: .*match"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(change: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_parameters(parameters(**change))


def test_every_wrong_key_is_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        check_parameters(parameters(split="x", evaluation={"top_k": 3}))
    assert "split:" in str(error.value)
    assert "evaluation.top_k:" in str(error.value)


def test_splits_do_not_share_a_folder() -> None:
    assert results_folder("shop", "leave_one_out") == "shop"
    assert results_folder("shop", "paper_windows") == "shop/paper_windows"


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
    with pytest.raises(InputError, match=r'needs PySpark.*\n.*pip install "bazar\[spark\]"'):
        start_spark(config("spark")["spark"])
