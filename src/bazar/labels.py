"""Labels and descriptions of models, protocols and results, for reports and messages."""

import re
from typing import Any

ORACLE = "oracle"
"""Model that ranks by the probabilities of the sample store's generator.

Its results are the ceiling of all models. It cannot be selected, and it is not a baseline."""
MODEL_LABELS = {
    "classifier": "Classifier",
    "regressor": "Regressor",
    "model_i": "Model I (reproduction)",
    "model_ii": "Model II (reproduction)",
    "blend": "Blend",
    "popularity": "Popularity",
    "recent_popularity": "Recent popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "decayed_cooccurrence": "Decayed co-occurrence",
    "session_knn": "Session kNN",
    "ease": "EASE",
    "nearest_titles": "Nearest titles",
    "personal_frequency": "Personal frequency",
    "recent_personal_frequency": "Recent personal frequency",
    "tifu_knn": "TIFU-KNN",
    "repurchase_timing": "Repurchase timing",
    ORACLE: "Oracle (knows the generator)",
}
PROTOCOL_LABELS = {
    "next_order": "next order",
    "leave_one_out": "leave-one-out",
    "temporal": "temporal split",
    "cold_items": "cold items",
    "shuffled_windows": "shuffled windows (leaky)",
}
PROTOCOL_DESCRIPTIONS = {
    "next_order": (
        "each customer's last order is test, the one before it validation; several targets"
    ),
    "leave_one_out": "each customer's last purchase is test, the one before it validation",
    "temporal": "train, validation and test are consecutive periods of time",
    "cold_items": "some items are removed from training; each customer's last purchase is test",
    "shuffled_windows": "overlapping windows of each customer, shuffled into the parts (leaky)",
}
FILTER_LABELS = {
    "filtered": "seen items filtered",
    "unfiltered": "seen items not filtered",
}
NO_TITLE = "(no title)"
# Control characters, line and paragraph separators, characters that change the direction of the
# text, and bytes of a command line that are not valid text.
_UNPRINTABLE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)


def get_model_label(model: str) -> str:
    """Return the label of a model, or its name if it has no label."""
    return MODEL_LABELS.get(model, model)


def get_protocol_label(protocol: str) -> str:
    """Return the label of a protocol, or its name if it has no label."""
    return PROTOCOL_LABELS.get(protocol, protocol)


def get_filter_label(filter_mode: str) -> str:
    """Return the label of ``filtered`` or ``unfiltered`` results."""
    return FILTER_LABELS[filter_mode]


def get_metric_label(metric: str) -> str:
    """Return the label of a metric such as ``ndcg@10`` or ``recall@10``."""
    return metric.capitalize() if metric.startswith("recall") else metric.upper()


def format_title(title: str | None, item_id: str) -> str:
    """Return the title of a product, or ``(no title)`` and its id."""
    return title or f"{NO_TITLE} {item_id}"


def make_printable(text: str) -> str:
    r"""Return a text for one line of a terminal: line breaks and the like are shown as ``\n``."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def describe_split(summary: dict[str, Any]) -> str:
    """Return a sentence that describes the split.

    Args:
        summary: the content of ``split_summary.json``.
    """
    description = PROTOCOL_DESCRIPTIONS[summary["protocol"]]
    if "validation_from" in summary:
        description += (
            f": validation from {summary['validation_from']}, test from {summary['test_from']}"
        )
    if "cold_items" in summary:
        description += f": {summary['cold_items']:,} cold items"
    description += (
        f"; {summary['cold_test_targets']:,} of {summary['test_targets']:,} test targets are items "
        "that do not occur in training"
    )
    if summary["split"] == "auto":
        description += f"; split=auto chose {summary['protocol']}: {summary['split_reason']}"
    return description
