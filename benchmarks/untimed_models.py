r"""Measure models that were trained without times on the rows with a target on a new day.

    .venv/bin/kedro run --env amazon_beauty_2014
    .venv/bin/kedro run --env amazon_beauty_2014 --params seed=43 \
        --pipelines modelling_classifier,modelling_regressor,modelling_blend
    .venv/bin/kedro run --env amazon_beauty_2014 --params seed=44 \
        --pipelines modelling_classifier,modelling_regressor,modelling_blend
    .venv/bin/kedro run --env amazon_beauty_2014_days \
        --pipelines ingestion,joining,sequencing,embedding,modelling_baselines
    .venv/bin/python benchmarks/untimed_models.py --machine "2 cores, Linux x86_64"

The environment amazon_beauty_2014 has the same purchases as amazon_beauty_2014_days, but no days.
Its models therefore read no times. This script takes their ranks, and the days from the other
environment. It writes the table between `<!-- untimed: amazon_beauty_2014_days/leave_one_out -->`
and `<!-- /untimed -->` of docs/explanation/results.md.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pages import format_spread, write_section

from bazar.config.models import BASELINES
from bazar.evaluation.metrics import compute_row_metrics
from bazar.labels import get_metric_label, get_model_label
from bazar.reporting.tables import MISSING, ResultTable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "results.md"
OUTPUT = ROOT / "data" / "07_model_output"
UNTIMED, TIMED = "amazon_beauty_2014/leave_one_out", "amazon_beauty_2014_days/leave_one_out"
METRICS = ("hr@10", "ndcg@10")
MODES = ("filtered", "unfiltered")
TARGET = ["user_id", "item_id"]


def read_new_day_targets(ranks: Path) -> pd.DataFrame:
    """Return the test targets on a new day: the columns ``user_id`` and ``item_id``.

    Args:
        ranks: a file ``<model>_ranks.parquet`` of data with days.
    """
    table = pd.read_parquet(ranks, columns=[*TARGET, "is_new_day"])
    return table.loc[table["is_new_day"].fillna(False).astype(bool), TARGET]


def measure_targets(ranks: Path, targets: pd.DataFrame) -> dict[str, float]:
    """Measure a model on some of its test targets.

    Args:
        ranks: a file ``<model>_ranks.parquet`` of rows with one target each.
        targets: columns ``user_id`` and ``item_id``.

    Returns:
        The mean of each metric, such as ``hr@10 filtered``.

    Raises:
        ValueError: if a target is not in the file.
    """
    table = pd.read_parquet(ranks).merge(targets, on=TARGET).sort_values("row")
    if len(table) != len(targets):
        raise ValueError(
            f"{ranks} has {len(table):,} of the {len(targets):,} targets. Run both environments on "
            "the same purchases."
        )
    found: dict[str, float] = {}
    for mode in MODES:
        values = compute_row_metrics(table[f"rank_{mode}"].to_numpy(), table["row"].to_numpy())
        found |= {f"{metric} {mode}": float(values[metric].mean()) for metric in METRICS}
    return found


def build_table(folders: Iterable[Path], targets: pd.DataFrame) -> ResultTable:
    """Return a table of all models, the highest filtered NDCG@10 first. ± is over seeds.

    Args:
        folders: the folders of the seeds.
        targets: the targets of :func:`read_new_day_targets`.
    """
    measured: dict[str, list[dict[str, float]]] = {}
    for folder in folders:
        for file in sorted(folder.glob("*_ranks.parquet")):
            model = file.name.removesuffix("_ranks.parquet")
            measured.setdefault(model, []).append(measure_targets(file, targets))
    columns = [(metric, mode) for mode in MODES for metric in METRICS]
    models = sorted(
        measured, key=lambda model: -np.mean([one["ndcg@10 filtered"] for one in measured[model]])
    )
    headings = [f"{get_metric_label(metric)}, {mode}" for metric, mode in columns]
    rows = []
    for model in models:
        seeds = measured[model]
        cells = [get_model_label(model), MISSING if model in BASELINES else str(len(seeds))]
        for metric, mode in columns:
            cells.append(format_spread([one[f"{metric} {mode}"] for one in seeds]))
        rows.append(cells)
    return ResultTable([f"{len(targets):,} new-day rows", "seeds", *headings], rows)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", required=True, help="machine of the trainings, in words")
    machine = parser.parse_args().machine
    folders = sorted((OUTPUT / UNTIMED).glob("seed_*"))
    days = sorted((OUTPUT / TIMED).glob("seed_*/ease_ranks.parquet"))
    if not folders or not days:
        commands = __doc__.split("\n\n")[1]
        sys.exit(
            f"There are no results of both environments. Run these commands first:\n{commands}"
        )
    table = build_table(folders, read_new_day_targets(days[0]))
    write_section(PAGE, "untimed", f"{UNTIMED}, {machine}.\n\n{table.to_markdown()}", TIMED)


if __name__ == "__main__":
    main()
