"""Markdown page of the comparison of models. The documentation shows the same tables."""

from typing import Any

from bazar.evaluation.comparison import COMPARED_METRICS, SIGNIFICANCE_LEVEL
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import get_model_label, get_protocol_label
from bazar.reporting.tables import (
    MISSING,
    ResultTable,
    format_difference,
    format_estimate,
    format_number,
    format_p_value,
)

Comparison = dict[str, Any]

METRIC_COLUMNS = ("ndcg@10", "hr@10", "mrr@20")
FILTER_MODE_LABELS = {"filtered": "seen items filtered", "unfiltered": "seen items not filtered"}
TEST_EXPLANATION = (
    "Paired bootstrap over users. A difference is significant if its p-value, after Holm's "
    f"correction for the number of pairs, is below {SIGNIFICANCE_LEVEL:g}. The test does not "
    "include the variation between seeds; ± shows it."
)


def describe_data(comparison: Comparison) -> str:
    """Return a sentence that describes the data of the comparison."""
    return (
        f"{comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: "
        f"{comparison['n_users']:,} users, {comparison['n_items']:,} items, "
        f"{comparison['n_interactions']:,} interactions, {comparison['n_test_rows']:,} test rows."
    )


def build_models_table(comparison: Comparison, filter_mode: str) -> ResultTable:
    """Return a table with one row per model: metrics, training time and number of parameters.

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    headings = [
        FILTER_MODE_LABELS[filter_mode],
        "seeds",
        *(metric.upper() for metric in METRIC_COLUMNS),
        "coverage@10",
        "novelty@10",
        "training",
        "parameters",
    ]
    rows = [
        [
            get_model_label(model),
            str(len(results["seeds"]) or MISSING),
            *(format_estimate(results[filter_mode][metric]) for metric in METRIC_COLUMNS),
            format_number(results[filter_mode]["coverage@10"]["mean"], ".4f"),
            format_number(results[filter_mode]["novelty@10"]["mean"], ".2f"),
            format_number(results["seconds_training"], ",.0f", " s"),
            format_number(results["n_parameters"] or None, ","),
        ]
        for model, results in comparison["models"].items()
    ]
    return ResultTable(headings, rows)


def build_cold_items_table(comparison: Comparison) -> ResultTable:
    """Return a table of the results on rows with a cold target, one row per model.

    The model with the best HR@10 is first.

    Args:
        comparison: the content of ``comparison.json``. It must have rows with a cold target.
    """
    models = {
        model: results["cold"]
        for model, results in comparison["models"].items()
        if results["cold"] is not None
    }
    columns = [(filter_mode, metric) for filter_mode in FILTER_MODES for metric in COMPARED_METRICS]
    rows = [
        [
            get_model_label(model),
            *(
                format_estimate(models[model][filter_mode][metric])
                for filter_mode, metric in columns
            ),
        ]
        for model in sorted(models, key=lambda name: -models[name]["filtered"]["hr@10"]["mean"])
    ]
    headings = [f"{metric.upper()}, {filter_mode}" for filter_mode, metric in columns]
    return ResultTable([f"{comparison['cold_rows']:,} cold rows", *headings], rows)


def build_differences_table(comparison: Comparison, filter_mode: str, metric: str) -> ResultTable:
    """Return a table of the differences of all pairs of models: row minus column.

    Models are numbered in order, the best first. The headings of the columns are these numbers.
    Only the half above the diagonal is filled. Significant differences are bold.

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
        metric: ``hr@10`` or ``ndcg@10``.
    """
    models = list(comparison["models"])
    numbers = [str(number) for number in range(2, len(models) + 1)]
    rows = [
        [f"{number}. {get_model_label(model)}", *[""] * len(numbers)]
        for number, model in enumerate(models, start=1)
    ]
    for pair in comparison["differences"]:
        row, column = (models.index(model) for model in pair["models"])
        difference = pair[filter_mode][metric]
        text = f"{difference['difference']:+.4f}"
        rows[row][column] = f"**{text}**" if difference["significant"] else text
    return ResultTable([f"{metric.upper()}, {filter_mode}", *numbers], rows)


def build_pairs_table(
    comparison: Comparison, pairs: list[tuple[str, str]], filter_mode: str
) -> ResultTable:
    """Return a table with one row per selected pair: differences, intervals and p-values.

    Args:
        comparison: the content of ``comparison.json``.
        pairs: names of models. The difference is the first model minus the second.
        filter_mode: ``filtered`` or ``unfiltered``.

    Raises:
        KeyError: if a pair was not compared.
    """
    compared = {tuple(pair["models"]): pair[filter_mode] for pair in comparison["differences"]}
    headings = [
        text for metric in COMPARED_METRICS for text in (metric.upper(), "p (Holm)", "significant")
    ]
    rows = []
    for first, second in pairs:
        is_reversed = (first, second) not in compared
        differences = compared[(second, first) if is_reversed else (first, second)]
        cells = [f"{get_model_label(first)} minus {get_model_label(second)}"]
        for metric in COMPARED_METRICS:
            test = differences[metric]
            value, (low, high) = test["difference"], test["ci95"]
            if is_reversed:
                value, low, high = -value, -high, -low
            cells += [
                format_difference(value, low, high),
                format_p_value(test["p_holm"]),
                "**yes**" if test["significant"] else "no",
            ]
        rows.append(cells)
    return ResultTable([FILTER_MODE_LABELS[filter_mode], *headings], rows)


def write_page(comparison: Comparison) -> str:
    """Return the comparison as a Markdown page.

    Args:
        comparison: the content of ``comparison.json``.
    """
    parts = [
        f"# Comparison: {comparison['dataset']}, {get_protocol_label(comparison['protocol'])}",
        describe_data(comparison),
        "Each value is the mean over seeds ± the standard deviation over seeds, with the 95% "
        f"interval over users ({comparison['bootstrap_resamples']:,} resamples). Models are sorted "
        "by NDCG@10 with seen items filtered, the best first.",
    ]
    if comparison["protocol"] == "shuffled_windows":
        parts.append(
            "**Leaky**: the training part and the test part contain overlapping windows of the "
            "same users."
        )
    parts += [build_models_table(comparison, mode).to_markdown() for mode in FILTER_MODES]
    if comparison["cold_rows"]:
        parts += ["## Cold items", build_cold_items_table(comparison).to_markdown()]
    if comparison["differences"]:
        parts += [
            "## Significant differences",
            f"{TEST_EXPLANATION} Each cell is the model of the row minus the model of the column. "
            "The headings of the columns are row numbers. Significant differences are bold.",
        ]
        parts += [
            build_differences_table(comparison, filter_mode, metric).to_markdown()
            for filter_mode in FILTER_MODES
            for metric in reversed(COMPARED_METRICS)
        ]
    return "\n\n".join(parts) + "\n"
