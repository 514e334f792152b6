"""Tables that the commands print."""

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bazar.config.models import FALLBACK_MODEL
from bazar.labels import NO_TITLE, get_model_label, make_printable
from bazar.serving.answers import Recommendations

_LAST_PURCHASES = 8
_NARROW = 72
"""Width in characters below which a table has fewer columns."""
_RANK_WIDTH, _SCORE_WIDTH, _COSINE_WIDTH = 3, 10, 6


def print_recommendations(
    answer: Recommendations,
    purchases: list[str | None],
    user_id: str | None,
    console: Console | None = None,
) -> None:
    """Print recommendations, each with the purchases of the product or the most similar one.

    Args:
        answer: the recommendations.
        purchases: titles of the past purchases, the latest last; None for one without a title.
        user_id: the customer; None for purchases of anybody else.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    if purchases:
        owner = Text("Purchases of customer " if user_id else "Purchases", "bold")
        owner.append_text(_make_text(user_id or ""))
        console.print("\n", owner, ", the latest last:", sep="")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        table.add_column(justify="right")
        table.add_column(overflow="fold")
        first = max(0, len(purchases) - _LAST_PURCHASES)
        for number, title in enumerate(purchases[first:], start=first + 1):
            table.add_row(str(number), _make_text(title or NO_TITLE))
        console.print(table)
    if answer.unknown_items:
        console.print("Not in the catalogue:", _make_text(", ".join(answer.unknown_items)))
    if answer.model == FALLBACK_MODEL:
        reason = "the model cannot read any past purchase" if purchases else "no past purchases"
        console.print(f"\n[bold]Most popular recently[/bold] ({reason}):")
    else:
        console.print(f"\n[bold]{get_model_label(answer.model)}[/bold] recommends:")
    _print_products(answer, console, with_nearest=True)


def print_similar(
    answer: Recommendations, item_id: str, title: str | None, console: Console | None = None
) -> None:
    """Print the products with the most similar titles.

    Args:
        answer: the products.
        item_id: the product that they are similar to.
        title: its title; None if it has none.
        console: where to print; the terminal if None.
    """
    console = console or Console()
    name = _make_text(title or item_id)
    name.stylize("bold")
    console.print("\nSimilar to ", name, ", by the cosine of the titles:", sep="")
    _print_products(answer, console, with_nearest=False)


def _print_products(answer: Recommendations, console: Console, with_nearest: bool) -> None:
    shows_nearest = with_nearest and console.width >= _NARROW
    # Rich cuts columns that do not fit. With these widths they fit, and long texts are folded.
    id_width, text_width = _divide_width(answer, console.width, shows_nearest)
    title_width = text_width * 3 // 5 if shows_nearest else text_width
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", width=_RANK_WIDTH)
    table.add_column("product", overflow="fold", width=id_width)
    table.add_column("title", overflow="fold", width=title_width)
    table.add_column("score", justify="right", width=_SCORE_WIDTH)
    if shows_nearest:
        table.add_column("past purchases", overflow="fold", width=text_width - title_width)
        table.add_column("cosine", justify="right", width=_COSINE_WIDTH)
    for product in answer.products:
        row: list[str | Text] = [
            str(product.rank),
            _make_text(product.item_id),
            _make_text(product.title or NO_TITLE),
            f"{product.score:.4g}",
        ]
        if shows_nearest and product.n_orders:
            row.append(_make_text(product.reason))
        elif shows_nearest and product.nearest_cosine is not None:
            nearest = _make_text(product.nearest_title or NO_TITLE)
            row += [nearest, f"{product.nearest_cosine:.2f}"]
        table.add_row(*row)
    console.print(table)
    if with_nearest and not shows_nearest:
        console.print("To see the past purchases, use a wider terminal or --json.", style="dim")


def _divide_width(answer: Recommendations, width: int, shows_nearest: bool) -> tuple[int, int]:
    """Return the width of the ids, and the width that is left for the titles."""
    n_columns = 6 if shows_nearest else 4
    fixed = _RANK_WIDTH + _SCORE_WIDTH + (_COSINE_WIDTH if shows_nearest else 0)
    # Each column has a blank behind it; there are separators, and an edge on both sides.
    available = max(width - fixed - 2 * n_columns - 1, 2)
    ids = [_make_text(product.item_id).plain for product in answer.products]
    longest = max(map(cell_len, ["product", *ids]))
    id_width = min(longest, max(10, available // 3), available // 2)
    return id_width, available - id_width


def _make_text(text: str) -> Text:
    """Return a text in one line, whose brackets and colons are no markup."""
    return Text(make_printable(text))
