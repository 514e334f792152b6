"""What a run says at its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from bazar.labels import NO_TITLE, PROTOCOL_DESCRIPTIONS, get_model_label, get_protocol_label
from bazar.reporting.examples import ExampleCustomer
from bazar.reporting.findings import findings
from bazar.reproduction.table import cells

_SHOWN = ("hr@1", "ndcg@10", "mrr@20", "hr@10")
_LAST_PURCHASES = 8
_REPORT_NETWORKS = {
    "number": "#",
    "network": "network",
    "published_test_loss": "its loss",
    "published_test_metric": "its metric",
    "epochs": "epochs",
    "test_loss": "loss",
    "mae": "MAE",
    "mse": "MSE",
    "hr@10": "HR@10",
    "ndcg@10": "NDCG@10",
    "outcome": "outcome",
}
_LEAKY = (
    "[bold]shuffled_windows is leaky:[/bold] windows of one customer stand in training and "
    "test. Not to be compared with leave-one-out figures."
)


def print_summary(
    metrics: dict[str, Any],
    example: ExampleCustomer,
    report: Path,
    env: str | None = None,
    console: Console | None = None,
    given: Mapping[str, Any] | None = None,
) -> None:
    """Print the metrics, one customer's purchases and recommendations, and where to look next.

    Args:
        metrics: the content of ``metrics.json``.
        example: the customer.
        report: path of the report page.
        env: the environment of the run, if it was named.
        console: where to print; the terminal if None.
        given: parameters that were given to the run alone.
    """
    console = console or Console()
    console.print()
    console.print(_metrics_table(metrics))
    if metrics["protocol"] == "shuffled_windows":
        console.print(_LEAKY)
    elif metrics["protocol"] != "leave_one_out":
        console.print(
            f"[bold]{metrics['protocol']}:[/bold] {PROTOCOL_DESCRIPTIONS[metrics['protocol']]}. Not to be "
            "compared with leave-one-out figures."
        )
    for sentence in findings(metrics):
        console.print(escape(sentence), highlight=False)
    console.print()
    map_batches = Table.grid(padding=(0, 3))
    map_batches.add_column(ratio=2)
    map_batches.add_column(ratio=3)
    map_batches.add_row(
        _purchases(example),
        Group(*(_recommendations(example, model) for model in example.recommendations)),
    )
    console.print(map_batches)
    console.print("The report page, with figures and more customers:")
    console.print(f"    {report}", soft_wrap=True, highlight=False)
    of_env = f" --env {env}" if env else ""
    named = {name: value for name, value in (given or {}).items() if name in {"split", "seed"}}
    of_run = of_env + "".join(f" --{name} {value}" for name, value in named.items())
    console.print(
        f"Next: open it in a browser; `.venv/bin/kedro viz run{of_env}` shows the lineage; "
        "notebooks/explore.ipynb loads the results; "
        f"`.venv/bin/kedro recommend{of_run} --user ID` recommends to a customer.",
        highlight=False,
    )


def print_comparison(
    comparison: dict[str, Any], page: Path, console: Console | None = None
) -> None:
    """Print the models, best first, and which of them is not shown to differ from which.

    Args:
        comparison: the content of ``comparison.json``.
        page: path of the page that has all of it.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    console.print()
    console.print(_comparison_table(comparison))
    console.print(
        "Like: numbers of the models whose NDCG@10 is not shown to differ (paired bootstrap over "
        "users, Holm's correction). 95% interval: over users. All of it, unfiltered, too:",
        highlight=False,
    )
    console.print(f"    {page}", soft_wrap=True, highlight=False)


def print_tuning(best: str, files: dict[str, Path], console: Console | None = None) -> None:
    """Print the best block that a search has found, and where it and the rest are.

    Args:
        best: the content of ``tuning_best.yml``, which says how to use it.
        files: path by name of the data set.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    console.print()
    console.print(best, markup=False, highlight=False, soft_wrap=True)
    for what, name in (
        ("This block", "tuning_best"),
        ("All trials", "tuning_trials"),
        ("What mattered, and which values were good", "tuning_figure"),
    ):
        if name in files:
            console.print(f"{what}:\n    {files[name]}", soft_wrap=True, highlight=False)


def print_reproduction(
    table: pd.DataFrame, page: Path, split: str, console: Console | None = None
) -> None:
    """Print the report's figures beside ours, and where to look next.

    Args:
        table: what :func:`bazar.reproduction_table.tabulate` gave, or read back from a file.
        page: path of the table as Markdown.
        split: the protocol.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    shown = Table(
        title="The report's networks, its figures and ours, history not filtered",
        title_justify="left",
        box=box.SIMPLE,
        padding=0,
    )
    for column, heading in _REPORT_NETWORKS.items():
        is_text = column in {"network", "published_test_metric", "outcome"}
        shown.add_column(
            heading,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            min_width=9 if is_text else None,
            overflow="fold",
        )
    for row in cells(table):
        shown.add_row(*(escape(row[column]) for column in _REPORT_NETWORKS))
    console.print()
    console.print(shown)
    if split == "shuffled_windows":
        console.print(_LEAKY)
    else:
        console.print(
            f"The report's figures are of another protocol than {split}: "
            "`--params split=shuffled_windows` is nearest to it."
        )
    console.print("The same with filtered histories, batches and seconds, as Markdown:")
    console.print(f"    {page}", soft_wrap=True, highlight=False)
    console.print(
        "Next: docs/report.md says what was wrong in the report; `.venv/bin/python "
        "benchmarks/mistakes.py` measures what each mistake costs.",
        highlight=False,
    )


def print_outputs(
    files: dict[str, Path], env: str | None = None, console: Console | None = None
) -> None:
    """Print which files a run wrote.

    Args:
        files: path by name of the data set.
        env: the environment of the run, if it was named.
        console: where to print; the terminal if None.
    """
    if not files:
        return
    console = console or Console()
    console.print("\nWritten:")
    for name, path in files.items():
        console.print(f"    {name}: {path}", soft_wrap=True, highlight=False)
    of_env = f" --env {env}" if env else ""
    console.print(
        f"Next: `.venv/bin/kedro run{of_env}` makes everything anew, `--pipelines` what is named; "
        f"`.venv/bin/kedro viz run{of_env}` shows what follows from what.",
        highlight=False,
    )


def _metrics_table(metrics: dict[str, Any]) -> Table:
    table = Table(
        title=f"{metrics['dataset']}, {get_protocol_label(metrics['protocol'])}, history filtered: "
        f"{metrics['n_test_rows']:,} test rows, {metrics['n_items']:,} items",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("model", no_wrap=True)
    for column in _SHOWN:
        table.add_column(column.upper(), justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    for model, figures in metrics["models"].items():
        filtered = figures["filtered"]
        low, high = filtered["hr@10_ci95"]
        table.add_row(
            get_model_label(model),
            *(f"{filtered[column]:.4f}" for column in _SHOWN),
            f"{low:.4f}-{high:.4f}",
        )
    return table


def _comparison_table(comparison: dict[str, Any]) -> Table:
    table = Table(
        title=f"{comparison['dataset']}, {get_protocol_label(comparison['protocol'])}, history filtered: "
        f"{comparison['n_test_rows']:,} test rows, {comparison['n_items']:,} items",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for column in ("seeds", "HR@10", "NDCG@10", "sd", "95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("like")
    models = list(comparison["models"])
    like: dict[str, list[int]] = {model: [] for model in models}
    for difference in comparison["differences"]:
        if not difference["filtered"]["ndcg@10"]["real"]:
            first, second = difference["models"]
            like[first].append(models.index(second) + 1)
            like[second].append(models.index(first) + 1)
    for place, (model, figures) in enumerate(comparison["models"].items(), start=1):
        ndcg = figures["filtered"]["ndcg@10"]
        low, high = ndcg["ci95"]
        table.add_row(
            str(place),
            get_model_label(model),
            str(len(figures["seeds"]) or "–"),
            f"{figures['filtered']['hr@10']['mean']:.4f}",
            f"{ndcg['mean']:.4f}",
            "–" if ndcg["sd"] is None else f"{ndcg['sd']:.4f}",
            f"{low:.4f}-{high:.4f}",
            " ".join(map(str, sorted(like[model]))),
        )
    return table


def _purchases(example: ExampleCustomer) -> RenderableType:
    table = _numbered_list()
    first = max(0, len(example.purchases) - _LAST_PURCHASES)
    for place, purchase in enumerate(example.purchases[first:], start=first + 1):
        table.add_row(str(place), escape(purchase.title or NO_TITLE))
    return Group(
        f"[bold]Customer {escape(example.user_id)}[/bold] bought, the latest last:",
        table,
        f"\nand then:\n[bold green]{escape(example.target.title or NO_TITLE)}[/bold green]",
    )


def _recommendations(example: ExampleCustomer, model: str) -> RenderableType:
    table = _numbered_list()
    table.add_column(justify="right", no_wrap=True)
    for item in example.recommendations[model]:
        title = escape(item.title or NO_TITLE)
        table.add_row(
            str(item.rank),
            f"[bold green]{title} <- bought next[/bold green]" if item.is_target else title,
            f"{item.score:.4f}",
        )
    rank = example.target_rank[model]
    return Group(
        f"[bold]{get_model_label(model)}[/bold] recommends, with scores:",
        table,
        f"[dim]the product bought next has rank {rank:g}[/dim]\n",
    )


def _numbered_list() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    return table
