"""What people read for the names of models and protocols."""

from typing import Any

MODEL_LABELS = {
    "classifier": "Classifier",
    "regressor": "Regressor",
    "model_i": "Report · Model I",
    "model_ii": "Report · Model II",
    "blend": "Blend",
    "popularity": "Popularity",
    "recent_popularity": "Recent popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "decayed_cooccurrence": "Decayed co-occurrence",
    "session_knn": "Session kNN",
    "ease": "EASE",
    "nearest_titles": "Nearest titles",
}
PROTOCOL_LABELS = {
    "leave_one_out": "leave-one-out",
    "temporal": "split in time",
    "cold_items": "cold items",
    "shuffled_windows": "paper windows, leaky",
}
NO_TITLE = "(no title)"

PROTOCOL_DESCRIPTIONS = {
    "leave_one_out": "each customer's last purchase is test, the one before it validation",
    "temporal": "trained on what was bought before one time, tested on what was bought after a "
    "later one",
    "cold_items": "some items are taken out of training altogether; then each customer's last "
    "purchase is test",
    "shuffled_windows": "overlapping windows of each customer, shuffled into the parts: leaky",
}


def describe_split(summary: dict[str, Any]) -> str:
    """Say in a sentence what was held out.

    Args:
        summary: the content of ``split_summary.json``.
    """
    told = PROTOCOL_DESCRIPTIONS[summary["protocol"]]
    if "validation_from" in summary:
        told += f": validation from {summary['validation_from']}, test from {summary['test_from']}"
    if "cold_items" in summary:
        told += f": {summary['cold_items']:,} items"
    return (
        f"{told}; {summary['cold_test_rows']:,} of {summary['test_rows']:,} test rows ask for an "
        "item that is not in training"
    )


def get_model_label(model: str) -> str:
    """What people read for a model."""
    return MODEL_LABELS.get(model, model)


def get_protocol_label(protocol: str) -> str:
    """What people read for a protocol."""
    return PROTOCOL_LABELS.get(protocol, protocol)
