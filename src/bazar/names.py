"""What people read for the names of models and protocols."""

from typing import Any

MODEL_NAMES = {
    "classifier": "Model I · classifier",
    "regressor": "Model II · regressor",
    "popularity": "Popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "title_neighbours": "Nearest titles",
}
NO_TITLE = "(no title)"

PROTOCOLS = {
    "leave_one_out": "each customer's last purchase is test, the one before it validation",
    "temporal": "trained on what was bought before one time, tested on what was bought after a "
    "later one",
    "cold_items": "some items are taken out of training altogether; then each customer's last "
    "purchase is test",
    "paper_windows": "overlapping windows of each customer, shuffled into the parts: leaky",
}


def tell_split(summary: dict[str, Any]) -> str:
    """Say in a sentence what was held out.

    Args:
        summary: the content of ``split_summary.json``.
    """
    told = PROTOCOLS[summary["protocol"]]
    if "validation_from" in summary:
        told += f": validation from {summary['validation_from']}, test from {summary['test_from']}"
    if "cold_items" in summary:
        told += f": {summary['cold_items']:,} items"
    return (
        f"{told}; {summary['cold_test_rows']:,} of {summary['test_rows']:,} test rows ask for an "
        "item that is not in training"
    )
