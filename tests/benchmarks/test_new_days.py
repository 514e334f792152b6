"""The benchmark of shuffled days: its runs, its table and its figure."""

import json
from pathlib import Path
from typing import Any

import pytest
from new_days import (
    SHUFFLE_SEEDS,
    ShuffledResults,
    build_shuffle_table,
    draw_new_days,
    list_comparison_files,
    read_shuffled_results,
)
from results import write_sections
from shuffle_days import copy_title_vectors, list_runs

PAGE = "<!-- shuffles: shop/leave_one_out; env: my_shop -->\nold\n<!-- /shuffles -->\n"


def make_estimates(value: float) -> dict[str, Any]:
    """Make the estimates of a model; its HR@10 is twice its NDCG@10."""
    estimates = {
        metric: {"mean": mean, "sd": None, "ci95": [mean - 0.01, mean + 0.01]}
        for metric, mean in (("ndcg@10", value), ("hr@10", 2 * value))
    }
    return {"filtered": estimates, "unfiltered": estimates}


def make_comparison(**values: float) -> dict[str, Any]:
    """Make a comparison of models with these values of NDCG@10; a half of it on new days."""
    return {
        "dataset": "shop", "protocol": "leave_one_out", "n_users": 9, "n_items": 8,
        "n_interactions": 70, "n_test_rows": 9, "n_test_targets": 9, "filter_mode": "filtered",
        "models": {
            model: make_estimates(value) | {"new_day": make_estimates(value / 2)}
            for model, value in values.items()
        },
    }  # fmt: skip


@pytest.fixture
def results() -> ShuffledResults:
    shuffles = {
        seed: make_comparison(ease=0.08 + (seed - 3) / 100) for seed in SHUFFLE_SEEDS
    }  # fmt: skip
    return ShuffledResults(make_comparison(ease=0.1, popularity=0.0), shuffles)


def test_table_has_the_source_beside_the_mean_of_the_shuffles(results: ShuffledResults) -> None:
    table = build_shuffle_table(results, "filtered")
    assert table.headings[:5] == [
        "seen items filtered", "shuffles", "NDCG@10: source", "shuffled", "change",
    ]  # fmt: skip
    # The standard deviation of -2, -1, 0, 1 and 2 is the root of 2.5.
    assert table.rows[0] == [
        "EASE", "5", "0.1000", "0.0800 ± 0.0158", "-20.0%", "0.0500", "0.0400 ± 0.0079", "-20.0%",
        "0.2000", "0.1600 ± 0.0316", "-20.0%", "0.1000", "0.0800 ± 0.0158", "-20.0%",
    ]  # fmt: skip
    # A model without shuffles has no values there.
    assert table.rows[1][:5] == ["Popularity", "–", "0.0000", "–", "–"]


def test_section_lists_the_commands_and_the_tables(
    results: ShuffledResults, tmp_path: Path
) -> None:
    paths = list_comparison_files(tmp_path, "shop/leave_one_out")
    assert write_sections(PAGE, tmp_path, "2 cores") == (PAGE, [str(path) for path in paths])
    comparisons = [results.source, *results.shuffles.values()]
    for path, comparison in zip(paths, comparisons, strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(comparison))
    assert [path.parts[-3] for path in paths] == [
        "shop", *(f"shop_shuffle_{seed}" for seed in SHUFFLE_SEEDS)
    ]  # fmt: skip
    assert read_shuffled_results(paths) == results
    text, missing = write_sections(PAGE, tmp_path, "2 cores")
    assert missing == []
    assert "    .venv/bin/python benchmarks/shuffle_days.py --env my_shop\n" in text
    assert "Seeds of the shuffles: 1, 2, 3, 4, 5. 2 cores." in text
    for mode in ("filtered", "unfiltered"):
        assert build_shuffle_table(results, mode).to_markdown() in text
    assert write_sections(text, tmp_path, "2 cores")[0] == text


def test_shuffles_that_are_not_finished_are_left_out(
    results: ShuffledResults, tmp_path: Path
) -> None:
    paths = list_comparison_files(tmp_path, "shop/leave_one_out")
    for number in (2, 4):
        paths[number].parent.mkdir(parents=True)
        paths[number].write_text(json.dumps(results.shuffles[number]))
    assert read_shuffled_results(paths) is None
    paths[0].parent.mkdir(parents=True)
    paths[0].write_text(json.dumps(results.source))
    text, missing = write_sections(PAGE, tmp_path, "2 cores")
    assert missing == [str(paths[number]) for number in (1, 3, 5)]
    assert "Seeds of the shuffles: 2, 4." in text
    # The mean of 0.07 and 0.09, and their standard deviation.
    assert "| EASE | 2 | 0.1000 | 0.0800 ± 0.0141 | -20.0% |" in text


def test_figure_shows_both_orders_and_the_new_days(results: ShuffledResults) -> None:
    axes = draw_new_days(results).axes[0]
    source, shuffled, new_day = (container[0] for container in axes.containers)
    assert list(source.get_xdata()) == pytest.approx([0.1, 0.0])
    assert list(new_day.get_xdata()) == pytest.approx([0.05, 0.0])
    assert shuffled.get_xdata()[0] == pytest.approx(0.08)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["EASE", "Popularity"]


def test_each_shuffle_has_its_own_folder_and_seed() -> None:
    runs = list_runs("my_shop", "shop", 3, "modelling_baselines,modelling_classifier", 42)
    params = "dataset=shop_shuffle_3,sequencing.shuffle_equal_days=true,sequencing.seed=3,seed=42"
    assert [run[:5] for run in runs] == [["run", "--env", "my_shop", "--params", params]] * 3
    assert [run[6] for run in runs] == [
        "ingestion,joining,sequencing,embedding", "modelling_baselines,modelling_classifier",
        "comparison",
    ]  # fmt: skip


def test_vectors_of_titles_are_copied_once(tmp_path: Path) -> None:
    copy_title_vectors(tmp_path, "shop", "shop_shuffle_1")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "title_vectors.parquet").write_text("first")
    copy_title_vectors(tmp_path, "shop", "shop_shuffle_1")
    (tmp_path / "shop" / "title_vectors.parquet").write_text("second")
    copy_title_vectors(tmp_path, "shop", "shop_shuffle_1")
    assert (tmp_path / "shop_shuffle_1" / "title_vectors.parquet").read_text() == "first"
