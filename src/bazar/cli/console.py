"""What a run says at its end."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bazar.config.models import FALLBACK_MODEL
from bazar.labels import NO_TITLE, get_model_label
from bazar.reporting.console import _LAST_PURCHASES, _numbered_list
from bazar.serving.answers import Recommendations


def print_recommendations(
    found: Recommendations,
    bought: list[str | None],
    user_id: str | None,
    console: Console | None = None,
) -> None:
    """Print what is recommended to somebody, and why.

    Args:
        found: the answer.
        bought: titles of the past purchases, the latest last; None where one has none.
        user_id: the customer, if it is one.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    who = f"Customer {escape(user_id)}" if user_id else "Who is asked about"
    if bought:
        console.print(f"\n[bold]{who}[/bold] bought, the latest last:")
        table = _numbered_list()
        first = max(0, len(bought) - _LAST_PURCHASES)
        for place, title in enumerate(bought[first:], start=first + 1):
            table.add_row(str(place), escape(title or NO_TITLE))
        console.print(table)
    if found.skipped:
        console.print(f"Not in the catalogue, skipped: {escape(', '.join(found.skipped))}")
    if found.model == FALLBACK_MODEL:
        console.print("\n[bold]Bought most of late[/bold]: no past purchase tells anything here.")
    else:
        console.print(f"\n[bold]{get_model_label(found.model)}[/bold] recommends:")
    console.print(_products_table(found, "nearest past purchase"))


def print_similar(
    found: Recommendations, item_id: str, title: str | None, console: Console | None = None
) -> None:
    """Print the products with the nearest titles; arguments as of :func:`print_recommendations`."""
    console = console or Console()
    console.print(f"\nNearest to [bold]{escape(title or item_id)}[/bold], with cosines:")
    console.print(_products_table(found, None))


def _products_table(found: Recommendations, because: str | None) -> Table:
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("product", no_wrap=True)
    table.add_column("title", overflow="fold", ratio=3)
    table.add_column("score", justify="right", no_wrap=True)
    if because:
        table.add_column(because, overflow="fold", ratio=2)
        table.add_column("cosine", justify="right", no_wrap=True)
    for one in found.products:
        row = [str(one.rank), escape(one.item_id), escape(one.title or NO_TITLE)]
        row.append(f"{one.score:.4g}")
        if because and one.nearest_cosine is not None:
            row += [escape(one.nearest_title or NO_TITLE), f"{one.nearest_cosine:.2f}"]
        table.add_row(*row)
    return table
