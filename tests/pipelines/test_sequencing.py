"""Runs of the preparation on a small synthetic store, under every protocol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.datasets.data_summary import DataSummaryDataset
from bazar.datasets.splits import SplitsDataset
from bazar.synthetic.sample_store import generate_store
from tests.project import SMALL_STORE, copy_project, kedro_here

MODEL_INPUT = "data/05_model_input"


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project with a small store whose tables are joined and split, and what the run printed."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    generate_store(project / "data" / "01_raw" / "sample", SMALL_STORE)
    run = kedro_here(project, "run", "--pipelines", "ingestion,joining,sequencing")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project, run.stdout


@pytest.fixture(scope="module")
def project(first_run: tuple[Path, str]) -> Path:
    """A project with a small store whose tables are joined and split."""
    return first_run[0]


def prepare(project: Path, pipelines: str, *arguments: str) -> str:
    """Run pipelines, and return what they printed on one line."""
    run = kedro_here(project, "run", "--pipelines", pipelines, *arguments)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return " ".join((run.stdout + run.stderr).split())


def read_purchases(project: Path) -> pd.DataFrame:
    """Read the purchases in the order of the splits, in which what has no order is shuffled."""
    table = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    table = table.sort_values(["user_id", "position"], ignore_index=True)
    splits = SplitsDataset(filepath=str(project / MODEL_INPUT / "sample/auto")).load()
    shuffled = table.assign(item_index=splits.test.sequences.items)
    keys = ["user_id", "tie_number", "item_index"]
    bought, again = (one[keys].sort_values(keys, ignore_index=True) for one in (table, shuffled))
    pd.testing.assert_frame_equal(bought, again)
    assert not table.equals(shuffled)
    item_ids = table.drop_duplicates("item_index").set_index("item_index")["item_id"]
    return shuffled.assign(item_id=shuffled["item_index"].map(item_ids))


def load_splits(folder: Path) -> Splits:
    """Load the splits, and check that the counts and the summary belong to the parts."""
    splits = SplitsDataset(filepath=str(folder)).load()
    counts, recent = splits.training_counts, splits.recent_counts
    assert counts.dtype == recent.dtype == np.int64
    assert counts.shape == recent.shape == (81,)
    assert (recent <= counts).all()
    assert 0 < recent.sum() < counts.sum()
    summary = splits.summary
    assert summary["split"] == folder.name
    assert (summary["protocol"] == folder.name) == (folder.name != "auto")
    parts = (splits.train, splits.validation, splits.test)
    names = ("training", "validation", "test")
    assert [summary[f"{name}_rows"] for name in names] == [len(part) for part in parts]
    rows, targets = splits.test.list_targets()
    assert summary["test_targets"] == len(targets)
    assert summary["cold_test_targets"] == np.count_nonzero(counts[targets] == 0)
    assert summary["cold_test_rows"] == len(set(rows[counts[targets] == 0]))
    seen_rows, seen = splits.test.list_seen_pairs()
    repeats = [
        row for row, target in zip(rows, targets, strict=True) if target in seen[seen_rows == row]
    ]
    assert summary["repeat_test_targets"] == len(repeats) > 0
    assert summary["repeat_test_rows"] == len(set(repeats))
    # Customers of the store buy again.
    assert summary["filter_mode"] == "unfiltered"
    return splits


def list_targets(part: Windows) -> list[tuple[str, int, int]]:
    """List the user, the position of the target and its item index of rows with one target."""
    assert set(part.n_targets) == {1}
    positions = part.n_seen + 1
    _, targets = part.list_targets()
    return list(zip(part.user_ids.to_pylist(), positions.tolist(), targets.tolist(), strict=True))


def list_purchases(table: pd.DataFrame) -> list[tuple[str, int, int]]:
    """List the user, the position and the item index of each purchase."""
    return list(table[["user_id", "position", "item_index"]].itertuples(index=False, name=None))


def count_items(items: pd.Series) -> list[int]:
    return np.bincount(items, minlength=81).tolist()


def test_run_ends_with_the_data_summary(first_run: tuple[Path, str]) -> None:
    project, printed = first_run
    folder = project / "data/08_reporting/sample"
    summary = DataSummaryDataset(filepath=str(folder / "data_summary.html")).load()
    facts, bought = summary.facts, read_purchases(project)
    assert facts.orders.purchases == facts.steps[-1].remaining == len(bought)
    assert facts.orders.customers == bought["user_id"].nunique()
    # A customer with one order has no earlier one to predict it from.
    n_orders = bought.groupby("user_id")["order_number"].max()
    assert facts.test_rows == (n_orders > 1).sum()
    assert facts.protocol == "next_order"
    assert facts.catalogue.items == facts.catalogue.titled == 80
    assert facts.is_one_run
    removed = sum(step.removed for step in facts.steps)
    assert facts.steps[0].remaining - removed == len(bought)
    times = pd.to_datetime(bought["timestamp"], unit="ms")
    assert (facts.orders.times.first, facts.orders.times.last) == (
        bought["timestamp"].min(), bought["timestamp"].max(),
    )  # fmt: skip
    assert f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}" in printed
    before = bought.groupby(["user_id", "item_id"]).cumcount() > 0
    assert facts.orders.repeats == before.sum()
    # Customers of the store buy again, which needs no other settings, but the store is small.
    assert summary.problems == []
    assert [one.is_met for one in summary.requirements] == [False, True, True, True]

    ending = printed[printed.index("\nYou can train, but there is little data.") :]
    assert len(ending.splitlines()) <= 40
    assert str(folder / "data_summary.html") in ending
    assert ending.endswith("    .venv/bin/kedro run\n")
    page = (folder / "data_summary.html").read_text(encoding="utf-8")
    assert "You can train, but there is little data." in page


def test_next_order(project: Path) -> None:
    splits = load_splits(project / MODEL_INPUT / "sample/auto")
    assert splits.summary["protocol"] == "next_order"
    bought = read_purchases(project)
    n_lines = bought.groupby(["user_id", "order_number"]).size()
    share = f"{(n_lines > 1).sum():,} of {len(n_lines):,} orders"
    assert splits.summary["split_reason"].startswith(share)
    from_end = bought.groupby("user_id")["order_number"].transform("max") - bought["order_number"]
    has_history = bought["order_number"] > 1

    def list_orders(part: Windows) -> set[tuple[str, int, int]]:
        rows, targets = part.list_targets()
        first = part.target_positions[rows]
        users = part.user_ids.to_numpy(zero_copy_only=False)[rows]
        return set(
            zip(users, first - part.sequences.starts[part.users[rows]], targets, strict=True)
        )

    first_positions = bought.groupby(["user_id", "order_number"])["position"].transform("min") - 1
    for part, is_part in (
        (splits.train, from_end > 1),
        (splits.validation, from_end == 1),
        (splits.test, from_end == 0),
    ):
        lines = bought[is_part & has_history].assign(position=first_positions)
        assert list_orders(part) == set(list_purchases(lines))
        users = part.user_ids.to_pylist()
        assert len(part) == len(lines.drop_duplicates(["user_id", "order_number"])) == len(users)
    # The first order of a customer has no history: it is in training, unless it is the test order.
    in_training = (from_end > 1) | (bought["order_number"] == 1)
    assert splits.training_counts.tolist() == count_items(bought["item_index"][in_training])


def test_leave_one_out(project: Path) -> None:
    prepare(project, "sequencing", "--params", "split=leave_one_out")
    splits = load_splits(project / MODEL_INPUT / "sample/leave_one_out")
    bought = read_purchases(project)
    from_end = bought.groupby("user_id")["position"].transform("max") - bought["position"]
    for part, back in ((splits.validation, 1), (splits.test, 0)):
        is_target = (from_end == back) & (bought["position"] > 1)
        assert list_targets(part) == list_purchases(bought[is_target])
    training = bought[from_end > 1]
    assert list_targets(splits.train) == list_purchases(training[training["position"] > 1])
    assert splits.training_counts.tolist() == count_items(training["item_index"])
    cut = training["timestamp"].sort_values().iloc[-round(0.1 * len(training))]
    recent = training["item_index"][training["timestamp"] >= cut]
    assert splits.recent_counts.tolist() == count_items(recent)


@pytest.mark.parametrize("by", ["share", "date"])
def test_temporal(project: Path, by: str) -> None:
    bought = read_purchases(project)
    times = bought["timestamp"].sort_values(ignore_index=True)
    arguments = ["--params", "split=temporal"]
    if by == "share":
        cuts = [times[round(share * len(times))] for share in (0.8, 0.9)]
    else:
        days = [
            pd.Timestamp(times[int(share * len(times))], unit="ms").date() for share in (0.5, 0.7)
        ]
        arguments[1] += (
            ",sequencing.temporal.validation_from={},sequencing.temporal.test_from={}".format(*days)
        )
        cuts = [pd.Timestamp(day, tz="UTC").value // 1_000_000 for day in days]
    printed = prepare(project, "sequencing", *arguments)

    splits = load_splits(project / MODEL_INPUT / "sample/temporal")
    parts = (splits.train, splits.validation, splits.test)
    bounds = [0, *cuts, 1 << 60]
    for part, begin, end in zip(parts, bounds, bounds[1:], strict=False):
        inside = bought[(bought["timestamp"] >= begin) & (bought["timestamp"] < end)]
        assert list_targets(part) == list_purchases(inside[inside["position"] > 1])
    training = bought[bought["timestamp"] < cuts[0]]
    assert splits.training_counts.tolist() == count_items(training["item_index"])
    cut = training["timestamp"].sort_values().iloc[-round(0.1 * len(training))]
    recent = training["item_index"][training["timestamp"] >= cut]
    assert splits.recent_counts.tolist() == count_items(recent)
    for name, cut in zip(("validation_from", "test_from"), cuts, strict=True):
        found = splits.summary[name]
        assert pd.Timestamp(found) == pd.Timestamp(cut, unit="ms", tz="UTC")
        assert found in printed
    assert f"temporal: {len(splits.train)} training," in printed


def test_cold_items(project: Path) -> None:
    prepare(project, "sequencing", "--params", "split=cold_items,sequencing.cold_share=0.2")
    splits = load_splits(project / MODEL_INPUT / "sample/cold_items")
    train, validation, test = splits.train, splits.validation, splits.test
    counts = splits.training_counts
    bought = read_purchases(project)
    n_cold = splits.summary["cold_items"]
    assert n_cold == round(0.2 * bought["item_index"].nunique())
    cold = set(bought["item_index"]) - set(train.sequences.items.tolist())
    # All other items are bought often enough to be in training.
    assert len(cold) == n_cold
    assert not counts[list(cold)].any()
    assert not splits.recent_counts[list(cold)].any()
    assert not cold & {*train.list_targets()[1], *validation.list_targets()[1]}
    assert not cold & {*train.build_histories().ravel(), *validation.build_histories().ravel()}

    last = bought["position"] == bought.groupby("user_id")["position"].transform("max")
    assert list_targets(test) == list_purchases(bought[last & (bought["position"] > 1)])
    assert cold & set(test.list_targets()[1].tolist())
    assert cold & set(test.build_histories().ravel().tolist())
    warm = bought[~last & ~bought["item_index"].isin(cold)]
    warm = warm.assign(position=warm.groupby("user_id").cumcount() + 1)
    ends = warm["position"] == warm.groupby("user_id")["position"].transform("max")
    assert list_targets(validation) == list_purchases(warm[ends & (warm["position"] > 1)])
    assert list_targets(train) == list_purchases(warm[~ends & (warm["position"] > 1)])
    assert counts.tolist() == count_items(warm["item_index"][~ends])


def test_shuffled_windows(project: Path) -> None:
    prepare(project, "sequencing", "--params", "split=shuffled_windows")
    splits = load_splits(project / MODEL_INPUT / "sample/shuffled_windows")
    bought = read_purchases(project)
    parts = (splits.train, splits.validation, splits.test)
    rows = [row for part in parts for row in list_targets(part)]
    assert sorted(rows) == list_purchases(bought[bought["position"] > 2])
    assert splits.training_counts.sum() == 3 * len(splits.train)


def test_data_without_timestamps_has_no_temporal_split(project: Path) -> None:
    environment = project / "conf" / "no_times"
    environment.mkdir()
    raw = project / "data/01_raw/no_times"
    raw.mkdir()
    shop = {
        "dataset": "no_times",
        "raw_dir": "data/01_raw/no_times",
        "interactions": {
            "orders": {
                "files": "orders.csv",
                "format": "csv",
                "columns": {"user_id": "user", "item_id": "item", "position": "order"},
            }
        },
        "products": {
            "orders": {
                "files": "orders.csv",
                "format": "csv",
                "columns": {"item_id": "item", "title": "title"},
            }
        },
    }
    (environment / "globals.yml").write_text(yaml.safe_dump(shop))
    lines = [f"{user},{order % 7},Rose {order % 7},{order}" for user in "abc" for order in range(9)]
    (raw / "orders.csv").write_text("\n".join(["user,item,title,order", *lines]))
    prepare(project, "ingestion,joining,sequencing", "--env", "no_times")
    # Of seven training purchases of each user, a tenth is the last one.
    folder = project / MODEL_INPUT / "no_times/auto"
    assert np.load(folder / "recent_counts.npy").tolist() == [0, 0, 0, 0, 0, 0, 0, 3]

    temporal = ("--pipelines", "sequencing", "--params", "split=temporal")
    run = kedro_here(project, "run", "--env", "no_times", *temporal)
    assert run.returncode != 0
    message = run.stderr[run.stderr.index("Error:") :]
    assert "split=temporal needs the time of every purchase" in message
    assert "Set columns.timestamp" in message
    assert len(message.splitlines()) < 8
    assert "Traceback" not in run.stdout + run.stderr
    assert not (project / MODEL_INPUT / "no_times/temporal").exists()
