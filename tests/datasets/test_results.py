"""The results of models as files in one folder."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from bazar.datasets.results import ResultsDataset
from bazar.evaluation.results import ModelResults

RANKS = pd.DataFrame({"row": [0, 1], "user_id": ["007", "b"], "rank_filtered": [1.5, 3.0]})
RECOMMENDATIONS = pd.DataFrame({"row": [0], "user_id": ["007"], "item_id": ["00205"]})
LOG = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})


def make_results(hr: float, with_training: bool = False) -> ModelResults:
    figures = {"hr@10": hr, "recall@10": hr / 4, "ndcg@10": hr / 2}
    metrics = {
        "filtered": dict.fromkeys(figures, 0.0) | {"hr@10": hr},
        "unfiltered": figures,
        "filter_mode": "unfiltered",
        "validation_ndcg@10": hr / 3,
    }
    if not with_training:
        return ModelResults(metrics, RANKS, RECOMMENDATIONS)
    return ModelResults(metrics, RANKS, RECOMMENDATIONS, {"n_parameters": 12}, LOG)


def make_dataset(folder: Path, *models: str) -> ResultsDataset:
    return ResultsDataset(filepath=str(folder / "seed_42"), models=list(models) or None)


def assert_same_results(loaded: ModelResults, saved: ModelResults) -> None:
    assert loaded.metrics == saved.metrics
    assert loaded.training == saved.training
    pd.testing.assert_frame_equal(loaded.ranks, saved.ranks)
    pd.testing.assert_frame_equal(loaded.recommendations, saved.recommendations)
    if saved.training_log is None:
        assert loaded.training_log is None
    else:
        assert loaded.training_log is not None
        pd.testing.assert_frame_equal(loaded.training_log, saved.training_log)


def test_results_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier", "ease")
    saved = {"classifier": make_results(0.5, with_training=True), "ease": make_results(0.25)}
    dataset.save(saved)
    loaded = dataset.load()
    assert list(loaded) == ["classifier", "ease"]
    for name, results in saved.items():
        assert_same_results(loaded[name], results)
    # No table stores the row numbers of pandas.
    assert pd.read_parquet(tmp_path / "seed_42/ease_ranks.parquet").equals(RANKS)
    assert sorted(path.name for path in (tmp_path / "seed_42").iterdir()) == [
        "classifier_metrics.json", "classifier_ranks.parquet", "classifier_recommendations.parquet",
        "classifier_training.json", "classifier_training_log.csv", "ease_metrics.json",
        "ease_ranks.parquet", "ease_recommendations.parquet",
    ]  # fmt: skip


def test_models_without_results_are_left_out(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier", "ease")
    assert not dataset.exists()
    assert dataset.load() == {}
    dataset.save({"ease": make_results(0.25)})
    assert dataset.exists()
    assert list(dataset.load()) == ["ease"]
    # Results of models that this data set does not list are not loaded.
    assert make_dataset(tmp_path, "blend").load() == {}


def test_models_are_saved_one_by_one(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier", "ease")
    dataset.save({"ease": make_results(0.25)})
    dataset.save({"classifier": make_results(0.5, with_training=True)})
    dataset.save({"ease": make_results(0.75)})
    loaded = dataset.load()
    assert {name: results.metrics["filtered"]["hr@10"] for name, results in loaded.items()} == {
        "classifier": 0.5, "ease": 0.75,
    }  # fmt: skip


def test_failed_first_save_leaves_no_file(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier")
    broken = ModelResults({"filtered": {}}, RANKS, pd.DataFrame({"row": [object()]}))
    with pytest.raises(DatasetError):
        dataset.save({"classifier": broken})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert dataset.load() == {}
    assert not dataset.exists()


def test_failed_save_leaves_the_earlier_file(tmp_path: Path) -> None:
    dataset, earlier = make_dataset(tmp_path, "classifier"), make_results(0.5)
    dataset.save({"classifier": earlier})
    # The recommendations are written last: the other new files are complete by then.
    broken = ModelResults({}, RANKS.head(0), pd.DataFrame({"row": [object()]}))
    with pytest.raises(DatasetError):
        dataset.save({"classifier": broken})
    assert_same_results(dataset.load()["classifier"], earlier)
    assert not list(tmp_path.rglob(".*"))


def test_tables_are_read_when_they_are_used(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier")
    dataset.save({"classifier": make_results(0.5)})
    results = dataset.load()["classifier"]
    (tmp_path / "seed_42/classifier_ranks.parquet").unlink()
    pd.testing.assert_frame_equal(results.recommendations, RECOMMENDATIONS)
    with pytest.raises(FileNotFoundError, match=r"classifier_ranks\.parquet"):
        assert results.ranks is not None


def test_all_models_below_a_folder_are_found(tmp_path: Path) -> None:
    for seed in (7, 42):
        ResultsDataset(filepath=str(tmp_path / f"seed_{seed}"), models=["classifier"]).save(
            {"classifier": make_results(seed / 100)}
        )
    # A save that was killed leaves a hidden file.
    (tmp_path / "seed_42" / ".abc.ease_metrics.json").write_text("{")
    found = ResultsDataset(filepath=str(tmp_path)).load()
    assert {name: results.metrics["filtered"]["hr@10"] for name, results in found.items()} == {
        "seed_42/classifier": 0.42, "seed_7/classifier": 0.07,
    }  # fmt: skip


def test_preview_shows_metrics(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, "classifier", "ease")
    dataset.save({"classifier": make_results(0.5), "ease": make_results(0.25)})
    assert dataset.preview(nrows=1) == {
        "index": [0],
        "columns": ["model", "hr@10", "recall@10", "ndcg@10"],
        "data": [["classifier", 0.5, 0.125, 0.25]],
    }
