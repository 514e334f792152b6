"""The hooks: checks of the parameters and of the order, the progress of a run, and Spark."""

import sys
from datetime import UTC, datetime

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from bazar.datasets.kedro_types import TextDataset
from bazar.errors import InputError
from bazar.hooks import (
    RunProgress,
    check_comparison_runs_alone,
    check_parameters,
    check_runner,
    find_files,
    find_remaining_nodes,
    start_spark,
)
from bazar.settings import CONFIG_LOADER_ARGS
from tests.project import ROOT

CUTS = ["validation_from", "test_from"]


def config(env: str = "base", **changes: object) -> OmegaConfigLoader:
    return OmegaConfigLoader(
        str(ROOT / "conf"), env=env, runtime_params=changes, **CONFIG_LOADER_ARGS
    )


def parameters(env: str = "base", **changes: object) -> dict:
    return config(env, **changes)["parameters"]


def bazar(**changes: object) -> dict:
    """Return changes of a model's network ``bazar``."""
    return {"networks": {"bazar": changes}}


@pytest.mark.parametrize(
    "env",
    ["base", "spark", "amazon_beauty_2014", "amazon_all_beauty_2023", "amazon_toys_2014",
     "online_retail_2010", "set_a", "set_b"],
)  # fmt: skip
def test_committed_parameters_are_valid(env: str) -> None:
    checked = check_parameters(parameters(env))
    assert checked.dataset == ("sample" if env in {"base", "spark"} else env)
    assert checked.engine == ("spark" if env == "spark" else "duckdb")


def test_nested_change_keeps_the_siblings() -> None:
    changed = check_parameters(parameters(classifier=bazar(training={"epochs": 3}))).classifier
    before = check_parameters(parameters()).classifier
    assert changed.block.training.epochs == 3 != before.block.training.epochs
    assert changed.block.network == before.block.network
    assert changed.block.training.batch_size == before.block.training.batch_size
    assert changed.networks["model_i"] == before.networks["model_i"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"split": "random"},
            r"split: .*'temporal', 'cold_items' or 'shuffled_windows', found 'random'",
        ),
        ({"engine": "polars"}, r"engine: .*'duckdb' or 'spark', found 'polars'"),
        ({"epoch": 3}, "epoch: unknown key"),
        (
            {"classifier": bazar(training={"epoch": 3})},
            r"classifier.networks.bazar.training.epoch: unknown key. Did you mean 'epochs'",
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
        (
            {"classifier": bazar(item="id", id_shrinkage=5)},
            r"id_shrinkage: 5 needs item: id\+title, found item: id. Set id_shrinkage to 0",
        ),
        (
            {"regressor": bazar(history_vectors=True)},
            r"history_vectors needs item: id and head: tied_softmax, found item: title, head: tie",
        ),
        ({"classifier": bazar(training={"loss": "mse"})}, r"bazar: .*mse, .* for head vector"),
        (
            {"classifier": bazar(repeats=True)},
            r"bazar.repeats: must be a block of keys and values, found True",
        ),
        ({"classifier": bazar(layers=[])}, r"classifier.networks.bazar: .*at least one"),
        (
            {"classifier": bazar(head="softmax", temperature=0.1)},
            r"bazar: .*temperature needs head: tied_softmax",
        ),
        ({"classifier": bazar(temperature=None)}, r"bazar: .*history_decay: 0.6 needs a temp"),
        (
            {"regressor": bazar(history_decay=None)},
            r"bazar: .*add_title_similarity needs a history_decay",
        ),
        (
            {"classifier": bazar(training={"cold_item_share": 0.1})},
            r"cold_item_share: 0.1 needs .* found item: id\+title, add_title_similarity: false",
        ),
        (
            {"regressor": bazar(training={"cold_item_share": 0.1})},
            r"cold_item_share: 0.1 needs item: id\+title .*, found item: title",
        ),
        ({"warm_start": True, "split": "cold_items"}, r"warm_start needs split auto"),
        (
            {"classifier": bazar(layers=[{"type": "gruu", "units": 3}])},
            r"bazar.layers.0: .*'gru', 'residual', 'dropout', 'dense', found 'gruu'",
        ),
        (
            {"classifier": {"network": "mine"}},
            r"classifier: network 'mine' is unknown. Available: bazar, model_i",
        ),
        ({"seed": -1}, r"seed: .*greater than or equal to 0"),
        ({"dataset": "../elsewhere"}, r"dataset: .*match"),
    ],
)
def test_wrong_value_is_reported_with_its_key(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_parameters(parameters(**change))


def test_temporal_cuts_are_shares_or_times() -> None:
    def cuts(*values: object) -> tuple[object, object]:
        changed = {"sequencing": {"temporal": dict(zip(CUTS, values, strict=True))}}
        checked = check_parameters(parameters(**changed)).sequencing.temporal
        return checked.validation_from, checked.test_from

    assert cuts(0.25, 0.5) == (0.25, 0.5)
    first, second = cuts("2024-03-01", "2024-03-01T02:00:00+01:00")
    assert first == datetime(2024, 3, 1, tzinfo=UTC)
    assert second == datetime(2024, 3, 1, 1, tzinfo=UTC)
    # A time and a share can be compared only with the purchases.
    assert cuts("2024-03-01", 0.9) == (first, 0.9)


def test_all_wrong_keys_are_reported_at_once() -> None:
    with pytest.raises(InputError) as error:
        check_parameters(parameters(split="x", evaluation={"top_k": 3}))
    assert "split:" in str(error.value)
    assert "evaluation.top_k:" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "split", "run"),
    [
        ({}, "sample/auto", "sample/auto/seed_42"),
        ({"split": "temporal"}, "sample/temporal", "sample/temporal/seed_42"),
        ({"dataset": "shop", "seed": 7}, "shop/auto", "shop/auto/seed_7"),
    ],
)
def test_splits_and_seeds_do_not_share_a_folder(changes: dict, split: str, run: str) -> None:
    catalog = config(**changes)["catalog"]
    paths = {
        name: entry.get("filepath", entry.get("path"))
        for name, entry in catalog.items()
        if not name.startswith("_")
    }
    assert paths["splits"] == f"data/05_model_input/{split}"
    assert paths["{model}.network"] == f"data/06_models/{run}/{{model}}.keras"
    assert paths["previous_training"] == f"data/06_models/{run}"
    assert paths["trained_networks"] == f"data/06_models/{split}"
    assert paths["bundle"] == f"data/06_models/{run}/bundle"
    assert paths["current_bundle"] == f"data/06_models/{split.split('/', maxsplit=1)[0]}/current"
    for model in ("classifier", "regressor", "baselines", "blend", "reproduction"):
        assert paths[f"{model}.results"] == f"data/07_model_output/{run}"
    assert paths["previous_results"] == f"data/07_model_output/{split}"
    assert paths["report"] == f"data/08_reporting/{run}/report.html"
    assert paths["comparison"] == f"data/08_reporting/{split}/comparison.json"


@pytest.mark.parametrize(
    ("env", "changes", "backend"),
    [
        ("base", {}, "duckdb"),
        ("spark", {}, "pyspark"),
        ("amazon_beauty_2014", {"engine": "spark"}, "pyspark"),
        ("spark", {"engine": "duckdb"}, "duckdb"),
    ],
)
def test_all_tables_are_on_the_selected_engine(env: str, changes: dict, backend: str) -> None:
    catalog = config(env, **changes)["catalog"]
    found = {
        name: entry["connection"]["backend"]
        for name, entry in catalog.items()
        if "connection" in entry and not name.startswith("_")
    }
    assert {"raw_interactions", "products", "sequences"} <= set(found)
    assert set(found.values()) == {backend}


def test_missing_pyspark_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    monkeypatch.setitem(sys.modules, "py4j.protocol", None)
    with pytest.raises(InputError, match=r"(?s)needs PySpark.*pip install -r requirements"):
        start_spark(config("spark")["spark"])


def copy(data: object) -> object:
    return data


def make_pipeline() -> Pipeline:
    """Return a pipeline of four nodes: ``a`` feeds ``b`` and ``d``, ``b`` feeds ``c``."""
    return Pipeline(
        [
            Node(copy, "raw", "data_a", name="a"),
            Node(copy, "data_a", "data_b", name="b"),
            Node(copy, "data_b", "data_c", name="c"),
            Node(copy, "data_a", "data_d", name="d"),
        ]
    )


@pytest.mark.parametrize(
    ("completed", "in_memory", "remaining"),
    [
        ("", "", "abcd"),
        ("ab", "", "cd"),
        ("abcd", {"data_a", "data_b"}, ""),
        # What is still needed, and was only in memory, has to be computed again.
        ("ab", {"data_b"}, "bcd"),
        ("ab", {"data_a", "data_b"}, "abcd"),
        ("abd", {"data_a"}, "c"),
        ("abc", {"data_b", "data_c"}, "d"),
    ],
)
def test_resumed_run_computes_again_what_was_only_in_memory(
    completed: str, in_memory: set[str], remaining: str
) -> None:
    found = find_remaining_nodes(make_pipeline(), set(completed), set(in_memory))
    assert sorted(found) == list(remaining)


def test_progress_records_which_results_are_kept(tmp_path: object) -> None:
    text = {name: TextDataset(filepath=f"{tmp_path}/{name}.txt") for name in ("data_b", "data_d")}
    catalog, pipeline = DataCatalog({**text, "data_a": MemoryDataset()}), make_pipeline()
    progress = RunProgress()
    progress.before_pipeline_run(pipeline, catalog)
    assert sorted(progress.remaining) == ["a", "b", "c", "d"]
    assert progress.finished == []
    nodes = {node.name: node for node in pipeline.nodes}
    for name in ("a", "b", "d"):
        progress.before_node_run(nodes[name])
        # A node is finished when its outputs are saved, and the next one starts.
        assert name in progress.remaining
        progress.after_dataset_saved(f"data_{name}")
    # The output of a, which d needs, is in memory alone.
    assert progress.finished == ["b"]
    assert progress.saved == ["data_b", "data_d"]
    assert sorted(progress.remaining) == ["a", "c", "d"]
    progress.before_node_run(nodes["c"])
    assert sorted(progress.finished) == ["a", "b", "d"]
    assert progress.remaining == ["c"]
    progress.before_pipeline_run(pipeline, catalog)
    assert progress.finished == progress.saved == []


def test_models_are_not_evaluated_and_compared_in_one_run() -> None:
    evaluation = Node(copy, "splits", "classifier.results", name="evaluate")
    comparison = Node(copy, "previous_results", "comparison", name="compare")
    check_comparison_runs_alone(Pipeline([evaluation]))
    check_comparison_runs_alone(Pipeline([comparison]))
    with pytest.raises(InputError, match=r"Run the modelling pipelines first, then `kedro run"):
        check_comparison_runs_alone(Pipeline([evaluation, comparison]))


@pytest.mark.parametrize(
    ("runner", "is_async", "found"),
    [
        (repr(ThreadRunner()), False, "--runner ThreadRunner"),
        (repr(ParallelRunner()), False, "--runner ParallelRunner"),
        ("my_package.Threads", False, "--runner my_package.Threads"),
        ("SequentialRunner", True, "is_async"),
    ],
    # The representation of a runner has an address, which differs between the test workers.
    ids=["threads", "processes", "unknown", "asynchronous"],
)
def test_runner_with_several_threads_or_processes_is_rejected(
    runner: str, is_async: bool, found: str
) -> None:
    check_runner(repr(SequentialRunner()))
    with pytest.raises(InputError, match=f"Found {found}.*Run without --async and --runner"):
        check_runner(runner, is_async)


def test_files_of_data_sets_are_found_by_name(tmp_path: object) -> None:
    catalog = DataCatalog(
        {"page": TextDataset(filepath=f"{tmp_path}/page.txt"), "numbers": MemoryDataset()}
    )
    found = find_files(["numbers", "page"], catalog)
    assert {name: path.name for name, path in found.items()} == {"page": "page.txt"}
