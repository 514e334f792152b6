"""What people read for the names of models and protocols."""

from typing import Any

MODEL_NAMES = {
    "classifier": "Classifier",
    "regressor": "Regressor",
    "report_classifier": "Report · Model I",
    "report_regressor": "Report · Model II",
    "blend": "Blend",
    "popularity": "Popularity",
    "recent_popularity": "Recent popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "decayed_cooccurrence": "Decayed co-occurrence",
    "session_knn": "Session kNN",
    "ease": "EASE",
    "title_neighbours": "Nearest titles",
}
# What a model must beat.
FLOORS = (
    "popularity",
    "recent_popularity",
    "last_item_cooccurrence",
    "decayed_cooccurrence",
    "session_knn",
    "ease",
    "title_neighbours",
)
# The model for whom nothing is known of.
POPULAR = "recent_popularity"
PROTOCOL_NAMES = {
    "leave_one_out": "leave-one-out",
    "temporal": "split in time",
    "cold_items": "cold items",
    "paper_windows": "paper windows, leaky",
}
# How what was bought before the target is treated: put last, or recommended like the rest.
HISTORIES = ("masked", "unmasked")
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


def model_name(model: str) -> str:
    """What people read for a model."""
    return MODEL_NAMES.get(model, model)


def protocol_name(protocol: str) -> str:
    """What people read for a protocol."""
    return PROTOCOL_NAMES.get(protocol, protocol)
