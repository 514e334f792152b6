"""The comparison of models as a Markdown page, and its tables for the documentation."""

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
    "Paired bootstrap over users. A difference is real if its p-value, after Holm's correction "
    f"for the number of pairs, is below {SIGNIFICANCE_LEVEL:g}. The variation between seeds is not "
    "part of the test; ± shows it."
)


def describe_data(comparison: Comparison) -> str:
    """Describe in one sentence the data that the models were compared on."""
    return (
        f"{comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: "
        f"{comparison['n_users']:,} users, {comparison['n_items']:,} items, "
        f"{comparison['n_interactions']:,} interactions, {comparison['n_test_rows']:,} test rows."
    )


def build_models_table(comparison: Comparison, filter_mode: str) -> ResultTable:
    """Build a table with one row per model: its metrics, training time and size.

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
            str(len(figures["seeds"]) or MISSING),
            *(format_estimate(figures[filter_mode][metric]) for metric in METRIC_COLUMNS),
            format_number(figures[filter_mode]["coverage@10"]["mean"], ".4f"),
            format_number(figures[filter_mode]["novelty@10"]["mean"], ".2f"),
            format_number(figures["seconds_training"], ",.0f", " s"),
            format_number(figures["n_parameters"] or None, ","),
        ]
        for model, figures in comparison["models"].items()
    ]
    return ResultTable(headings, rows)


def build_cold_items_table(comparison: Comparison) -> ResultTable:
    """Build a table of the rows with a cold target, one row per model, the best HR@10 first.

    Args:
        comparison: the content of ``comparison.json``, with such rows.
    """
    models = {
        model: figures["cold"]
        for model, figures in comparison["models"].items()
        if figures["cold"] is not None
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
    """Build a table of the differences of all pairs of models: row minus column.

    Models are numbered in order, the best first; columns have the numbers of the rows. Only the
    half above the diagonal is filled. Real differences are bold.

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
        rows[row][column] = f"**{text}**" if difference["real"] else text
    return ResultTable([f"{metric.upper()}, {filter_mode}", *numbers], rows)


def build_pairs_table(
    comparison: Comparison, pairs: list[tuple[str, str]], filter_mode: str
) -> ResultTable:
    """Build a table with one row per selected pair: differences, intervals and p-values.

    Args:
        comparison: the content of ``comparison.json``.
        pairs: names of models; the difference of a pair is the first minus the second.
        filter_mode: ``filtered`` or ``unfiltered``.

    Raises:
        KeyError: if a pair was not compared.
    """
    compared = {tuple(pair["models"]): pair[filter_mode] for pair in comparison["differences"]}
    headings = [
        text for metric in COMPARED_METRICS for text in (metric.upper(), "p (Holm)", "real")
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
                "**yes**" if test["real"] else "no",
            ]
        rows.append(cells)
    return ResultTable([FILTER_MODE_LABELS[filter_mode], *headings], rows)


def write_page(comparison: Comparison) -> str:
    """Write the comparison as one Markdown page.

    Args:
        comparison: the content of ``comparison.json``.
    """
    parts = [
        f"# {comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: models compared",
        describe_data(comparison),
        "Mean over seeds ± standard deviation over seeds, and the 95% interval over users "
        f"({comparison['bootstrap_resamples']:,} resamples). The best model is first, by NDCG@10 "
        "with seen items filtered.",
    ]
    if comparison["protocol"] == "shuffled_windows":
        parts.append(
            "**Leaky**: overlapping windows of one user are in both the training and the test part."
        )
    parts += [build_models_table(comparison, mode).to_markdown() for mode in FILTER_MODES]
    if comparison["cold_rows"]:
        parts += ["## Cold items", build_cold_items_table(comparison).to_markdown()]
    if comparison["differences"]:
        parts += [
            "## Which differences are real",
            f"{TEST_EXPLANATION} Each cell is the row's model minus the column's; columns have the "
            "numbers of the rows. Real differences are bold.",
        ]
        parts += [
            build_differences_table(comparison, filter_mode, metric).to_markdown()
            for filter_mode in FILTER_MODES
            for metric in reversed(COMPARED_METRICS)
        ]
    return "\n\n".join(parts) + "\n"
