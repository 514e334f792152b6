"""What a run says at its end."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bazar.names import MODEL_NAMES, NO_TITLE
from bazar.report import ExampleCustomer

_SHOWN = ("hr@1", "ndcg@10", "mrr@20", "hr@10")
_LAST_PURCHASES = 8


def print_summary(
    metrics: dict[str, Any],
    example: ExampleCustomer,
    report: Path,
    console: Console | None = None,
) -> None:
    """Print the metrics, one customer's purchases and recommendations, and where to look next.

    Args:
        metrics: the content of ``metrics.json``.
        example: the customer.
        report: path of the report page.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    console.print()
    console.print(_metrics_table(metrics))
    if metrics["protocol"] == "paper_windows":
        console.print(
            "[bold]paper_windows is leaky:[/bold] windows of one customer stand in training and "
            "test. Not to be compared with leave-one-out figures."
        )
    console.print()
    console.print(f"[bold]Customer {escape(example.user_id)}[/bold] bought, the latest last:")
    for purchase in example.purchases[-_LAST_PURCHASES:]:
        console.print(f"    {escape(purchase.title or NO_TITLE)}")
    console.print(f"and then: [bold]{escape(example.target.title or NO_TITLE)}[/bold]\n")
    for model in ("classifier", "regressor"):
        console.print(_recommendations_table(example, model))
        console.print()
    console.print("The report page, with figures and more customers:")
    console.print(f"    {report}", soft_wrap=True, highlight=False)
    console.print(
        "Next: open it in a browser; `kedro viz run` shows the lineage; "
        "notebooks/explore.ipynb loads the results."
    )


def print_outputs(files: dict[str, Path], console: Console | None = None) -> None:
    """Print which files a run wrote.

    Args:
        files: path by name of the data set.
        console: where to print; the terminal if None.
    """
    if not files:
        return
    console = console or Console()
    console.print("\nWritten:")
    for name, path in files.items():
        console.print(f"    {name}: {path}", soft_wrap=True, highlight=False)
    console.print("Next: `kedro run` makes the rest, `kedro viz run` shows what follows from it.")


def _metrics_table(metrics: dict[str, Any]) -> Table:
    table = Table(
        title=f"{metrics['dataset']}, {metrics['protocol']}, history masked: "
        f"{metrics['n_test_rows']:,} test rows, {metrics['n_items']:,} items",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("model", no_wrap=True)
    for column in _SHOWN:
        table.add_column(column.upper(), justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    for model, figures in metrics["models"].items():
        masked = figures["masked"]
        low, high = masked["hr@10_ci95"]
        table.add_row(
            MODEL_NAMES.get(model, model),
            *(f"{masked[column]:.4f}" for column in _SHOWN),
            f"{low:.4f}-{high:.4f}",
        )
    return table


def _recommendations_table(example: ExampleCustomer, model: str) -> Table:
    table = Table(
        title=f"{MODEL_NAMES[model]} recommends (true next product at rank "
        f"{example.target_rank[model]:g})",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("", justify="right")
    table.add_column("product", overflow="fold")
    table.add_column("score", justify="right")
    for item in example.recommendations[model]:
        title = escape(item.title or NO_TITLE)
        table.add_row(
            str(item.rank),
            f"[bold green]{title} <- bought next[/bold green]" if item.is_target else title,
            f"{item.score:.4f}",
        )
    return table
