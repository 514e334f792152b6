"""Markdown page of the comparison of models. The documentation shows the same tables."""

from collections.abc import Iterable
from typing import Any

from bazar.config.models import BASELINES
from bazar.evaluation.comparison import COMPARED_METRICS, SIGNIFICANCE_LEVEL
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import (
    FILTER_LABELS,
    ORACLE,
    get_metric_label,
    get_model_label,
    get_protocol_label,
)
from bazar.reporting.findings import has_several_targets
from bazar.reporting.tables import (
    MISSING,
    ResultTable,
    format_difference,
    format_estimate,
    format_number,
    format_p_value,
)

Comparison = dict[str, Any]

NEW_DAY_EXPLANATION = (
    "Only test rows count whose target was bought on a later day (UTC) than the item before it. "
    "Rows in which one of the two has no day are left out."
)

METRIC_COLUMNS = ("ndcg@10", "hr@10", "recall@10", "mrr@20")
TEST_EXPLANATION = (
    "Paired bootstrap over users. A difference is significant if its p-value, after Holm's "
    f"correction for the number of pairs, is below {SIGNIFICANCE_LEVEL:g}. The test does not "
    "include the variation between seeds; ± shows it."
)


def describe_data(comparison: Comparison) -> str:
    """Return a sentence that describes the data of the comparison."""
    targets = (
        f" with {comparison['n_test_targets']:,} targets" if has_several_targets(comparison) else ""
    )
    return (
        f"{comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: "
        f"{comparison['n_users']:,} users, {comparison['n_items']:,} items, "
        f"{comparison['n_interactions']:,} interactions, {comparison['n_test_rows']:,} test rows"
        f"{targets}."
    )


def list_filter_modes(comparison: Comparison) -> list[str]:
    """Return both filter modes, the one that comes first in the results first."""
    return sorted(FILTER_MODES, key=lambda mode: mode != comparison["filter_mode"])


def list_metrics(comparison: Comparison, metrics: Iterable[str] = COMPARED_METRICS) -> list[str]:
    """Return the metrics that have information: without Recall@k if rows have one target each."""
    several = has_several_targets(comparison)
    return [metric for metric in metrics if several or not metric.startswith("recall")]


def build_models_table(comparison: Comparison, filter_mode: str) -> ResultTable:
    """Return a table with one row per model: metrics, training time and number of parameters.

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    columns = list_metrics(comparison, METRIC_COLUMNS)
    headings = [
        FILTER_LABELS[filter_mode],
        "seeds",
        *(get_metric_label(metric) for metric in columns),
        "coverage@10",
        "novelty@10",
        "training",
        "parameters",
    ]
    rows = [
        [
            get_model_label(model),
            str(len(results["seeds"]) or MISSING),
            *(format_estimate(results[filter_mode][metric]) for metric in columns),
            format_number(results[filter_mode]["coverage@10"]["mean"], ".4f"),
            format_number(results[filter_mode]["novelty@10"]["mean"], ".2f"),
            format_number(results["seconds_training"], ",.0f", " s"),
            format_number(results["n_parameters"] or None, ","),
        ]
        for model, results in comparison["models"].items()
    ]
    return ResultTable(headings, rows)


def build_part_table(comparison: Comparison, part: str) -> ResultTable:
    """Return a table of the results for a part of the targets, one row per model.

    The model with the best HR@10 is first, after the oracle. Repeats are never found by filtered
    rankings, so they have only unfiltered results.

    Args:
        comparison: the content of ``comparison.json``. It must have rows with a target of the part.
        part: one of :data:`bazar.evaluation.comparison.PARTS`.
    """
    models = {model: results[part] for model, results in comparison["models"].items()}
    modes = ["unfiltered"] if part == "repeat" else list_filter_modes(comparison)
    columns = [(mode, metric) for mode in modes for metric in list_metrics(comparison)]

    def get_order(model: str) -> tuple[bool, float]:
        return model != ORACLE, -models[model][modes[0]]["hr@10"]["mean"]

    rows = [
        [
            get_model_label(model),
            *(format_estimate(models[model][mode][metric]) for mode, metric in columns),
        ]
        for model in sorted(models, key=get_order)
    ]
    headings = [f"{get_metric_label(metric)}, {mode}" for mode, metric in columns]
    name = part.replace("_", "-")
    return ResultTable([f"{comparison[f'{part}_rows']:,} {name} rows", *headings], rows)


def describe_baselines(comparison: Comparison) -> list[str]:
    """Return a sentence about each model that does not beat the best baseline.

    A model beats the best baseline if its NDCG@10 is significantly higher, for the filter mode that
    comes first.

    Args:
        comparison: the content of ``comparison.json``.
    """
    mode = comparison["filter_mode"]
    models = [model for model in comparison["models"] if model != ORACLE]
    best = next((model for model in models if model in BASELINES), None)
    if best is None:
        return []
    beaten = {
        pair["models"][0]: pair[mode]["ndcg@10"]
        for pair in comparison["differences"]
        if pair["models"][1] == best
    }
    return [
        f"{get_model_label(model)} does not beat the best baseline, {get_model_label(best)}: its "
        f"NDCG@10 with {FILTER_LABELS[mode]} is not significantly higher."
        for model in models
        if model not in BASELINES and not (model in beaten and beaten[model]["significant"])
    ]


def build_differences_table(comparison: Comparison, filter_mode: str, metric: str) -> ResultTable:
    """Return a table of the differences of all pairs of models: row minus column.

    Models are numbered in order, the best first, without the oracle. The headings of the columns
    are these numbers. Only the half above the diagonal is filled. Significant differences are bold.

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
        metric: one of :data:`bazar.evaluation.comparison.COMPARED_METRICS`.
    """
    models = [model for model in comparison["models"] if model != ORACLE]
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
    return ResultTable([f"{get_metric_label(metric)}, {filter_mode}", *numbers], rows)


def build_pairs_table(
    comparison: Comparison,
    pairs: list[tuple[str, str]],
    filter_mode: str,
    part: str | None = None,
) -> ResultTable:
    """Return a table with one row per selected pair: differences, intervals and p-values.

    Args:
        comparison: the content of ``comparison.json``.
        pairs: names of models. The difference is the first model minus the second.
        filter_mode: ``filtered`` or ``unfiltered``.
        part: one of :data:`bazar.evaluation.comparison.PARTS`; None for all rows.

    Raises:
        KeyError: if a pair was not compared.
    """
    differences = comparison["part_differences"][part] if part else comparison["differences"]
    compared = {tuple(pair["models"]): pair[filter_mode] for pair in differences}
    metrics = list_metrics(comparison)
    headings = [
        text for metric in metrics for text in (get_metric_label(metric), "p (Holm)", "significant")
    ]
    rows = []
    for first, second in pairs:
        is_reversed = (first, second) not in compared
        tests = compared[(second, first) if is_reversed else (first, second)]
        cells = [f"{get_model_label(first)} minus {get_model_label(second)}"]
        for metric in metrics:
            test = tests[metric]
            value, (low, high) = test["difference"], test["ci95"]
            if is_reversed:
                value, low, high = -value, -high, -low
            cells += [
                format_difference(value, low, high),
                format_p_value(test["p_holm"]),
                "**yes**" if test["significant"] else "no",
            ]
        rows.append(cells)
    return ResultTable([FILTER_LABELS[filter_mode], *headings], rows)


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
        f"by NDCG@10 with {FILTER_LABELS[comparison['filter_mode']]}, the best first.",
    ]
    if ORACLE in comparison["models"]:
        parts.append(
            f"{get_model_label(ORACLE)} is the ceiling: the best possible result. It takes no part "
            "in the tests."
        )
    parts += describe_baselines(comparison)
    if comparison["protocol"] == "shuffled_windows":
        parts.append(
            "**Leaky**: the training part and the test part contain overlapping windows of the "
            "same users."
        )
    modes = list_filter_modes(comparison)
    parts += [build_models_table(comparison, mode).to_markdown() for mode in modes]
    if comparison["repeat_rows"]:
        parts += [
            "## Products that the customer bought before, and others",
            "In each table, only the targets of this kind are relevant, and only rows with such a "
            "target count.",
            build_part_table(comparison, "repeat").to_markdown(),
            build_part_table(comparison, "explore").to_markdown(),
        ]
    if comparison["cold_rows"]:
        parts += ["## Cold items", build_part_table(comparison, "cold").to_markdown()]
    if comparison["new_day_rows"]:
        parts += [
            "## Targets on a new day",
            NEW_DAY_EXPLANATION,
            build_part_table(comparison, "new_day").to_markdown(),
        ]
    if comparison["differences"]:
        parts += [
            "## Significant differences",
            f"{TEST_EXPLANATION} Each cell is the model of the row minus the model of the column. "
            "The headings of the columns are row numbers. Significant differences are bold.",
        ]
        parts += [
            build_differences_table(comparison, filter_mode, metric).to_markdown()
            for filter_mode in modes
            for metric in reversed(list_metrics(comparison))
        ]
    return "\n\n".join(parts) + "\n"
