"""Tables that compare the same models on data sets with the same purchases, as Markdown.

They show what depends on the titles and on the sentence encoder. ``results.py`` writes them.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.base import DEFAULT_SEED
from bazar.evaluation.comparison import SIGNIFICANCE_LEVEL
from bazar.evaluation.significance import (
    apply_holm_correction,
    run_paired_bootstrap,
    summarise_difference,
)
from bazar.labels import get_metric_label, get_model_label
from bazar.reporting.comparison_page import TEST_EXPLANATION, describe_data, list_filter_modes
from bazar.reporting.tables import (
    ResultTable,
    format_difference,
    format_estimate,
    format_p_value,
)

_METRICS = ("ndcg@10", "hr@10")
_RESAMPLES = 10_000
_SEED = 42

Comparison = dict[str, Any]


def write_stores(
    data: Path, folders: list[str], pairs: list[tuple[str, str]], models: list[str], device: str
) -> str:
    """Return the text of a section that compares data sets: the data, the models, differences.

    With the protocol ``cold_items``, the tables have the rows with a cold target.

    Args:
        data: folder with ``07_model_output`` and ``08_reporting``.
        folders: the results of each data set, such as ``sample/auto``.
        pairs: the differences, as pairs of data sets: the first minus the second.
        models: the rows of the table.
        device: description of the machine that trained.
    """
    comparisons = [
        json.loads((data / "08_reporting" / folder / "comparison.json").read_text(encoding="utf-8"))
        for folder in folders
    ]
    first = comparisons[0]
    is_cold = first["protocol"] == "cold_items"
    mode = list_filter_modes(first)[0]
    shown = [comparison["models"][model] for comparison in comparisons for model in models]
    seeds = sorted({seed for results in shown for seed in results["seeds"]})
    trained_with = f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    heading = f"{first['cold_rows']:,} cold rows" if is_cold else "all rows"
    hits = {}
    for folder, comparison in zip(folders, comparisons, strict=True):
        for model in models:
            of_seeds = comparison["models"][model]["seeds"] or [DEFAULT_SEED]
            ranks = [
                data / "07_model_output" / folder / f"seed_{seed}" / f"{model}_ranks.parquet"
                for seed in of_seeds
            ]
            hits[model, comparison["dataset"]] = read_hits(ranks, mode, is_cold)
    parts = [
        f"{describe_data(first)} {trained_with}. {device}.",
        _build_models_table(comparisons, models, heading).to_markdown(),
        f"{TEST_EXPLANATION} {len(models) * len(pairs)} pairs, {_RESAMPLES:,} resamples.",
        build_differences_table(hits, models, pairs, mode).to_markdown(),
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def _build_models_table(
    comparisons: list[Comparison], models: list[str], heading: str
) -> ResultTable:
    columns = [(mode, metric) for mode in list_filter_modes(comparisons[0]) for metric in _METRICS]
    rows = []
    for model in models:
        for comparison in comparisons:
            results = comparison["models"][model]
            if comparison["protocol"] == "cold_items":
                results = results["cold"]
            cells = [format_estimate(results[mode][metric]) for mode, metric in columns]
            rows.append([get_model_label(model), comparison["dataset"], *cells])
    headings = [f"{get_metric_label(metric)}, {mode}" for mode, metric in columns]
    return ResultTable([heading, "data set", *headings], rows, frozenset({0, 1}))


def read_hits(files: Iterable[Path], filter_mode: str, is_cold: bool) -> pd.Series:
    """Return whether a target of each row is among the first 10, as a mean over the files.

    Args:
        files: ranks of the targets, one file per seed.
        filter_mode: ``filtered`` or ``unfiltered``.
        is_cold: count only targets that do not occur in the training part.

    Returns:
        HR@10 of each row with such a target, by ``user_id`` and ``row``, float.
    """
    seeds = []
    for file in files:
        targets = pd.read_parquet(file)
        if is_cold:
            targets = targets[targets["target_count"] == 0]
        best = targets.groupby(["user_id", "row"])[f"rank_{filter_mode}"].min()
        seeds.append((best <= 10).astype(float))
    return pd.concat(seeds, axis=1).mean(axis=1)


def build_differences_table(
    hits: dict[tuple[str, str], pd.Series],
    models: list[str],
    pairs: list[tuple[str, str]],
    filter_mode: str,
) -> ResultTable:
    """Return a table of differences in HR@10 between data sets, with a paired bootstrap.

    Args:
        hits: results of :func:`read_hits` by model and data set, all of the same rows.
        models: models of the table.
        pairs: pairs of data sets: the first minus the second.
        filter_mode: ``filtered`` or ``unfiltered``.

    Raises:
        ValueError: if the data sets have different test rows.
    """
    tests = [(model, first, second) for model in models for first, second in pairs]
    per_row = pd.concat(
        [hits[model, first] - hits[model, second] for model, first, second in tests], axis=1
    )
    if per_row.isna().to_numpy().any():
        raise ValueError("The data sets have different test rows.")
    users = per_row.index.get_level_values("user_id").to_numpy(object)
    values = per_row.to_numpy()
    samples = run_paired_bootstrap(values, users, _RESAMPLES, _SEED)
    summaries = [
        summarise_difference(values[:, number], samples[:, number], users)
        for number in range(len(tests))
    ]
    corrected = apply_holm_correction(np.array([summary["p"] for summary in summaries]))
    rows = [
        [
            get_model_label(model),
            f"{first} minus {second}",
            format_difference(summary["difference"], *summary["ci95"]),
            format_p_value(p),
            "**yes**" if p < SIGNIFICANCE_LEVEL else "no",
        ]
        for (model, first, second), summary, p in zip(tests, summaries, corrected, strict=True)
    ]
    headings = ["model", "data sets", f"HR@10, {filter_mode}", "p (Holm)", "significant"]
    return ResultTable(headings, rows, frozenset({0, 1}))
