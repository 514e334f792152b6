"""A comparison as Markdown: for its own page, and for what the documentation cites of it."""

from typing import Any

from bazar.evaluation.comparison import COMPARED, SIGNIFICANCE
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import get_model_label, get_protocol_label

Comparison = dict[str, Any]

SHOWN = ("ndcg@10", "hr@10", "mrr@20")
RULE = (
    f"Paired bootstrap over users, the same users for both models; a difference is real where its "
    f"p-value, corrected for the number of pairs (Holm), is below {SIGNIFICANCE:g}. "
    "Differences between seeds are not in it: they are what ± says."
)


def facts(comparison: Comparison) -> str:
    """Say in a line what was compared on what."""
    return (
        f"{comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: "
        f"{comparison['n_users']:,} users, {comparison['n_items']:,} items, "
        f"{comparison['n_interactions']:,} interactions, {comparison['n_test_rows']:,} test rows."
    )


def models_table(comparison: Comparison, filter_mode: str) -> str:
    """Draw a row per model: mean over seeds ± standard deviation, and [95% interval over users].

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    heads = [f"history {filter_mode}", "seeds", *(name.upper() for name in SHOWN)]
    lines = [
        _row([*heads, "coverage@10", "novelty@10", "training", "parameters"]),
        _row(["---", *["---:"] * (len(heads) + 3)]),
    ]
    for model, figures in comparison["models"].items():
        measured, seconds = figures[filter_mode], figures["seconds_training"]
        lines.append(
            _row(
                [
                    get_model_label(model),
                    str(len(figures["seeds"]) or "–"),
                    *(_estimate(measured[metric]) for metric in SHOWN),
                    f"{measured['coverage@10']['mean']:.4f}",
                    f"{measured['novelty@10']['mean']:.2f}",
                    "–" if seconds is None else f"{seconds:,.0f} s",
                    f"{figures['n_parameters']:,}" if figures["n_parameters"] else "–",
                ]
            )
        )
    return "\n".join(lines)


def cold_table(comparison: Comparison) -> str:
    """Draw a row per model: the rows alone whose target is not in training, the best HR@10 first.

    Args:
        comparison: the content of ``comparison.json``, with such rows.
    """
    models = {
        model: one["cold"] for model, one in comparison["models"].items() if one["cold"] is not None
    }
    heads = [f"{name.upper()}, {filter_mode}" for filter_mode in FILTER_MODES for name in COMPARED]
    lines = [
        _row([f"{comparison['cold_rows']:,} cold rows", *heads]),
        _row(["---", *["---:"] * len(heads)]),
    ]
    for model in sorted(models, key=lambda name: -models[name]["filtered"]["hr@10"]["mean"]):
        cells = [
            _estimate(models[model][filter_mode][metric])
            for filter_mode in FILTER_MODES
            for metric in COMPARED
        ]
        lines.append(_row([get_model_label(model), *cells]))
    return "\n".join(lines)


def triangle(comparison: Comparison, filter_mode: str, metric: str) -> list[list[str]]:
    """Lay every pair's difference into the row of the better model and the column of the other.

    Args:
        comparison: the content of ``comparison.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
        metric: ``hr@10`` or ``ndcg@10``.

    Returns:
        A row per model but the last, a cell per model but the first: the difference, in bold
        if it is real, and nothing on the other side of the diagonal.
    """
    models = list(comparison["models"])
    cells = [[""] * (len(models) - 1) for _ in models[:-1]]
    for difference in comparison["differences"]:
        row, column = (models.index(model) for model in difference["models"])
        told = difference[filter_mode][metric]
        text = f"{told['difference']:+.4f}"
        cells[row][column - 1] = f"**{text}**" if told["real"] else text
    return cells


def triangle_table(comparison: Comparison, filter_mode: str, metric: str) -> str:
    """Draw :func:`triangle` as a table; columns have the numbers of the rows."""
    models = list(comparison["models"])
    names = [f"{place}. {get_model_label(model)}" for place, model in enumerate(models, start=1)]
    numbers = [str(place) for place in range(2, len(models) + 1)]
    lines = [
        _row([f"{metric.upper()}, {filter_mode}", *numbers]),
        _row(["---", *["---:"] * len(numbers)]),
    ]
    cells = triangle(comparison, filter_mode, metric)
    lines += [_row([name, *row]) for name, row in zip(names, cells, strict=False)]
    lines.append(_row([names[-1], *[""] * len(numbers)]))
    return "\n".join(lines)


def pairs_table(comparison: Comparison, pairs: list[tuple[str, str]], filter_mode: str) -> str:
    """Draw a row per pair of models: the differences, 95% intervals, and what is real.

    Args:
        comparison: the content of ``comparison.json``.
        pairs: names of models; of each pair, the first less the second.
        filter_mode: ``filtered`` or ``unfiltered``.

    Raises:
        KeyError: if a pair was not compared.
    """
    known = {tuple(one["models"]): one[filter_mode] for one in comparison["differences"]}
    heads = [text for metric in COMPARED for text in (metric.upper(), "p (Holm)", "real")]
    lines = [_row([f"history {filter_mode}", *heads]), _row(["---", *["---:"] * len(heads)])]
    for first, second in pairs:
        turned = (first, second) not in known
        told = known[(second, first) if turned else (first, second)]
        cells = []
        for metric in COMPARED:
            one = told[metric]
            ends = [one["difference"], *one["ci95"]]
            value, low, high = [-ends[0], -ends[2], -ends[1]] if turned else ends
            p = one["p_holm"]
            cells += [
                f"{value:+.4f} [{low:+.4f}, {high:+.4f}]",
                "< 0.001" if p < 0.001 else f"{p:.3f}",
                "**yes**" if one["real"] else "no",
            ]
        lines.append(_row([f"{get_model_label(first)} less {get_model_label(second)}", *cells]))
    return "\n".join(lines)


def write_page(comparison: Comparison) -> str:
    """Write the comparison as one page of Markdown.

    Args:
        comparison: the content of ``comparison.json``.
    """
    parts = [
        f"# {comparison['dataset']}, {get_protocol_label(comparison['protocol'])}: models compared",
        facts(comparison),
        f"Mean over seeds ± standard deviation over seeds, and the 95% interval over users "
        f"({comparison['bootstrap_resamples']:,} resamples). Best first, by NDCG@10 with the "
        "history filtered.",
    ]
    if comparison["protocol"] == "shuffled_windows":
        parts.append("**Leaky**: windows of one user stand in training and test alike.")
    parts += [models_table(comparison, filter_mode) for filter_mode in FILTER_MODES]
    if comparison["cold_rows"]:
        parts += ["## Products that are not in training", cold_table(comparison)]
    if comparison["differences"]:
        parts += [
            "## Which differences are real",
            f"{RULE} Bold: real. Rows less columns; columns have the numbers of the rows.",
        ]
        parts += [
            triangle_table(comparison, filter_mode, metric)
            for filter_mode in FILTER_MODES
            for metric in reversed(COMPARED)
        ]
    return "\n\n".join(parts) + "\n"


def _estimate(figures: dict[str, Any]) -> str:
    low, high = figures["ci95"]
    spread = "" if figures["sd"] is None else f" ± {figures['sd']:.4f}"
    return f"{figures['mean']:.4f}{spread} [{low:.4f}, {high:.4f}]"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
