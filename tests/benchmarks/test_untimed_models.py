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
    write_ranks(tmp_path / "seed_1", "ease", [50, 1, 1, 50])
    write_ranks(tmp_path / "seed_1", "blend", [1, 99, 99, 10])
    write_ranks(tmp_path / "seed_2", "blend", [2, 99, 99, 99])
    table = build_table([tmp_path / "seed_1", tmp_path / "seed_2"], targets)
    first, second = (1 + 1 / math.log2(11)) / 2, 1 / math.log2(3) / 2
    spread = abs(first - second) / math.sqrt(2)
    assert table.headings[0] == "2 new-day rows"
    assert table.rows[0][:4] == [
        "Blend", "2", "0.7500 ± 0.3536", f"{(first + second) / 2:.4f} ± {spread:.4f}",
    ]  # fmt: skip
    # With seen items, the rank of 10 becomes 11.
    assert table.rows[0][4] == "0.5000 ± 0.0000"
    assert table.rows[1] == ["EASE", "1", *["0.0000"] * 4]


def test_ranks_of_other_data_are_reported(tmp_path: Path) -> None:
    days = tmp_path / "days_ranks.parquet"
    TARGETS.assign(item_id="9").to_parquet(days, index=False)
    write_ranks(tmp_path / "seed_1", "ease", [1, 1, 1, 1])
    with pytest.raises(ValueError, match="has 0 of the 2 targets"):
        build_table([tmp_path / "seed_1"], read_new_day_targets(days))
