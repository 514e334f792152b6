"""The results of models without times on the rows with a target on a new day."""

import math
from pathlib import Path

import pandas as pd
import pytest
from untimed_models import build_table, read_new_day_targets

TARGETS = pd.DataFrame(
    {
        "row": [0, 1, 2, 3],
        "user_id": ["a", "b", "c", "d"],
        "item_id": ["1", "2", "3", "1"],
        "is_new_day": pd.array([True, False, pd.NA, True], "boolean"),
    }
)


def write_ranks(folder: Path, model: str, ranks: list[float]) -> Path:
    """Write the ranks of the targets. Those with seen items are greater by 1."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{model}_ranks.parquet"
    added = {"rank_filtered": ranks, "rank_unfiltered": [rank + 1 for rank in ranks]}
    TARGETS.drop(columns="is_new_day").assign(**added).to_parquet(path, index=False)
    return path


def test_only_targets_on_a_new_day_are_measured(tmp_path: Path) -> None:
    days = tmp_path / "days_ranks.parquet"
    TARGETS.to_parquet(days, index=False)
    targets = read_new_day_targets(days)
    assert targets.to_numpy().tolist() == [["a", "1"], ["d", "1"]]
    write_ranks(tmp_path / "seed_1", "blend", [50, 1, 1, 50])
    write_ranks(tmp_path / "seed_1", "classifier", [1, 99, 99, 10])
    write_ranks(tmp_path / "seed_2", "classifier", [2, 99, 99, 99])
    write_ranks(tmp_path / "seed_1", "ease", [1, 99, 99, 1])
    table = build_table([tmp_path / "seed_1", tmp_path / "seed_2"], targets)
    assert table.headings == [
        "2 new-day rows", "seeds", "HR@10, filtered", "NDCG@10, filtered", "HR@10, unfiltered",
        "NDCG@10, unfiltered",
    ]  # fmt: skip
    # With seen items, a rank is greater by 1: the rank of 10 becomes 11.
    two, three, ten = (1 / math.log2(rank + 1) for rank in (2, 3, 10))
    assert table.rows == [
        ["EASE", "–", "1.0000", "1.0000", "1.0000", f"{two:.4f}"],
        [
            "Classifier", "2", "0.7500 ± 0.3536", format_pair((1 + ten) / 2, two / 2),
            "0.5000 ± 0.0000", format_pair(two / 2, three / 2),
        ],
        ["Blend", "1", *["0.0000"] * 4],
    ]  # fmt: skip


def format_pair(first: float, second: float) -> str:
    """Format the mean and the standard deviation of two values."""
    return f"{(first + second) / 2:.4f} ± {abs(first - second) / math.sqrt(2):.4f}"


def test_ranks_of_other_data_are_reported(tmp_path: Path) -> None:
    days = tmp_path / "days_ranks.parquet"
    TARGETS.assign(item_id="9").to_parquet(days, index=False)
    write_ranks(tmp_path / "seed_1", "ease", [1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"has 0 of the 2 targets.*on the same purchases"):
        build_table([tmp_path / "seed_1"], read_new_day_targets(days))
