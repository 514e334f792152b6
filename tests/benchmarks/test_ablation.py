"""The benchmark that compares variants of one network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ablation import (
    VARIANTS,
    Inputs,
    build_pairs,
    build_table,
    change_block,
    find_results,
    measure_missing,
    train_variant,
)
from pages import write_section

from bazar.config.evaluation import ComparisonOptions, EvaluationOptions
from bazar.data.item_words import ItemTexts
from bazar.evaluation.comparison import LIST_METRICS, ROW_METRICS
from tests.training.test_trainer import N_ITEMS, RESIDUAL, block, cycle_split, vectors


@pytest.fixture
def inputs() -> Inputs:
    titles = [None, *(f"Soap {item % 3} {item % 4}" for item in range(N_ITEMS))]
    described = block(
        {"epochs": 1}, item="id+title", id_shrinkage=5, temperature=0.1, history_decay=0.6,
        layers=[RESIDUAL],
    )  # fmt: skip
    options = {
        "top_k": 20, "batch_size": 64, "validation_rows": 50, "bootstrap_resamples": 100, "seed": 1,
    }  # fmt: skip
    return Inputs(
        cycle_split(users=24),
        np.array(["", *(f"p{item}" for item in range(N_ITEMS))], object),
        ItemTexts(np.array(titles, object), np.full(N_ITEMS + 1, None, object)),
        {"title": vectors(), "title_and_attributes": -vectors()},
        described,
        described.training.model_copy(update={"epochs": 2}),
        EvaluationOptions.model_validate(options),
        ComparisonOptions(bootstrap_resamples=1000, seed=1),
    )


def test_variants_change_only_what_they_name(inputs: Inputs) -> None:
    for variant in VARIANTS.values():
        changed = change_block(inputs, variant).model_dump()
        expected = inputs.block.model_dump() | variant.changes
        has_ids = expected["item"] != "title"
        training = inputs.block.training if has_ids else inputs.title_training
        expected["training"] = training.model_dump() | variant.training
        assert changed == expected
    assert change_block(inputs, VARIANTS["titles"]).training.epochs == 2
    assert change_block(inputs, VARIANTS["ids_texts_words"]).id_shrinkage == 0
    assert change_block(inputs, VARIANTS["shuffled_days"]).training.shuffle_equal_days
    assert change_block(inputs, VARIANTS["times_shuffled_days"]).time


def test_a_finished_training_is_not_repeated(
    inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_missing(inputs, tmp_path, ["ids", "ids_texts_words"], [1])
    assert capsys.readouterr().err.count("seed 1") == 2
    assert len(pd.read_parquet(tmp_path / "ids_1.parquet")) == len(inputs.splits.test)
    ids = json.loads((tmp_path / "ids_1.json").read_text())
    words = json.loads((tmp_path / "ids_texts_words_1.json").read_text())
    assert max(point["val_ndcg@10"] for point in ids["curve"]) == ids["validation"]
    assert [point["epoch"] for point in ids["curve"]] == list(range(1, 7))
    # The purchases have no days.
    assert ids["validation_new_day"] is None
    # Two tables of 256 dimensions.
    assert ids["n_parameters"] > words["n_parameters"]
    (tmp_path / "ids_1.json").write_text(json.dumps(ids | {"validation": 0.5}))
    measure_missing(inputs, tmp_path, ["ids"], [1])
    assert json.loads((tmp_path / "ids_1.json").read_text())["validation"] == 0.5
    # The pairs need the ranks.
    (tmp_path / "ids_1.parquet").unlink()
    measure_missing(inputs, tmp_path, ["ids"], [1])
    assert capsys.readouterr().err.count("ids, seed 1") == 1
    assert [row[:2] for row in build_table(find_results(inputs, tmp_path), "new_day").rows] == [
        ["ids; 256 dimensions, with history vectors", "1"],
        ["ids, titles, brands, categories; with words", "1"],
    ]
    # Other purchases are other results. Those of the earlier purchases are not shown beside them.
    other = replace(inputs, splits=cycle_split(users=36))
    measure_missing(other, tmp_path, ["ids"], [1])
    assert capsys.readouterr().err.count("ids, seed 1") == 1
    assert json.loads((tmp_path / "ids_1.json").read_text())["validation"] != 0.5
    assert find_results(other, tmp_path) == {"ids": {1: tmp_path / "ids_1.json"}}
    assert (
        "ids_texts_words_1.json is ignored: it was measured with another" in capsys.readouterr().err
    )


def test_a_variant_with_teachers_learns_what_they_expect(inputs: Inputs) -> None:
    alone, taught = (
        train_variant(VARIANTS[name], inputs, 1)
        for name in ("ids_texts_words", "ids_texts_words_taught")
    )
    assert taught.network.options == alone.network.options
    # The loss contains the cross-entropy with the teachers.
    assert abs(taught.training_log["loss"][0] - alone.training_log["loss"][0]) > 0.01


def list_files(folder: Path) -> dict[str, dict[int, Path]]:
    """Return the files of all variants in a folder, by variant and seed."""
    found: dict[str, dict[int, Path]] = {}
    for name in VARIANTS:
        for file in sorted(folder.glob(f"{name}_[0-9]*.json")):
            found.setdefault(name, {})[int(file.stem.rpartition("_")[2])] = file
    return found


def make_metrics(value: float, on_new_days: float | None) -> dict[str, Any]:
    part = {"hr@10": value, "ndcg@10": value / 2}
    new_day = None if on_new_days is None else {"hr@10": on_new_days, "ndcg@10": on_new_days / 2}
    return {
        "filtered": part | {
            "new_day": new_day,
            "by_target_popularity": [
                {"label": "0 (cold)", "hr@10": 0.07, "ndcg@10": 0.03},
                {"label": "1–4", "hr@10": 0.6, "ndcg@10": 0.5},
            ],
        },
        "unfiltered": {"hr@10": 0.1, "ndcg@10": 0.05, "ndcg@10_ci95": [value / 10, value]},
        "validation": value / 4, "n_parameters": 1234, "minutes": 100 * value,
    }  # fmt: skip


def test_table_has_the_mean_and_the_deviation_of_the_seeds(tmp_path: Path) -> None:
    for seed, value in ((42, 0.2), (43, 0.4)):
        (tmp_path / f"titles_{seed}.json").write_text(json.dumps(make_metrics(value, 0.08)))
    (tmp_path / "ids_titles_42.json").write_text(json.dumps(make_metrics(0.2, None)))
    table = build_table(list_files(tmp_path), "new_day")
    assert table.headings[:5] == [
        "the network reads", "seeds", "validation NDCG@10", "HR@10, filtered", "NDCG@10, filtered",
    ]  # fmt: skip
    # The standard deviation of two values is their difference divided by the root of 2.
    assert table.rows == [
        [
            "titles", "2", "0.0750 ± 0.0354", "0.3000 ± 0.1414", "0.1500 ± 0.0707",
            "0.1000 ± 0.0000", "0.0500 ± 0.0000 [0.0300, 0.3000]", "0.0800 ± 0.0000",
            "0.0400 ± 0.0000", "1,234", "30.0",
        ],
        [
            "ids, titles", "1", "0.0500", "0.2000", "0.1000", "0.1000", "0.0500 [0.0200, 0.2000]",
            "–", "–", "1,234",
            "20.0",
        ],
    ]  # fmt: skip


def test_a_table_of_cold_items_has_their_results(tmp_path: Path) -> None:
    (tmp_path / "titles_42.json").write_text(json.dumps(make_metrics(0.2, None)))
    table = build_table(list_files(tmp_path), "cold")
    found = dict(zip(table.headings, table.rows[0], strict=True))
    assert (found["HR@10, cold items"], found["NDCG@10, cold items"]) == ("0.0700", "0.0300")


def write_ranks(folder: Path, name: str, seed: int, ranks: list[int]) -> None:
    """Write results with one target per row, the second half of them on a new day."""
    n = len(ranks)
    means = dict.fromkeys((*ROW_METRICS, *LIST_METRICS), 0.5)
    metrics = make_metrics(0.2, None) | dict.fromkeys(("filtered", "unfiltered"), means)
    (folder / f"{name}_{seed}.json").write_text(json.dumps(metrics))
    columns = {"row": range(n), "user_id": [f"u{row}" for row in range(n)], "target_count": 1}
    columns |= {"is_repeat": False, "is_new_day": [row >= n // 2 for row in range(n)]}
    table = pd.DataFrame(columns | {"rank_filtered": ranks, "rank_unfiltered": ranks})
    table.to_parquet(folder / f"{name}_{seed}.parquet")


def test_pairs_are_compared_on_the_same_rows(inputs: Inputs, tmp_path: Path) -> None:
    def compare() -> str | None:
        return build_pairs(list_files(tmp_path), inputs, "new_day")

    assert compare() is None
    write_ranks(tmp_path, "ids", 42, [99] * 100)
    write_ranks(tmp_path, "ids", 43, [11] * 100)
    # The next variant is no pair of the first.
    write_ranks(tmp_path, "texts_words", 42, [1] * 100)
    assert compare() is None
    # On a new day, every second target is a hit for one of the two seeds.
    write_ranks(tmp_path, "ids_titles_words", 42, [1] * 50 + [1, 99] * 25)
    # A mean over two seeds is not compared with one seed.
    assert compare() is None
    write_ranks(tmp_path, "ids_titles_words", 43, [1] * 50 + [99, 99] * 25)
    text = compare()
    assert text is not None
    all_rows, new_day = (line for line in text.splitlines() if line.startswith("| ids, titles;"))
    assert all_rows.startswith(
        "| ids, titles; with words minus ids; 256 dimensions, with history vectors | +0.6250 ["
    )
    assert new_day.startswith(
        "| ids, titles; with words minus ids; 256 dimensions, with history vectors | +0.2500 ["
    )
    assert all_rows.count("**yes**") == new_day.count("**yes**") == 2
    assert "The same pairs, on a new day:" in text


def test_only_the_section_of_the_data_set_is_replaced(tmp_path: Path) -> None:
    other = "<!-- ablation: toys/auto -->\nold\n<!-- /ablation -->\n"
    page = tmp_path / "page.md"
    page.write_text(f"text\n<!-- ablation: shop/auto -->\nold\n<!-- /ablation -->\n{other}")
    write_section(page, "ablation", "| new |", "shop/auto")
    expected = f"text\n<!-- ablation: shop/auto -->\n\n| new |\n\n<!-- /ablation -->\n{other}"
    assert page.read_text() == expected
    with pytest.raises(SystemExit, match="has no section <!-- ablation: none/auto -->"):
        write_section(page, "ablation", "new", "none/auto")
    assert page.read_text() == expected
