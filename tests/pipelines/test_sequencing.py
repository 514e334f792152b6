"""Real runs of the preparation on a small made-up shop, under every protocol."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from bazar.data.windows import Windows
from bazar.datasets.arrays import WindowsDataset
from bazar.synthetic.amazon_2023 import StoreOptions, generate_store
from tests.project import copy_project, kedro

STORE = StoreOptions(products=80, customers=250, interactions=2_500, seed=3)
PARTS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small store whose tables are joined."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    generate_store(project / "data" / "01_raw" / "sample", STORE)
    prepare(project, "ingestion,joining,sequencing")
    return project


def prepare(project: Path, pipelines: str, *arguments: str) -> str:
    run = kedro(project, "run", "--pipelines", pipelines, *arguments)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return " ".join((run.stdout + run.stderr).split())


def purchases(project: Path) -> pd.DataFrame:
    table = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    return table.sort_values(["user_id", "position"], ignore_index=True)


def summary(folder: Path) -> dict:
    return json.loads((folder / "split_summary.json").read_text())


def load(folder: Path) -> tuple[list[Windows], np.ndarray, np.ndarray]:
    """The parts, in which the figures of the summary are found again, and both counts."""
    parts = [WindowsDataset(filepath=str(folder / f"{part}.arrow")).load() for part in PARTS]
    counts, recent = (np.load(folder / f"{name}_counts.npy") for name in ("training", "recent"))
    assert counts.dtype == recent.dtype == np.int64
    assert counts.shape == recent.shape == (81,)
    assert (recent <= counts).all()
    assert 0 < recent.sum() < counts.sum()
    told = summary(folder)
    assert [told[f"{name}_rows"] for name in ("training", "validation", "test")] == [
        len(part) for part in parts
    ]
    assert told["cold_test_rows"] == np.count_nonzero(counts[parts[2].targets] == 0)
    return parts, counts, recent


def asked(part: Windows) -> list[tuple[str, int, int]]:
    """What each row asks for: user, position of the target, item index."""
    positions = part.n_seen + 1
    return list(
        zip(part.user_ids.to_pylist(), positions.tolist(), part.targets.tolist(), strict=True)
    )


def rows_of(table: pd.DataFrame) -> list[tuple[str, int, int]]:
    return list(table[["user_id", "position", "item_index"]].itertuples(index=False, name=None))


def naive_counts(items: pd.Series) -> list[int]:
    return np.bincount(items, minlength=81).tolist()


def test_leave_one_out(project: Path) -> None:
    parts, counts, recent = load(project / "data/05_model_input/sample")
    bought = purchases(project)
    from_end = bought.groupby("user_id")["position"].transform("max") - bought["position"]
    assert summary(project / "data/05_model_input/sample")["protocol"] == "leave_one_out"
    for part, back in ((parts[1], 1), (parts[2], 0)):
        assert asked(part) == rows_of(bought[(from_end == back) & (bought["position"] > 1)])
    training = bought[from_end > 1]
    assert asked(parts[0]) == rows_of(training[training["position"] > 1])
    assert counts.tolist() == naive_counts(training["item_index"])
    cut = training["timestamp"].sort_values().iloc[-round(0.1 * len(training))]
    assert recent.tolist() == naive_counts(training["item_index"][training["timestamp"] >= cut])


@pytest.mark.parametrize("by", ["share", "date"])
def test_temporal(project: Path, by: str) -> None:
    bought = purchases(project)
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

    folder = project / "data/05_model_input/sample/temporal"
    parts, counts, recent = load(folder)
    bounds = [0, *cuts, 1 << 60]
    for part, begin, end in zip(parts, bounds, bounds[1:], strict=False):
        inside = bought[(bought["timestamp"] >= begin) & (bought["timestamp"] < end)]
        assert asked(part) == rows_of(inside[inside["position"] > 1])
    training = bought[bought["timestamp"] < cuts[0]]
    assert counts.tolist() == naive_counts(training["item_index"])
    cut = training["timestamp"].sort_values().iloc[-round(0.1 * len(training))]
    assert recent.tolist() == naive_counts(training["item_index"][training["timestamp"] >= cut])
    told = summary(folder)
    for name, cut in zip(("validation_from", "test_from"), cuts, strict=True):
        assert pd.Timestamp(told[name]) == pd.Timestamp(cut, unit="ms", tz="UTC")
        assert told[name] in printed
    assert f"temporal: {len(parts[0])} training," in printed


def test_cold_items(project: Path) -> None:
    prepare(project, "sequencing", "--params", "split=cold_items,sequencing.cold_share=0.2")
    folder = project / "data/05_model_input/sample/cold_items"
    (train, validation, test), counts, recent = load(folder)
    bought = purchases(project)
    n_cold = summary(folder)["cold_items"]
    assert n_cold == round(0.2 * bought["item_index"].nunique())
    of_training = set(train.sequences.items.tolist())
    cold = set(bought["item_index"]) - of_training
    # All other items are bought often enough to be in training.
    assert len(cold) == n_cold
    assert not counts[list(cold)].any()
    assert not recent[list(cold)].any()
    assert not cold & {*train.targets, *validation.targets}
    assert not cold & {*train.build_histories().ravel(), *validation.build_histories().ravel()}

    last = bought["position"] == bought.groupby("user_id")["position"].transform("max")
    assert asked(test) == rows_of(bought[last & (bought["position"] > 1)])
    assert cold & set(test.targets.tolist())
    assert cold & set(test.build_histories().ravel().tolist())
    left = bought[~last & ~bought["item_index"].isin(cold)]
    left = left.assign(position=left.groupby("user_id").cumcount() + 1)
    ends = left["position"] == left.groupby("user_id")["position"].transform("max")
    assert asked(validation) == rows_of(left[ends & (left["position"] > 1)])
    assert asked(train) == rows_of(left[~ends & (left["position"] > 1)])
    assert counts.tolist() == naive_counts(left["item_index"][~ends])


def test_paper_windows(project: Path) -> None:
    prepare(project, "sequencing", "--params", "split=shuffled_windows")
    parts, counts, _ = load(project / "data/05_model_input/sample/shuffled_windows")
    bought = purchases(project)
    rows = [row for part in parts for row in asked(part)]
    assert sorted(rows) == rows_of(bought[bought["position"] > 2])
    assert counts.sum() == 3 * len(parts[0])


def test_a_data_set_without_a_clock_has_no_temporal_split(project: Path) -> None:
    environment = project / "conf" / "no_clock"
    environment.mkdir()
    raw = project / "data/01_raw/no_clock"
    raw.mkdir()
    shop = {
        "dataset": "no_clock",
        "raw_dir": "data/01_raw/no_clock",
        "interactions": {
            "orders": {
                "files": "orders.csv",
                "format": "csv",
                "columns": {"user_id": "user", "item_id": "item", "position": "place"},
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
    lines = [f"{user},{place % 7},Rose {place % 7},{place}" for user in "abc" for place in range(9)]
    (raw / "orders.csv").write_text("\n".join(["user,item,title,place", *lines]))
    prepare(project, "ingestion,joining,sequencing", "--env", "no_clock")
    # Of seven training purchases of each user, a tenth is the last one.
    recent = np.load(project / "data/05_model_input/no_clock/recent_counts.npy")
    assert recent.tolist() == [0, 0, 0, 0, 0, 0, 0, 3]

    temporal = ("--pipelines", "sequencing", "--params", "split=temporal")
    run = kedro(project, "run", "--env", "no_clock", *temporal)
    assert run.returncode != 0
    told = run.stderr[run.stderr.index("Error:") :]
    assert "split=temporal needs the time of every purchase" in told
    assert "Map columns.timestamp" in told
    assert len(told.splitlines()) < 8
    assert "Traceback" not in run.stdout + run.stderr
    assert not (project / "data/05_model_input/no_clock/temporal").exists()
