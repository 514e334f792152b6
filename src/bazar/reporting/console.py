"""Console output at the end of `kedro run`: a summary of the results and the next commands."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import (
    ORACLE,
    PROTOCOL_DESCRIPTIONS,
    format_title,
    get_filter_label,
    get_model_label,
    get_protocol_label,
    make_printable,
)
from bazar.reporting.comparison_page import describe_baselines
from bazar.reporting.findings import (
    Verdict,
    build_verdict,
    get_display_order,
    has_several_targets,
)

MAX_SHOWN_PURCHASES = 8
_SHOWN_RECOMMENDATIONS = 5
_SIDE_BY_SIDE_WIDTH = 70
_COMMAND = ".venv/bin/kedro"
_PARTS_EXPLANATION = (
    "repeat: NDCG@10 for products that the customer bought before. explore: NDCG@10 for all other "
    "products."
)
_LEAKY = (
    "[bold]shuffled_windows is leaky:[/bold] training and test contain windows of the same "
    "customers. Do not compare these results with the results of other protocols."
)


def print_summary(
    metrics: dict[str, Any],
    examples: dict[str, Any],
    report: Path,
    env: str | None = None,
    console: Console | None = None,
    given: Mapping[str, Any] | None = None,
) -> None:
    """Print the verdict, the metrics, an example customer and the next commands.

    Args:
        metrics: the content of ``metrics.json``.
        examples: the result of :func:`bazar.reporting.examples.build_examples`.
        report: path of the report.
        env: configuration environment of the run; None for the default.
        console: where to print; the terminal if None.
        given: parameters of the command line.
    """
    console = console or Console(emoji=False)
    verdict = build_verdict(metrics)
    console.print()
    console.print(f"[bold]{escape(verdict.headline)}[/bold]", highlight=False)
    for sentence in verdict.sentences:
        console.print(escape(sentence), highlight=False)
    if verdict.setting is not None:
        console.print(f"\n{escape(verdict.setting)}", highlight=False)
    if metrics["models"]:
        console.print()
        _print_metrics(metrics, console)
    if metrics["protocol"] == "shuffled_windows":
        console.print(_LEAKY)
    elif metrics["protocol"] != "leave_one_out":
        console.print(
            f"[bold]{metrics['protocol']}:[/bold] "
            f"{PROTOCOL_DESCRIPTIONS[metrics['protocol']]}. Do not compare these results with "
            "leave-one-out results."
        )
    if metrics["outdated_models"]:
        names = ", ".join(get_model_label(model) for model in metrics["outdated_models"])
        console.print(f"Left out, measured on other data: {escape(names)}.", highlight=False)
    _print_example(examples, verdict, console)
    console.print("\nThe report, with figures and more customers. Open it in a browser:")
    console.print(f"    {escape(str(report))}", soft_wrap=True, highlight=False)
    _print_next_commands(env, given or {}, console)


def _print_next_commands(env: str | None, given: Mapping[str, Any], console: Console) -> None:
    env_option = escape(f" --env {shlex.quote(env)}") if env else ""
    run_options = "".join(
        f" --{name} {value}" for name, value in given.items() if name in {"split", "seed"}
    )
    console.print("Next:")
    for command in (f"recommend{env_option}{run_options} --user ID", f"viz run{env_option}"):
        console.print(f"    {_COMMAND} {command}", soft_wrap=True, highlight=False)
    console.print(
        "The first command recommends products to a customer. The second command shows the "
        "pipelines in a browser. notebooks/explore.ipynb loads the results.",
        highlight=False,
    )


def print_comparison(
    comparison: dict[str, Any], page: Path, console: Console | None = None
) -> None:
    """Print a table of the models, the best first.

    Args:
        comparison: the content of ``comparison.json``.
        page: path of the page with all results.
        console: where to print; the terminal if None.
    """
    console = console or Console(emoji=False)
    mode = comparison["filter_mode"]
    other = next(name for name in FILTER_MODES if name != mode)
    console.print()
    _print_table(
        _describe_results(comparison, mode),
        _tabulate_comparison(comparison),
        console,
        drop_order=["sd", "seeds", "explore", "repeat", "Recall@10", "HR@10", "95% interval"],
        wrapped=["similar"],
    )
    if comparison["repeat_rows"] and mode == "unfiltered":
        console.print(_PARTS_EXPLANATION, highlight=False)
    for sentence in describe_baselines(comparison):
        console.print(escape(sentence), highlight=False)
    console.print(
        "sd: standard deviation over seeds. 95% interval: of NDCG@10, over customers. similar: "
        "numbers of the models whose NDCG@10 is not significantly different (paired bootstrap over "
        f"customers, Holm's correction). All results, including {get_filter_label(other)}:",
        highlight=False,
    )
    console.print(f"    {escape(str(page))}", soft_wrap=True, highlight=False)


def print_tuning(best: str, files: dict[str, Path], console: Console | None = None) -> None:
    """Print the best configuration of the tuning and the paths of its files.

    Args:
        best: the content of ``tuning_best.yml``. Its comments explain how to use it.
        files: path by name of the data set.
        console: where to print; the terminal if None.
    """
    console = console or Console(emoji=False)
    console.print()
    console.print(best, markup=False, highlight=False, soft_wrap=True)
    for label, name in (
        ("Best configuration", "tuning_best"),
        ("All trials", "tuning_trials"),
        ("Importance of each hyperparameter, and the results by its value", "tuning_figure"),
    ):
        if name in files:
            console.print(
                f"{label}:\n    {escape(str(files[name]))}", soft_wrap=True, highlight=False
            )


def print_reproduction(
    rows: Sequence[Mapping[str, str]], page: Path, split: str, console: Console | None = None
) -> None:
    """Print a table of the published results of the original study and the results of this run.

    Args:
        rows: text of each cell by column, one row per network.
        page: path of the Markdown table.
        split: the protocol.
        console: where to print; the terminal if None.
    """
    console = console or Console(emoji=False)
    headings = {
        "number": "#",
        "network": "network",
        "published_test_loss": "published loss",
        "published_test_metric": "published metric",
        "epochs": "epochs",
        "test_loss": "loss",
        "mae": "MAE",
        "mse": "MSE",
        "hr@10": "HR@10",
        "ndcg@10": "NDCG@10",
        "outcome": "outcome",
    }
    console.print()
    _print_table(
        "Networks of the original study: published results and results of this run, "
        + get_filter_label("unfiltered"),
        [{heading: row[column] for column, heading in headings.items()} for row in rows],
        console,
        drop_order=["epochs", "MSE", "MAE", "published loss", "loss", "outcome", "NDCG@10"],
        wrapped=["network", "published metric", "outcome"],
    )
    if split == "shuffled_windows":
        console.print(_LEAKY)
    else:
        console.print(
            f"The published results used another protocol than {split}. "
            "`--params split=shuffled_windows` is the closest protocol."
        )
    console.print("The complete Markdown table, including seen items filtered:")
    console.print(f"    {escape(str(page))}", soft_wrap=True, highlight=False)


def print_outputs(
    files: dict[str, Path], env: str | None = None, console: Console | None = None
) -> None:
    """Print the files that a run wrote.

    Args:
        files: path by name of the data set.
        env: configuration environment of the run; None for the default.
        console: where to print; the terminal if None.
    """
    if not files:
        return
    console = console or Console(emoji=False)
    console.print("\nWritten:")
    for name, path in files.items():
        console.print(f"    {name}: {escape(str(path))}", soft_wrap=True, highlight=False)
    env_option = escape(f" --env {shlex.quote(env)}") if env else ""
    console.print(
        f"Next: `{_COMMAND} run{env_option}` runs all pipelines. Add `--pipelines` to select some. "
        f"`{_COMMAND} viz run{env_option}` shows the pipelines and their data in a browser.",
        highlight=False,
    )


def create_numbered_list() -> Table:
    """Return an empty table without borders: a column for numbers and one for text."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _print_table(
    title: str,
    rows: Sequence[Mapping[str, str]],
    console: Console,
    drop_order: list[str],
    wrapped: Sequence[str] = (),
) -> None:
    """Print a table. If the terminal is too narrow, hide columns and print their names.

    Args:
        title: title of the table.
        rows: text of each cell by heading of the column, at least one row. All rows have the same
            columns.
        console: where to print.
        drop_order: headings of the columns that can be hidden, in order. Headings that the table
            does not have are ignored.
        wrapped: headings of text columns whose cells can have several lines.
    """
    left = {"model", *wrapped}
    headings = list(rows[0])
    widths = {
        heading: 16
        if heading in wrapped
        else max(cell_len(text) for text in [heading, *(row[heading] for row in rows)])
        for heading in headings
    }
    dropped: list[str] = []
    for heading in drop_order:
        if heading in widths and sum(widths.values()) + 2 * len(widths) > console.width:
            dropped.append(heading)
            del widths[heading]
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for heading in widths:
        table.add_column(
            heading,
            justify="left" if heading in left else "right",
            no_wrap=heading not in left,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(escape(row[heading]) for heading in widths))
    console.print(table)
    if dropped:
        shown = [heading for heading in headings if heading in dropped]
        console.print(
            f"The terminal is too narrow. Hidden columns: {', '.join(shown)}. "
            "Use a wider terminal.",
            highlight=False,
        )


def _print_metrics(metrics: dict[str, Any], console: Console) -> None:
    mode = metrics["filter_mode"]
    has_parts = bool(metrics["repeats"]) and mode == "unfiltered"
    rows = []
    for model in get_display_order(metrics):
        results = metrics["models"][model][mode]
        cells = {
            "model": get_model_label(model),
            "validation": _format_value(metrics["models"][model]["validation_ndcg@10"]),
            "HR@10": f"{results['hr@10']:.4f}",
            "95% interval": "{:.4f}-{:.4f}".format(*results["hr@10_ci95"]),
        }
        if has_several_targets(metrics):
            cells["Recall@10"] = f"{results['recall@10']:.4f}"
        cells["NDCG@10"] = f"{results['ndcg@10']:.4f}"
        if has_parts:
            for part in ("repeat", "explore"):
                measured = results[part]
                cells[part] = _format_value(measured and measured["ndcg@10"])
        rows.append(cells | {"HR@1": f"{results['hr@1']:.4f}"})
    _print_table(
        _describe_results(metrics, mode),
        rows,
        console,
        drop_order=[
            "HR@1", "95% interval", "Recall@10", "explore", "repeat", "NDCG@10", "validation",
        ],
    )  # fmt: skip
    console.print(
        "validation: NDCG@10 on the validation part, used to select the model. The other columns: "
        "results on the test part.",
        highlight=False,
    )
    if has_parts:
        console.print(_PARTS_EXPLANATION, highlight=False)
    if ORACLE in metrics["models"]:
        console.print(f"{get_model_label(ORACLE)}: the best possible result.", highlight=False)


def _describe_results(results: dict[str, Any], mode: str) -> str:
    """Return the title of a table: the data set, the protocol and the sizes.

    Args:
        results: the content of ``metrics.json`` or ``comparison.json``.
        mode: ``filtered`` or ``unfiltered``.
    """
    targets = f"{results['n_test_targets']:,} targets, " if has_several_targets(results) else ""
    return (
        f"{results['dataset']}, {get_protocol_label(results['protocol'])}, "
        f"{get_filter_label(mode)}: {results['n_test_rows']:,} test rows, {targets}"
        f"{results['n_items']:,} products"
    )


def _format_value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _tabulate_comparison(comparison: dict[str, Any]) -> list[dict[str, str]]:
    mode = comparison["filter_mode"]
    models = list(comparison["models"])
    similar: dict[str, list[int]] = {model: [] for model in models}
    for difference in comparison["differences"]:
        if not difference[mode]["ndcg@10"]["significant"]:
            first, second = difference["models"]
            similar[first].append(models.index(second) + 1)
            similar[second].append(models.index(first) + 1)
    rows = []
    for number, (model, results) in enumerate(comparison["models"].items(), start=1):
        ndcg = results[mode]["ndcg@10"]
        cells = {
            "#": str(number),
            "model": get_model_label(model),
            "seeds": str(len(results["seeds"]) or "–"),
            "HR@10": f"{results[mode]['hr@10']['mean']:.4f}",
        }
        if has_several_targets(comparison):
            cells["Recall@10"] = f"{results[mode]['recall@10']['mean']:.4f}"
        cells |= {
            "NDCG@10": f"{ndcg['mean']:.4f}",
            "sd": _format_value(ndcg["sd"]),
            "95% interval": "{:.4f}-{:.4f}".format(*ndcg["ci95"]),
        }
        if comparison["repeat_rows"] and mode == "unfiltered":
            for part in ("repeat", "explore"):
                measured = results[part]
                cells[part] = _format_value(measured and measured[mode]["ndcg@10"]["mean"])
        rows.append(cells | {"similar": " ".join(map(str, sorted(similar[model])))})
    return rows


def _print_example(examples: dict[str, Any], verdict: Verdict, console: Console) -> None:
    """Print one customer with the list of the selected model, or else of the first model."""
    if not examples["examples"] or not examples["models"]:
        return
    # Examples are sorted by the length of the history. The middle one is a typical customer.
    example = examples["examples"][len(examples["examples"]) // 2]
    models: list[str] = examples["models"]
    model = verdict.model if verdict.model is not None and verdict.model in models else models[0]
    console.print()
    parts = [_format_purchases(example), _format_recommendations(example, model)]
    if console.width < _SIDE_BY_SIDE_WIDTH:
        console.print(*parts, sep="\n")
        return
    grid = Table.grid(padding=(0, 3))
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(*parts)
    console.print(grid)


def _format_purchases(example: dict[str, Any]) -> RenderableType:
    table = create_numbered_list()
    first = max(0, len(example["purchases"]) - MAX_SHOWN_PURCHASES)
    for number, purchase in enumerate(example["purchases"][first:], start=first + 1):
        table.add_row(str(number), _format_product(purchase))
    targets = [
        f"[bold]{_format_product(target)}[/bold]{' (bought before)' if target['is_repeat'] else ''}"
        for target in example["targets"]
    ]
    return Group(
        f"[bold]Customer {escape(make_printable(example['user_id']))}[/bold]\nbought, latest last:",
        table,
        "and next:",
        *targets[:MAX_SHOWN_PURCHASES],
        *_count_hidden(len(targets) - MAX_SHOWN_PURCHASES),
    )


def _count_hidden(n_hidden: int) -> list[str]:
    return [f"and {n_hidden} more"] if n_hidden > 0 else []


def _format_recommendations(example: dict[str, Any], model: str) -> RenderableType:
    table = create_numbered_list()
    n_found = 0
    for item in example["recommendations"][model]:
        n_found += item["is_target"]
        if item["rank"] > _SHOWN_RECOMMENDATIONS:
            continue
        title = _format_product(item)
        table.add_row(
            str(item["rank"]),
            f"[bold green]{title} <- bought next[/bold green]" if item["is_target"] else title,
        )
    ranks = example["target_ranks"][model]
    if len(ranks) == 1:
        missing = "" if n_found else ": it is not among the ten"
        found = f"The product bought next has rank {ranks[0]:.10g}{missing}."
    else:
        found = f"{n_found} of the {len(ranks)} products bought next are among the ten."
    return Group(
        f"[bold]{escape(get_model_label(model))}[/bold]\nrecommends:",
        table,
        f"[dim]{found}[/dim]",
    )


def _format_product(product: dict[str, Any]) -> str:
    return escape(make_printable(format_title(product["title"], product["item_id"])))
